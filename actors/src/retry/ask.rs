//! What Retry is asked, and what it answers.

pub use super::machine::{Change, Decision, Foreseen, Leave, Outcome, Outlook, Verdict};

use super::{
    Machine,
    machine::{End, Supposed},
};
use crate::{
    clerk::Rules,
    model::{
        ClockShift, ParamReasons, Params, ProbeParams, Program, Put, RetryBudget, RunId, Scope, Timestamp,
    },
};
use std::sync::Arc;

/// A question, or a word that is answered by [`Answer::Done`].
#[derive(Clone, Debug)]
pub enum Ask {
    /// Which parameters does the next attempt get? [`Answer::Prepared`].
    Prepare {
        /// The run.
        run: RunId,
        /// Its definition.
        program: Arc<Program>,
        /// As asked for.
        base: Params,
        /// Whether the attempt probes a half-open breaker, whose policy may ask for the floor.
        probe: Option<ProbeParams>,
    },
    /// An attempt ended: what now? [`Answer::Judged`].
    Judge(Box<Ended>),
    /// A daemon has been healthy for its `reset_after`: forget its failures, and give what was lowered a step back.
    /// [`Answer::Changed`].
    Healthy {
        /// The run.
        run: RunId,
        /// Its definition.
        program: Arc<Program>,
        /// As asked for.
        base: Params,
    },
    /// A living attempt has shown so many errors of a class that its parameters are to be adjusted now.
    /// [`Answer::Changed`].
    Adjust {
        /// The run.
        run: RunId,
        /// Its definition.
        program: Arc<Program>,
        /// As asked for.
        base: Params,
        /// The class.
        class: String,
    },
    /// The budget of all programs' retries from now on; `None` removes it. Sent before [`Ask::Restore`].
    SetBudget(Option<RetryBudget>),
    /// May this automatic start ask the breakers? A start that lacks tokens is due when it has them.
    /// [`Answer::Reserved`].
    Reserve {
        /// The run.
        run: RunId,
        /// Which of those that wait for tokens gets them first: the highest.
        priority: i32,
        /// The budgets of its scopes, beside the one of all programs.
        budgets: Vec<(Scope, RetryBudget)>,
    },
    /// The start whose tokens were set aside is made. [`Answer::Saved`].
    Pay(RunId),
    /// The start is not made, or not now: its tokens, or its place in line, are given back.
    Release(RunId),
    /// A run's first start is made: it brings tokens to the budget of all programs and to these. [`Answer::Saved`].
    Deposit(Vec<(Scope, RetryBudget)>),
    /// The rules of the run's program changed: forget its failures. Its schedule and parameters stay. [`Answer::Saved`].
    Forgive(RunId),
    /// Until when may this run be started by itself? For a run that is held back by a breaker: it gives up at that
    /// instant, not when the breaker lets it go. [`Answer::FailsUntil`].
    Deadline {
        /// The run.
        run: RunId,
        /// Its definition.
        program: Arc<Program>,
    },
    /// What happens if this run goes on failing the same way? Changes nothing, and asks no breaker. [`Answer::Foreseen`].
    Forecast(Box<Forecast>),
    /// The run is due at this time. A later word about the same run replaces it.
    Schedule {
        /// The run.
        run: RunId,
        /// When.
        at: Timestamp,
    },
    /// The run is not due any more: what is known of it is forgotten next, or it is due at another time.
    Cancel(RunId),
    /// An operator starts the run now: it is not due any more, and the start is not ours. [`Answer::Saved`].
    Overrule(RunId),
    /// The run is over or an operator starts it afresh: forget its counters. Shared parameters stay. [`Answer::Saved`].
    Forget(RunId),
    /// After a restart: the saved state, every key of Retry's (`retry/…`, `param/…`, `budget/…`). What was moved in time is
    /// to be saved again: [`Answer::Saved`].
    ///
    /// Schedules nothing: [`Ask::Schedule`] each run that still waits, overdue ones spread by
    /// [`startup_spread_ms`](super::startup_spread_ms).
    Restore {
        /// Keys and values as they were saved.
        saved: Vec<(String, Vec<u8>)>,
        /// What their times are moved by.
        shift: ClockShift,
    },
}

