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

mod access;
mod asked;
mod body;
mod journal;
mod logs;
mod problem;
mod programs;
mod routes;
mod runs;
mod serve;
mod wire;

#[cfg(test)]
mod tests;

pub use self::{
    access::Access,
    routes::service,
    serve::{Server, load_or_create_token, serve},
};
