//! What Retry is told, and what it tells.

pub use super::machine::{Change, Decision, Foreseen, Leave, Outcome, Outlook, Verdict};

use super::machine::{End, Supposed};
use crate::model::{
    ClockShift, ParamReasons, Params, ProbeParams, Program, Put, RetryBudget, RunId, Scope, Timestamp,
};
use actix::Message;
use std::sync::Arc;

/// Which parameters does the next attempt of this run get?
#[derive(Clone, Debug, Message)]
#[rtype(result = "Prepared")]
pub struct Prepare {
    /// The run.
    pub run: RunId,
    /// Its definition.
    pub program: Arc<Program>,
    /// As asked for.
    pub base: Params,
    /// Whether the attempt probes a half-open breaker, whose policy may ask for the floor.
    pub probe: Option<ProbeParams>,
}

/// The answer to [`Prepare`].
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// Effective parameters.
    pub params: Params,
    /// Why those that differ are not as asked for.
    pub reasons: ParamReasons,
}

/// An attempt ended: what now?
#[derive(Clone, Debug, Message)]
#[rtype(result = "Verdict")]
pub struct Ended {
    /// When, by the Manager's clock.
    pub at: Timestamp,
    /// The run.
    pub run: RunId,
    /// Its definition.
    pub program: Arc<Program>,
    /// As asked for.
    pub base: Params,
    /// As the attempt had them.
    pub effective: Params,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it lived; 0 when it never came to be.
    pub uptime_ms: u64,
    /// The longest `quarantine` among the scopes that gate its starts, in milliseconds, with whose it is.
    pub quarantine: Option<(Scope, u64)>,
}

impl Ended {
    /// The same as the machine is asked it.
    #[must_use]
    pub fn as_end(&self) -> End<'_> {
        End {
            run: self.run,
            program: &self.program,
            base: &self.base,
            outcome: &self.outcome,
            uptime_ms: self.uptime_ms,
            quarantine: self.quarantine.as_ref(),
        }
    }
}

/// A daemon has been healthy for its `reset_after`: forget its failures, and give what was lowered a step back.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Change")]
pub struct Healthy {
    /// When, by the Manager's clock.
    pub at: Timestamp,
    /// The run.
    pub run: RunId,
    /// Its definition.
    pub program: Arc<Program>,
    /// As asked for.
    pub base: Params,
}

/// A living attempt has shown so many errors of a class that its parameters are to be adjusted now.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Change")]
pub struct AdjustInline {
    /// When, by the Manager's clock.
    pub at: Timestamp,
    /// The run.
    pub run: RunId,
    /// Its definition.
    pub program: Arc<Program>,
    /// As asked for.
    pub base: Params,
    /// The class.
    pub class: String,
}

/// This is the budget of all programs' retries from now on; nothing: none. Sent before [`Restore`].
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct SetBudget {
    /// When, by the Manager's clock.
    pub at: Timestamp,
    /// Its rules.
    pub budget: Option<RetryBudget>,
}

/// May this automatic start ask the breakers? A start that lacks tokens is due when it has them.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Leave")]
pub struct Reserve {
    /// When, by the Manager's clock.
    pub at: Timestamp,
    /// The run.
    pub run: RunId,
    /// Which of those that wait for tokens gets them first: the highest.
    pub priority: i32,
    /// The budgets of its scopes, beside the one of all programs.
    pub budgets: Vec<(Scope, RetryBudget)>,
}

/// The start whose tokens were set aside is made.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<Put>")]
pub struct Pay {
    /// When, by the Manager's clock.
    pub at: Timestamp,
    /// The run.
    pub run: RunId,
}

/// The start is not made, or not now: its tokens, or its place in line, are given back.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Release {
    /// The run.
    pub run: RunId,
}

/// A run's first start is made: it brings its tokens.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Vec<Put>")]
pub struct Deposit {
    /// When, by the Manager's clock.
    pub at: Timestamp,
    /// The budgets of its scopes, beside the one of all programs.
    pub budgets: Vec<(Scope, RetryBudget)>,
}

/// The rules of the run's program changed: forget its failures. Its schedule and parameters stay.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<Put>")]
pub struct Forgive {
    /// The run.
    pub run: RunId,
}

/// Until when may this run be started by itself? Nothing when it is not failing or has no `max_failing`.
///
/// For a run that is held back by a breaker: it gives up at that instant, not when the breaker lets it go.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Option<Timestamp>")]
pub struct GetDeadline {
    /// The run.
    pub run: RunId,
    /// Its definition.
    pub program: Arc<Program>,
}

/// What happens if this run goes on failing the same way? Changes nothing, and asks no breaker.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Outlook")]
pub struct Forecast {
    /// The run.
    pub run: RunId,
    /// Its definition.
    pub program: Arc<Program>,
    /// As asked for.
    pub base: Params,
    /// The class of each failure that is supposed.
    pub class: String,
    /// The attempt that fails first …
    pub attempt: u32,
    /// … and when.
    pub ends_at: Timestamp,
    /// How long each later one lives.
    pub uptime_ms: u64,
    /// What a start gets that probes a half-open breaker.
    pub probe: ProbeParams,
    /// Its priority among those that wait for tokens.
    pub priority: i32,
    /// The budgets of the scopes that gate its starts.
    pub budgets: Vec<(Scope, RetryBudget)>,
    /// The longest `quarantine` among them, in milliseconds, with whose it is.
    pub quarantine: Option<(Scope, u64)>,
}

impl Forecast {
    /// The same as the machine is asked it.
    #[must_use]
    pub fn as_supposed(&self) -> Supposed<'_> {
        Supposed {
            run: self.run,
            program: &self.program,
            base: &self.base,
            class: &self.class,
            attempt: self.attempt,
            ends_at: self.ends_at,
            uptime_ms: self.uptime_ms,
            probe: self.probe,
            priority: self.priority,
            budgets: &self.budgets,
            quarantine: self.quarantine.as_ref(),
        }
    }
}

/// The run is due at this time: [`Report::Due`]. A later word about the same run replaces it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Schedule {
    /// The run.
    pub run: RunId,
    /// When.
    pub at: Timestamp,
}

/// Do not tell me after all.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Cancel {
    /// The run.
    pub run: RunId,
}

/// An operator starts the run now: it is not due any more, and the start is not ours.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<Put>")]
pub struct Overrule {
    /// The run.
    pub run: RunId,
}

/// The run is over or an operator starts it afresh: forget its counters. Shared parameters stay.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<Put>")]
pub struct Forget {
    /// The run.
    pub run: RunId,
}

/// After a restart: the saved state, every key of ours (`retry/…`, `param/…`, `budget/…`).
///
/// Schedules nothing: [`Schedule`] each run that still waits, overdue ones spread by
/// [`startup_spread_ms`](super::startup_spread_ms).
#[derive(Clone, Debug, Message)]
#[rtype(result = "Vec<Put>")]
pub struct Restore {
    /// When, by the Manager's clock.
    pub at: Timestamp,
    /// Keys and values as they were saved.
    pub saved: Vec<(String, Vec<u8>)>,
    /// What their times are moved by; what was moved is answered, to be saved again.
    pub shift: ClockShift,
}

/// Who is due next? One at a time, because what the first one does may hold the second one back; to be asked until it is
/// nobody.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<RunId>")]
pub struct TakeDue {
    /// When, by the Manager's clock.
    pub at: Timestamp,
}

/// What Retry tells the Manager.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub enum Report {
    /// Somebody's delay is over, or has the tokens that it waited for. Said once; [`TakeDue`] says who.
    Due,
}
