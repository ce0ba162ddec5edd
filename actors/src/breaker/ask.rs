//! What the Breaker is asked, and what it answers.

pub use super::machine::{
    Admission, BreakerStatus, Change, Changes, Gate, OperatorAct, Outcome, Permit, longest_quarantine,
};

use super::Machine;
use crate::{
    clerk::Rules,
    model::{ClockReading, RunId, Scope, Timestamp},
};

/// A question to the Breaker.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Asks whether this attempt may start. Answered by [`Answer::Admitted`].
    Admit(Admit),
    /// Reports what became of the holder of some permits. Answered by [`Answer::Settled`].
    Settle(Settle),
    /// Asks for breakers as they stand now, in order of scope. Answered by [`Answer::Breakers`].
    Get(GetBreakers),
    /// An operator acts on a breaker. Answered by [`Answer::Operated`].
    Operate {
        /// The scope of the breaker.
        scope: Scope,
        /// What the operator does.
        act: OperatorAct,
        /// The name of the operator, where it is known.
        by: Option<String>,
        /// The operator's reason, where one was given.
        reason: Option<String>,
    },
    /// After a restart: brings back the saved state, which is every key of the Breaker (`breaker/…`). An open breaker
    /// never comes back closed. Answered by [`Answer::Changed`].
    Restore {
        /// The clocks that outlive a process, as they read now.
        clock: ClockReading,
        /// The keys and values as they were saved.
        saved: Vec<(String, Vec<u8>)>,
    },
}

/// Asks whether an attempt may start. All gates are asked first; permits are taken only when all agree.
#[derive(Clone, Debug)]
pub struct Admit {
    /// The run that asks.
    pub run: RunId,
    /// The scopes that gate the start, with their rules, in order.
    pub gates: Vec<Gate>,
    /// Whether to only look: the answer is the same, but no permit is taken.
    pub peek: bool,
}

/// Reports what became of the holder of these permits, with one outcome for each permit.
#[derive(Clone, Debug)]
pub struct Settle {
    /// The run that holds the permits.
    pub run: RunId,
    /// The class of the attempt's end, for the sentence in the journal.
    pub class: Option<String>,
    /// Each permit with its outcome. A permit is used up unless `keep`.
    pub outcomes: Vec<(Permit, Outcome)>,
    /// Whether the attempt lives on (a probe proved itself, a daemon is healthy): its later end still counts.
    pub keep: bool,
}

/// Which breakers are asked for.
#[derive(Clone, Debug)]
pub enum GetBreakers {
    /// All breakers.
    All,
    /// At most this many breakers, in order of scope, after this scope.
    After(Option<Scope>, usize),
    /// Those of these scopes that are known.
    Of(Vec<Scope>),
}

/// An answer of the Breaker.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The answer to [`Ask::Admit`].
    Admitted {
        /// The run that asked.
        run: RunId,
        /// Whether the question only looked, and took no permit.
        peek: bool,
        /// The permits, or the reason why there are none.
        admission: Admission,
    },
    /// The answer to [`Ask::Settle`].
    Settled {
        /// The run that held the permits.
        run: RunId,
        /// Whether the attempt lives on.
        keep: bool,
        /// The changes that followed.
        changes: Changes,
    },
    /// The answer to [`Ask::Get`].
    Breakers(Vec<BreakerStatus>),
    /// The answer to [`Ask::Operate`]; `None` when no run has used the scope yet and the act only ends a state.
    Operated(Option<Changes>),
    /// The answer to [`Ask::Restore`].
    Changed(Changes),
}

impl Rules for Machine {
    type Ask = Ask;
    type Answer = Answer;
    /// The changes that follow when a penalty or a lease is over.
    type Due = Changes;
    const ROOM: &'static str = "Breaker";

    fn answer(&mut self, now: Timestamp, ask: Ask) -> Answer {
        match ask {
            Ask::Admit(Admit { run, gates, peek }) => {
                Answer::Admitted { run, peek, admission: self.admit(now, run, gates, peek) }
            }
            Ask::Settle(Settle { run, class, outcomes, keep }) => {
                let changes = self.settle(now, run, class.as_deref(), &outcomes, keep);
                Answer::Settled { run, keep, changes }
            }
            Ask::Get(GetBreakers::All) => Answer::Breakers(self.breakers()),
            Ask::Get(GetBreakers::After(scope, limit)) => {
                Answer::Breakers(self.breakers_after(scope.as_ref(), limit))
            }
            Ask::Get(GetBreakers::Of(scopes)) => Answer::Breakers(self.breakers_of(&scopes)),
            Ask::Operate { scope, act, by, reason } => {
                Answer::Operated(self.operate(now, &scope, act, by.as_deref(), reason.as_deref()))
            }
            Ask::Restore { clock, saved } => {
                Self::set_clock(self, now, clock);
                let (changes, unread) = self.restore(now, &saved);
                for key in unread {
                    log::warn!("saved breaker state unreadable; key={key}");
                }
                Answer::Changed(changes)
            }
        }
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        self.next_alarm()
    }

    fn take_due(&mut self, now: Timestamp) -> Changes {
        self.advance(now)
    }

    fn is_asked_again(_: &Changes) -> bool {
        false
    }

    fn set_clock(&mut self, now: Timestamp, reading: ClockReading) {
        Self::set_clock(self, now, reading);
    }
}