/// What Retry answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// To [`Ask::Prepare`].
    Prepared {
        /// The run.
        run: RunId,
        /// Its parameters.
        prepared: Prepared,
    },
    /// To [`Ask::Judge`].
    Judged {
        /// The run.
        run: RunId,
        /// What its end means.
        verdict: Verdict,
    },
    /// To [`Ask::Healthy`] and [`Ask::Adjust`].
    Changed {
        /// The run.
        run: RunId,
        /// What became of its parameters.
        change: Change,
    },
    /// To [`Ask::Reserve`].
    Reserved {
        /// The run.
        run: RunId,
        /// Whether it may start.
        leave: Leave,
    },
    /// To [`Ask::Deadline`].
    FailsUntil {
        /// The run.
        run: RunId,
        /// When its `max_failing` is over; `None` when it is not failing or has none.
        at: Option<Timestamp>,
    },
    /// To [`Ask::Forecast`].
    Foreseen(Outlook),
    /// State to be saved.
    Saved(Vec<Put>),
    /// Heard; nothing is answered.
    Done,
}

/// The parameters of an attempt.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// Effective parameters.
    pub params: Params,
    /// Why those that differ are not as asked for.
    pub reasons: ParamReasons,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The run.
    pub run: RunId,
    /// Its definition.
    pub program: Arc<Program>,
    /// As asked for.
    pub base: Params,
    /// As the attempt had them.
    pub effective: Params,
    /// Well, or with which failure.
    pub outcome: Outcome,
    /// How long it lived, in milliseconds; 0 when it never came to be.
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

/// A run that is supposed to go on failing the same way.
#[derive(Clone, Debug)]
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

impl Rules for Machine {
    type Ask = Ask;
    type Answer = Answer;
    /// The run that is due. One at a time, because what the first one does may hold the second one back.
    type Due = Option<RunId>;
    const ROOM: &'static str = "Retry";

    fn answer(&mut self, now: Timestamp, ask: Ask) -> Answer {
        match ask {
            Ask::Prepare { run, program, base, probe } => {
                let params = self.prepare(run, &program, &base, probe);
                let reasons = self.reasons(run, &program, &base, &params, probe);
                Answer::Prepared { run, prepared: Prepared { params, reasons } }
            }
            Ask::Judge(ended) => Answer::Judged { run: ended.run, verdict: self.ended(now, ended.as_end()) },
            Ask::Healthy { run, program, base } => {
                Answer::Changed { run, change: self.healthy(now, run, &program, &base) }
            }
            Ask::Adjust { run, program, base, class } => {
                Answer::Changed { run, change: self.adjust(now, run, &program, &base, &class) }
            }
            Ask::SetBudget(budget) => {
                self.set_budget(now, budget);
                Answer::Done
            }
            Ask::Reserve { run, priority, budgets } => {
                Answer::Reserved { run, leave: self.reserve(now, run, priority, &budgets) }
            }
            Ask::Pay(run) => Answer::Saved(self.pay(now, run)),
            Ask::Release(run) => {
                self.release(run);
                Answer::Done
            }
            Ask::Deposit(budgets) => Answer::Saved(self.deposit(now, &budgets)),
            Ask::Forgive(run) => Answer::Saved(self.forgive(run)),
            Ask::Deadline { run, program } => Answer::FailsUntil { run, at: self.deadline(run, &program) },
            Ask::Forecast(supposed) => Answer::Foreseen(self.forecast(supposed.as_supposed())),
            Ask::Schedule { run, at } => {
                self.schedule(run, at);
                Answer::Done
            }
            Ask::Cancel(run) => {
                // Nobody starts it now, so that there is nothing to save.
                let _ = self.cancel(run);
                Answer::Done
            }
            Ask::Overrule(run) => Answer::Saved(self.cancel(run)),
            Ask::Forget(run) => Answer::Saved(self.forget(run)),
            Ask::Restore { saved, shift } => {
                let (moved, unread) = self.restore(now, shift, &saved);
                for key in unread {
                    log::warn!("saved retry state unreadable, run begins anew; key={key}");
                }
                Answer::Saved(moved)
            }
        }
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        self.next_due()
    }

    fn take_due(&mut self, now: Timestamp) -> Option<RunId> {
        Self::take_due(self, now)
    }

    fn is_asked_again(due: &Option<RunId>) -> bool {
        due.is_some()
    }
}
