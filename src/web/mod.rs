//! The HTTP API under `/api/v1`: what the command line uses, and nothing else.
//!
//! It promises: every answer that is no success is a problem document (RFC 9457) that says what to do; what a child
//! wrote comes back byte for byte as `text/plain`, a page in memory at a time, however much it is; lists go on from
//! cursors that stay valid while data grows; a question may wait (`?wait=30s`) instead of being asked in a loop.
//!
//! It is closed to strangers from the first day: a `Host` that is neither loopback nor allowed is refused (421, so
//! that no name on the internet can be bound to our port), a foreign `Origin` is refused (403), a change is only made
//! by `application/json` (415, so that no form on a web page can make one), and everything but `/healthz` needs the
//! bearer token (401), which lies 0600 in the store.
//!
//! It does not: speak TLS (put a proxy before it), know users (whoever has the token may do everything), or answer in
//! HTML. Text of children and users leaves as JSON or as `text/plain` with `nosniff`, so that no browser runs it.
//!
//! Rejected: actix's own extractors for bodies and queries. Their errors are plain text and name one problem at a
//! time, and an unknown key passes silently, so that a misspelled filter would answer with everything.
//!
//! # Problems
//!
//! Every refusal has `type` (this page, at its code), `title`, `status`, `code`, `detail`, and where there is something
//! to say `help`, `retry_after_s` and `errors: [{pointer, detail}]`.
//!
//! | `code` | status | means |
//! |---|---|---|
//! | <span id="unknown_program">`unknown_program`</span>, <span id="unknown_run">`unknown_run`</span>, <span id="ambiguous_run">`ambiguous_run`</span>, <span id="unknown_scope">`unknown_scope`</span>, <span id="unknown_address">`unknown_address`</span> | 404 | nothing of this name; the end of an id that fits several runs names none |
//! | <span id="invalid_params">`invalid_params`</span>, <span id="validation">`validation`</span>, <span id="config">`config`</span> | 422 | it can be read, but does not fit; `errors` names every part |
//! | <span id="idempotency_key_reused">`idempotency_key_reused`</span> | 422 | the `Idempotency-Key` made another run, by a request that differs; `detail` names the run |
//! | <span id="malformed">`malformed`</span>, <span id="invalid_query">`invalid_query`</span> | 400 | it cannot be read, or a key of the query means nothing here |
//! | <span id="not_running">`not_running`</span>, <span id="already_running">`already_running`</span> | 409 | the run's phase does not allow it |
//! | <span id="breaker_open">`breaker_open`</span> | 503 | a breaker refuses, and the start asked to be refused; see `retry_after_s` |
//! | <span id="queue_full">`queue_full`</span> | 429 | as many runs wait as the program allows |
//! | <span id="shutting_down">`shutting_down`</span>, <span id="shut_down">`shut_down`</span>, <span id="slow">`slow`</span> | 503 | the supervisor ends, has ended, or does not answer in time |
//! | <span id="no_answer">`no_answer`</span> | 503 | a part of the supervisor has ended, by a fault of ours: what it knows (breakers, forecasts) cannot be told until the next one starts |
//! | <span id="store">`store`</span> | 503 | the store takes or gives nothing just now, such as on a full disk; `/healthz` is degraded; see `retry_after_s` |
//! | <span id="store_locked">`store_locked`</span>, <span id="keeper">`keeper`</span> | 500 | something of ours does not work; the log says more |
//! | <span id="no_token">`no_token`</span> | 401 | the bearer token is missing or wrong |
//! | <span id="foreign_origin">`foreign_origin`</span> | 403 | a page of another site asks |
//! | <span id="wrong_host">`wrong_host`</span> | 421 | `Host` is neither loopback nor allowed |
//! | <span id="not_json">`not_json`</span> | 415 | a change came as something else than JSON, or in a `Content-Encoding` |
//! | <span id="wrong_method">`wrong_method`</span> | 405 | `Allow` says what the address takes |
//! | <span id="too_large">`too_large`</span> | 413 | bodies have at most 16 KiB |
//!
//! What cannot be read as HTTP at all (a bad request line, a bad header, both lengths; 400, 408, 431) is refused by actix before
//! it comes here: with an empty body, and without the headers that other answers have.

mod access;
mod asked;
mod body;
mod figures;
mod journal;
mod logs;
mod metrics;
mod problem;
mod programs;
mod recording;
mod routes;
mod runs;
mod serve;
mod strict;
mod wire;

#[cfg(test)]
mod tests;

pub use self::{
    access::Access,
    routes::service,
    serve::{Server, load_or_create_token, serve},
};
