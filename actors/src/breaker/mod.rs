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
//! An operator may refuse everybody (FORCED_OPEN, with or without an end), end that (to HALF_OPEN), and reset.
//!
//! # What it promises
//!
//! - Nobody starts while one of his scopes is open. A start that needs several scopes asks all of them before it takes
//!   anything from any; a refusal leaves no trace, and says which scope refuses longest and until when.
//! - No state is for ever: a penalty has an end that nothing moves, and a probe's permit is a **lease**. A probe that
//!   never reports loses it, and `on_probe_expiry` says what that means.
//! - An outcome counts only for the time it belongs to. Permits carry the scope's **epoch**; runs from before the trip
//!   that end in HALF_OPEN are heard as late, and decide nothing.
//! - Each opening after the first is longer, up to `max_penalty`; chance only lengthens it. The **level** comes down
//!   one by one, and only by a success `decay_after` the last change: time alone proves nothing.
//! - It makes no difference how often anybody looks. What time changes is applied at its own time and in its order,
//!   before anything else; the alarm only decides when it is heard of.
//! - After a restart an open scope is open for what remains of its penalty by the wall clock, or half-open; never
//!   closed, not even if its record cannot be read.
//!
//! # What it does not promise
//!
//! - It stops nothing that runs. What happens to living runs when a scope opens is the Manager's.
//! - It keeps no queue. [`Admission::Denied`] says when asking again may help; [`Report::Changed`] and the answers say
//!   when a scope changed. After closing, starts are let through at least `ramp.spacing` apart.
//! - It remembers no scope for ever: one that is closed at level 0 with no recent outcome and no holder is forgotten
//!   after a day, with its row of failures.
//! - Which failure weighs how much, and in which scopes, is the class's rule, applied before [`Settle`]. Weight 0 is
//!   [`Outcome::Neutral`], which changes nothing and gives a probe's permit back.
//!
//! # What was rejected
//!
//! - *A count of permits.* Counts leak and inflate: a permit taken to look at the state, given back twice by a late
//!   result, or never. A map from run to the end of its lease can do none of these.
//! - *A timer that opens and closes.* State is computed from deadlines; a lost or late timer then costs a late report,
//!   not a wrong decision.
//! - *A success rate alone.* One start an hour never fills a window; a row of failures trips where a share cannot.
//!   And a success never opens anything, though it completes a window.
//! - *Closing when the penalty is over.* Everybody who waited would start at that instant.
//! - *Monotonic times in the store.* They mean nothing in the next process. A record says when it was saved by the
//!   wall clock, and a clock that jumps ahead costs one early probe at most.

mod actor;
pub mod machine;
mod messages;
#[cfg(test)]
mod tests;

pub use self::{
    actor::BreakerActor,
    machine::{Machine, penalty_ms_of_level},
    messages::*,
};
