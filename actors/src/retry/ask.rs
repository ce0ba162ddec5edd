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

/// A question to Retry, or a statement, which is answered by [`Answer::Done`].
#[derive(Clone, Debug)]
pub enum Ask {
    /// Asks which parameters the next attempt gets. Answered by [`Answer::Prepared`].
    Prepare {
        /// The run whose attempt is prepared.
        run: RunId,
        /// The run's definition.
        program: Arc<Program>,
        /// The run's parameters as requested, before any adjustment.
        base: Params,
        /// Set when the attempt probes a half-open breaker, whose policy may ask for the floor.
        probe: Option<ProbeParams>,
    },
    /// An attempt ended: asks what follows. Answered by [`Answer::Judged`].
    Judge(Box<Ended>),
    /// A daemon has been healthy for its `reset_after`: forgets its failures, and moves each lowered parameter one
    /// step back. Answered by [`Answer::Changed`].
    Healthy {
        /// The run of the daemon.
        run: RunId,
        /// The run's definition.
        program: Arc<Program>,
        /// The run's parameters as requested, before any adjustment.
        base: Params,
    },
    /// A living attempt has shown so many errors of a class that its parameters are adjusted now. Answered by
    /// [`Answer::Changed`].
    Adjust {
        /// The run of the attempt.
        run: RunId,
        /// The run's definition.
        program: Arc<Program>,
        /// The run's parameters as requested, before any adjustment.
        base: Params,
        /// The class of the errors.
        class: String,
    },
    /// Sets the budget that retries of all programs share; `None` removes it. Sent before [`Ask::Restore`].
    SetBudget(Option<RetryBudget>),
    /// Asks whether this automatic start may ask the breakers. A start that lacks tokens is due when it has them.
    /// Answered by [`Answer::Reserved`].
    Reserve {
        /// The run to be started.
        run: RunId,
        /// Order among starts that wait for tokens: the highest priority gets them first.
        priority: i32,
        /// The budgets of the run's scopes, in addition to the one of all programs.
        budgets: Vec<(Scope, RetryBudget)>,
    },
    /// The start whose tokens were set aside is made. Answered by [`Answer::Saved`].
    Pay(RunId),
    /// The start is not made, or not now: gives back its tokens, or its place in line.
    Release(RunId),
    /// A run's first start is made: adds its tokens to the budget of all programs and to these budgets. Answered by
    /// [`Answer::Saved`].
    Deposit(Vec<(Scope, RetryBudget)>),
    /// The rules of the run's program changed: forgets the run's failures. Its schedule and parameters stay. Answered
    /// by [`Answer::Saved`].
    Forgive(RunId),
    /// Asks until when the supervisor may start this run by itself. For a run that a breaker holds back: the run
    /// gives up at that time, not when the breaker lets it go. Answered by [`Answer::FailsUntil`].
    Deadline {
        /// The run that is held back.
        run: RunId,
        /// The run's definition.
        program: Arc<Program>,
    },
    /// Asks what happens if this run goes on failing the same way. Changes nothing, and asks no breaker. Answered by
    /// [`Answer::Foreseen`].
    Forecast(Box<Forecast>),
    /// The run is due at this time. A later statement about the same run replaces it.
    Schedule {
        /// The run that is due.
        run: RunId,
        /// When the run is due.
        at: Timestamp,
    },
    /// The run is not due any more: either Retry is told next to forget the run, or the run is due at another time.
    Cancel(RunId),
    /// An operator starts the run now: the run is not due any more, and the start is not an automatic one. Answered
    /// by [`Answer::Saved`].
    Overrule(RunId),
    /// The run is over, or an operator starts it afresh: forgets its counters. Shared parameters stay. Answered by
    /// [`Answer::Saved`].
    Forget(RunId),
    /// After a restart: brings back the saved state, which is every key of Retry (`retry/…`, `param/…`, `budget/…`).
    /// State whose times were moved is to be saved again: [`Answer::Saved`].
    ///
    /// Schedules no run: the caller sends [`Ask::Schedule`] for each run that still waits, and spreads overdue ones
    /// by [`startup_spread_ms`](super::startup_spread_ms).
    Restore {
        /// The keys and values as they were saved.
        saved: Vec<(String, Vec<u8>)>,
        /// The shift by which the saved times are moved.
        shift: ClockShift,
    },
}

