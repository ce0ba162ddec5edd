//! What follows when an attempt has ended: another attempt, when, and with which parameters; or none.
//!
//! # What it is for
//!
//! A failed scrape is tried again a little later, and later still if it fails again. If the shop said "too many
//! requests", the next attempt asks for fewer at a time. A script that does not exist is not tried again at all. These
//! are three answers to one question, and they belong into one place, because they must agree: the class of an error
//! decides through one table (`program.classes` over the built-in one) whether there is another attempt, whether the
//! failure counts, from which delay the wait grows, and which parameters change.
//!
//! # How a delay comes about
//!
//! ```text
//! the class's base and cap  →  raw(n), n failures in a row  →  range of the jitter, clipped to min..max
//!     →  one number drawn from it  →  not less than the other side asked for  →  due
//! ```
//!
//! The curve is that of the [`backoff`](https://docs.rs/backoff) crate. The crate is used for its law alone, and the
//! steps that were walked are kept. Chance is ours: drawn from the installation's seed, the run's identity and a
//! counter, so that the same history gives the same delays on every machine, and no two runs march in step.
//!
//! A job's row of failures ends with its success. A daemon's ends when it has been healthy for `reset_after`; a start
//! alone is no sign of health, or a program that lives for one second would never run out of retries. Failures that
//! do not count (a supervisor that died, a system short of memory) use up no retries but do lengthen their own delay.
//!
//! # What it promises
//!
//! - A delay lies between `min_delay` and `max_delay`, whatever the jitter and however long the row. Only the other
//!   side's wish goes beyond, and that is bounded by `retry_after_max`.
//! - No run is started by itself more often than `intensity` allows, whatever the reasons; success does not clear
//!   that count. Beyond it the run is quarantined until an operator starts it, or for a time (`quarantine`). After
//!   that time it gets one start, and if that fails, it is quarantined again. The time is the longest that its
//!   program and the scopes that gate its starts ask for; a scope says how long, never how often.
//! - A parameter stays between its floor and what the run asked for. Siblings that share it, and fail together, lower
//!   it once for each cooldown. Success brings it back, one step in `restore.every`, and for a while not up to the
//!   last bad value: after endless success it is at the value that the run asked for.
//! - Retries of all programs, and those in one scope that has a budget of its own, take no more tokens than the
//!   bucket had, was given by first starts, and got with time. A start that lacks tokens waits to the millisecond at
//!   which it has them, behind starts of a higher priority and earlier ones of its own priority. Tokens are set aside
//!   before the breakers are asked and taken when the start is made: a start that is refused or deferred costs no
//!   attempt, no token and no intensity. A start by an operator is free.
//! - Equal seed and equal history give equal decisions. A machine that was saved and restored decides as if it had
//!   run on without a break, also when the wall clock was set meanwhile: saved times are moved by the part of the
//!   clock's step that was no real time.
//! - Each decision carries its sentence; that of a retry is put into words when it is shown ([`Why`]).
//!
//! # What it does not promise
//!
//! - It starts nothing. It reports that a run's wait is over; the Manager finds out whether a breaker or a queue
//!   holds the start back. Such a wait uses up nothing, except that `max_failing` goes on: [`Ask::Deadline`].
//! - It writes nothing. State travels in the answer ([`Verdict::saved`]) and is stored with the decision, or not at
//!   all.
//! - It schedules nothing by itself after a restart: [`Ask::Restore`] brings counters back, and which runs still wait
//!   is known from the runs. The Manager spreads starts that came due while no supervisor ran, by
//!   [`startup_spread_ms`].
//! - A start that waited for tokens gets in line anew after a restart, in the order in which the Manager asks. The
//!   level of the bucket is saved with the records that nothing depends on: a death of the supervisor may give back
//!   the tokens of the last 20 ms.
//! - No rule raises a parameter above what the run asked for: a pause that should *grow* when the other side
//!   complains has to be asked for large and be lowered from there.
//! - It remembers no shared value for ever. A value with which no attempt has ended, and no daemon was healthy, for
//!   eight days is forgotten with the next end of any attempt, or at the next start of the supervisor. A run that
//!   comes then begins with what it asks for. The level of a scope's retry budget is forgotten at the next start of
//!   the supervisor when no run has used it for so long that it is full.
//! - An empty budget ends no run unless its rules say so (`on_empty`): no caller waits for the answer, so later is
//!   better than never. `max_failing` bounds the wait.
//!
//! # What was rejected
//!
//! - *`backoff::retry` and its future.* They sleep, they call the operation before the delay, and they give up
//!   fifteen minutes after construction, so that a process which was healthy for sixteen minutes gets no retry at
//!   all. Limits count from the first failure of the row instead.
//! - *Jitter after the cap.* Half of all draws then land on the cap itself, or go beyond it.
//! - *One counter for all.* With only a counter that success clears, a crash once in eleven minutes goes on for ever;
//!   with only one that it does not clear, a healthy month ends with the tenth crash. There are two.
//! - *Taking tokens first and refunding them.* A bucket that was full forfeits what time brings meanwhile, and a
//!   start that asks in between is told of a shortage that does not exist. A promise leaves the bucket as it is.
//! - *Asking all budgets at once, and taking nothing unless all have tokens.* A start would stand in several lines,
//!   and the first position in one is worth nothing while another is short. They are asked one after the other, in
//!   the same order.
//! - *Asking the breakers first, then for tokens.* A half-open breaker would spend its one permit on a start that
//!   cannot be paid, and a place in its ramp.
//! - *Doubling a value back after success.* It oscillates into the next refusal for ever; the way back is additive, slow,
//!   and remembers the last bad value.
//! - *A timer for each run.* Pending timers slow every message of an actor down. There is one alarm, for the earliest.

mod ask;
pub mod machine;
#[cfg(test)]
mod tests;

pub use self::{
    ask::*,
    machine::{End, Machine, Supposed, Why, comes_back, judged_by, startup_spread_ms},
};

/// The actor; it is asked by [`Asked`](crate::clerk::Asked).
pub type RetryActor = crate::clerk::Clerk<Machine>;
