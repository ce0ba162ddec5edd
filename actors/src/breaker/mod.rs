//! Whether a start may be made at all, while its target may be down.
//!
//! # What it is for
//!
//! Twenty runs scrape one shop and the shop goes down. Each run by itself would try again and again, politely, and all
//! of them together would not be polite. A breaker counts failures for a **scope** (a program, `site:shop.example`, a
//! user, everything) and, once there are enough, refuses every start of that scope for a **penalty**. Then it lets one
//! run through, the **probe**, preferably with the smallest parameters, and goes by how that one fares.
//!
//! ```text
//!            failures in a row, or their share                     penalty over
//!   CLOSED ─────────────────────────────────────▶ OPEN ─────────────────────────▶ HALF_OPEN
//!      ▲                                            ▲   probe failed, or said nothing │ │
//!      │                                            └─────────────────────────────────┘ │
//!      └──────────────────────────────────── probes succeeded ──────────────────────────┘
//! ```
//!
//! An operator may refuse all starts (FORCED_OPEN, with or without an end), end that (to HALF_OPEN), and reset. An
//! operator or the rules (`mode`) may let every start through: DISABLED counts no outcome; METRICS_ONLY counts, says
//! `would_trip` in the journal when it would have opened, and begins to count anew then. Left to its rules again, the
//! scope is CLOSED, with its level.
//!
//! # What it promises
//!
//! - No run starts while one of its scopes is open. A start that needs several scopes asks all of them before it
//!   takes a permit from any; a refusal leaves no trace, and says which scope refuses longest and until when.
//! - No state is for ever: a penalty has an end that nothing moves, and a probe's permit is a **lease**. A probe that
//!   never reports loses it, and `on_probe_expiry` says what that means. A state that waits for an operator alone
//!   can always be ended by an operator.
//! - An outcome counts only for the time it belongs to, and once. Permits carry the scope's **epoch**. Runs from
//!   before the trip that end in HALF_OPEN, probes that outlive their lease and repeated reports are recorded as
//!   late, and decide nothing.
//! - What a start reports before its end is no outcome of it: that it is ready, or writes, ends no row of failures,
//!   dilutes no share of them and takes no level back. Starts that became ready have a window of their own, with the
//!   limits of the other (`window`): a start that becomes ready later than `slow_ready` is *slow*, and a slow one
//!   opens the scope when the slow are `slow_rate` of them or more. How a start ends is an outcome by itself, whether
//!   it was slow or not; of a start that ends before it is ready only its end is known. The slow probe of a half-open
//!   scope has failed; a probe that is ready in time is proved where `half_open.success` says so (`"ready"`,
//!   `"first_output"`). Either way its outcome is settled.
//! - A failure after which the next attempt asks for less ([`Outcome::Lowering`]) counts in the row and not in the share of
//!   failures: what failed is not asked for again, and a row of five is evidence all the same.
//! - A success opens nothing, though it may complete a window that is full of failures. What says nothing about the
//!   scope ([`Outcome::Neutral`]: weight 0, a class of other scopes, an operator's stop) changes nothing, and gives a
//!   probe's permit back at once. A class with `trips` opens its scopes at once, whatever their counters say.
//! - Each opening after the first is longer, up to `max_penalty`; chance only lengthens it. The **level** ends where the
//!   penalty is the longest, and comes down one by one, only by a success `decay_after` the last change: time alone
//!   proves nothing.
//! - It makes no difference how often the machine is asked. What time changes is applied at its own time and in
//!   order, before anything else; the alarm only decides when it is noticed.
//! - After a restart an open scope is open for what remains of its penalty, or half-open; never closed, not even if
//!   its record cannot be read. While the boot is the same, what remains is computed from the time since boot, so
//!   that no step of the wall clock shortens or lengthens it; else from the wall clock. Permits of processes that are
//!   gone are gone.
//!
//! # What it does not promise
//!
//! - It stops nothing that runs. Living runs of a scope that opens are stopped by the Manager, where `on_open` says so.
//! - It keeps no queue. [`Admission::Denied`] says when asking again may help; [`Changes`] say when a scope changed
//!   and when a permit came back ([`Changes::freed`]). The Manager decides which run is next: it lets the first in
//!   line ask, and no other. After closing, starts are let through at least `ramp.spacing` apart.
//! - It remembers no scope for ever. A scope that rests at level 0, without a holder, is forgotten with its row of
//!   failures once its latest outcome is older than `window.age`, and a minute after its last use if no outcome is
//!   known. A scope at a higher level, or half-open, is kept until a success proves it, or no run has used it for
//!   eight days. What an operator decided is kept, and so are failures of a scope whose `window.age = "0s"` says that
//!   they do not grow old.
//! - How much a failure weighs, and in which scopes, is the class's rule, applied before [`Settle`].
//!
//! # What was rejected
//!
//! - *A count of permits.* Counts leak and inflate: a permit taken to look at the state, given back twice by a late
//!   result, or never. A map from run to the end of its lease can do none of these.
//! - *A list of holders in each scope*, to count each last report once. A start of four scopes then touches four
//!   lists, and that of a scope which every run needs is as long as the list of all runs. Holders are kept by run.
//! - *A timer that opens and closes.* State is computed from deadlines; a lost or late timer then costs a late report,
//!   not a wrong decision.
//! - *A success rate alone.* One start an hour never fills a window; a row of failures trips where a share cannot.
//! - *A lifetime as the measure of slowness*, as libraries count slow calls: a crawl of a large shop is not a slow crawl of
//!   a small one. Only the process knows when it is of use, and only its `ready` line says so.
//! - *Slow starts among the outcomes.* A start that was slow and then ended well would be two of them, one that was in time
//!   one: where each start is slow and ends well the share would be a half. And daemons hardly end.
//! - *A start that is slow once `slow_ready` is over.* It may die a second later, and would then be both slow and
//!   failed. A start that never becomes ready is left to its end, `idle_timeout` or `timeout`.
//! - *Closing when the penalty is over.* Every run that waited would start at that instant.
//! - *Monotonic times in the store.* They mean nothing in the next process. A record holds its own times, and what
//!   the clocks that outlive a process read when it was saved.
//! - *Trusting a record that reads "closed" but is damaged.* It may have read otherwise; one probe finds out.

mod ask;
pub mod machine;
#[cfg(test)]
mod tests;

pub use self::{
    ask::*,
    machine::{Machine, penalty_ms_of_level},
};

/// The actor; it is asked by [`Asked`](crate::clerk::Asked).
pub type BreakerActor = crate::clerk::Clerk<Machine>;
