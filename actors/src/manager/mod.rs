//! Manager room: brings what *is* to what is *wanted*, and is the only writer of state.
//!
//! Every request of an application and every report of a room comes here; all messages between rooms pass through this
//! one (a star), so that there is one place where the order of things is decided, and one journal that tells it.
//!
//! ```text
//! Start ─▶ run exists (written) ─▶ Breaker: Admit ─▶ Retry: Prepare ─▶ start decided (written) ─▶ Launcher: Launch
//!                                     ▲                                                                  │
//!                                     │ due: asked at once, or after Retry: Schedule … Due               ▼
//!       run over (written) ◀── Retry: Ended ◀── Breaker: Settle ◀── Monitor: Drain ◀── Exited ◀── Launched, Monitor: Watch
//! ```
//!
//! # Promises
//! - **Journal first.** An act that changes the world (launch, stop, acknowledge) follows the commit of the decision that
//!   allows it. A crash between the two leaves a decision without its act, never the reverse.
//! - **One decision, one commit.** The end of an attempt, its verdict and, when the delay is zero, the start of the next
//!   one are one record and one flush: that is what makes a restart cheap.
//! - **Every wait has a reason** ([`HeldBack`](crate::model::HeldBack)) and a way out; every record is a sentence of
//!   [`Why`].
//! - **Who waits for a breaker goes on by priority, of equal ones in the order of waiting.** Each scope has a line; only
//!   its first asks, when the scope changes, a permit comes back or its time has come, and as it gets through the next one
//!   asks. None polls. Who comes later joins the line of the scope that refuses it longest, and nobody overtakes one that is being
//!   asked.
//! - **A program that is gone starts nothing.** What lives of it lives on and is listed; what would follow its end is its end.
//! - **An operator's stop outlives us.** `autostart` waits for his start.
//! - **A breaker that opens may stop what lives in its scope** (`on_open = "stop"`). That is nobody's failure: neutral for
//!   all breakers, no retry used up, and the run goes on from the line when it may.
//! - **Everything can be decided again.** Whatever comes from outside is written down with its `now`, with the decision
//!   that it led to ([`recording`]), and decided to its end before the next thing is heard.
//! - **Two stops are one, an end told twice is one.** Answers that come late are recognised by their attempt's number.
//! - **An end is judged once, whoever dies.** It and its verdict are in one commit; what waits until the rest of a tree is
//!   stopped is saved with the run; and neither the keeper's record nor the spool is given back before that commit. The next
//!   manager goes on with what was decided, judges what was not, and takes in the spools that were not closed.
//! - **No answer is never a success.** An end whose output nobody could read is judged by its exit status; one that nobody
//!   saw is `lost`.
//!
//! # Non-promises
//! - A journal record that no act depends on (a refused start, a seen pid) waits up to 20 ms for a decision to be written
//!   with; a death in between loses it. The next manager finds the process by its tag then.
//! - When the store refuses a commit, everything behind it waits and is tried again; nothing is started unwritten.
//!
//! # Rejected
//! - *One async function for each run.* Control flow would be the state, which can be neither saved nor tested without a
//!   runtime. [`machine`] is a value instead: inputs and `now` in, effects out.
//! - *All questions at once, answers as they come.* It was so first: the order of answers, which no journal had, was part
//!   of what was decided, and nothing could be decided again. Now one thing from outside is heard at a time
//!   (`questions.rs`); a question costs a microsecond.
//! - *A run-wide enum with a dozen states for users.* What is wanted, what is ([`Phase`](crate::model::Phase)) and which
//!   answer is awaited (the machine's own stage) are three facts.

mod actor;
mod closing;
mod ids;
pub mod machine;
mod messages;
mod metrics;
mod outbox;
mod queries;
mod questions;
pub mod recording;
mod requests;
mod rooms;
mod store_said;
mod trouble;
mod why;
mod wiring;

#[cfg(test)]
mod tests;

pub use self::{
    actor::ManagerActor,
    messages::*,
    metrics::{GetMetrics, Metrics, ProgramMetrics},
    rooms::{Rooms, ToLauncher, ToMonitor},
    wiring::{OpenError, Options, Running, open},
};
