//! What the Breaker is asked, and what it answers.

pub use super::machine::{
    Admission, BreakerStatus, Change, Changes, Gate, OperatorAct, Outcome, Permit, longest_quarantine,
};

use super::Machine;
use crate::{
    clerk::Rules,
    model::{ClockReading, RunId, Scope, Timestamp},
};

/// A question.
#[derive(Clone, Debug)]
pub enum Ask {
    /// May this attempt start? [`Answer::Admitted`].
    Admit(Admit),
    /// How the holder of some permits went. [`Answer::Settled`].
    Settle(Settle),
    /// Breakers as they stand now, in order of scope. [`Answer::Breakers`].
    Get(GetBreakers),
    /// An operator's word. [`Answer::Operated`].
    Operate {
        /// The scope.
        scope: Scope,
        /// What to do.
        act: OperatorAct,
        /// Who.
        by: Option<String>,
        /// Why.
        reason: Option<String>,
    },
    /// After a restart: the saved state, every key of the Breaker's (`breaker/…`). An open breaker never comes back
    /// closed. [`Answer::Changed`].
    Restore {
        /// What the clocks say that outlive a process.
        clock: ClockReading,
        /// Keys and values as they were saved.
        saved: Vec<(String, Vec<u8>)>,
    },
}

/// May this attempt start? All gates are asked first; only when all agree is anything taken.
#[derive(Clone, Debug)]
pub struct Admit {
    /// The run that asks.
    pub run: RunId,
    /// The scopes, in order.
    pub gates: Vec<Gate>,
    /// Only look: answer as if, take nothing.
    pub peek: bool,
}

/// How the holder of these permits went; one outcome for each permit.
#[derive(Clone, Debug)]
pub struct Settle {
    /// The holder.
    pub run: RunId,
    /// The class of its end, for the sentence in the journal.
    pub class: Option<String>,
    /// Permit and outcome. A permit is used up unless `keep`.
    pub outcomes: Vec<(Permit, Outcome)>,
    /// The attempt lives on (a probe proved itself, a daemon is healthy): its later end still counts.
    pub keep: bool,
}

/// Which breakers.
#[derive(Clone, Debug)]
pub enum GetBreakers {
    /// Every one.
    All,
    /// At most so many, after this scope.
    After(Option<Scope>, usize),
    /// Those of these scopes that are known.
    Of(Vec<Scope>),
}

/// What the Breaker answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// To [`Ask::Admit`].
    Admitted {
        /// The run that asked.
        run: RunId,
        /// Whether it only looked, and took nothing.
        peek: bool,
        /// The permits, or why there are none.
        admission: Admission,
    },
    /// To [`Ask::Settle`].
    Settled {
        /// The run.
        run: RunId,
        /// Whether the attempt lives on.
        keep: bool,
        /// What changed.
        changes: Changes,
    },
    /// To [`Ask::Get`].
    Breakers(Vec<BreakerStatus>),
    /// To [`Ask::Operate`]; `None` when no run has used the scope yet and the act would only end something there.
    Operated(Option<Changes>),
    /// To [`Ask::Restore`].
    Changed(Changes),
}

impl Rules for Machine {
    type Ask = Ask;
    type Answer = Answer;
    /// What changed because a penalty or a lease is over.
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