/// An answer of Retry.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The answer to [`Ask::Prepare`].
    Prepared {
        /// The run whose attempt was prepared.
        run: RunId,
        /// The parameters of the attempt.
        prepared: Prepared,
    },
    /// The answer to [`Ask::Judge`].
    Judged {
        /// The run whose attempt ended.
        run: RunId,
        /// What follows the end of the attempt.
        verdict: Verdict,
    },
    /// The answer to [`Ask::Healthy`] and [`Ask::Adjust`].
    Changed {
        /// The run that was asked about.
        run: RunId,
        /// How the run's parameters changed.
        change: Change,
    },
    /// The answer to [`Ask::Reserve`].
    Reserved {
        /// The run to be started.
        run: RunId,
        /// Whether the run may start.
        leave: Leave,
    },
    /// The answer to [`Ask::Deadline`].
    FailsUntil {
        /// The run that was asked about.
        run: RunId,
        /// When the run's `max_failing` is over; `None` when the run is not failing or has no `max_failing`.
        at: Option<Timestamp>,
    },
    /// The answer to [`Ask::Forecast`].
    Foreseen(Outlook),
    /// State to be saved; may be empty.
    Saved(Vec<Put>),
    /// The statement was heard; there is no state to save.
    Done,
}

/// The parameters of an attempt.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// The effective parameters.
    pub params: Params,
    /// The reasons of the parameters that differ from the requested ones.
    pub reasons: ParamReasons,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The run of the attempt.
    pub run: RunId,
    /// The run's definition.
    pub program: Arc<Program>,
    /// The run's parameters as requested, before any adjustment.
    pub base: Params,
    /// The effective parameters that the attempt had.
    pub effective: Params,
    /// Whether the attempt succeeded, or else its failure.
    pub outcome: Outcome,
    /// How long the attempt lived, in milliseconds; 0 when its process never existed.
    pub uptime_ms: u64,
    /// The longest `quarantine` among the scopes that gate the run's starts, in milliseconds, with its scope. `None`
    /// when no scope sets one.
    pub quarantine: Option<(Scope, u64)>,
}

impl Ended {
    /// Borrows this message as the argument of the machine.
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

/// A run that is assumed to go on failing the same way.
#[derive(Clone, Debug)]
pub struct Forecast {
    /// The run to look ahead for.
    pub run: RunId,
    /// The run's definition.
    pub program: Arc<Program>,
    /// The run's parameters as requested, before any adjustment.
    pub base: Params,
    /// The class of each assumed failure.
    pub class: String,
    /// The number of the attempt that fails first.
    pub attempt: u32,
    /// When that attempt fails.
    pub ends_at: Timestamp,
    /// How long each later attempt lives, in milliseconds.
    pub uptime_ms: u64,
    /// The parameters of a start that probes a half-open breaker.
    pub probe: ProbeParams,
    /// The run's priority among starts that wait for tokens.
    pub priority: i32,
    /// The budgets of the scopes that gate the run's starts.
    pub budgets: Vec<(Scope, RetryBudget)>,
    /// The longest `quarantine` among these scopes, in milliseconds, with its scope. `None` when no scope sets one.
    pub quarantine: Option<(Scope, u64)>,
}

impl Forecast {
    /// Borrows this message as the argument of the machine.
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
    /// The run that is due. One run at a time, because what the first one does may hold the second one back.
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
                // The run is not started now, so there is no state to save.
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
