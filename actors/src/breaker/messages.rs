//! What the Breaker is told, and what it tells.

pub use super::machine::{Admission, BreakerStatus, Change, Changes, Gate, OperatorAct, Outcome, Permit};

use crate::model::{ClockReading, RunId, Scope, Timestamp};
use actix::Message;

/// May this attempt start? All gates are asked first; only when all agree is anything taken.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Admission")]
pub struct Admit {
    /// When, by the Manager's clock.
    pub at: Timestamp,
    /// The run that asks.
    pub run: RunId,
    /// The scopes, in order.
    pub gates: Vec<Gate>,
    /// Only look: answer as if, take nothing.
    pub peek: bool,
}

/// How the holder of these permits went; one outcome for each permit.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Changes")]
pub struct Settle {
    /// When, by the Manager's clock.
    pub at: Timestamp,
    /// The holder.
    pub run: RunId,
    /// The class of its end, for the sentence in the journal.
    pub class: Option<String>,
    /// Permit and outcome. A permit is used up unless `keep`.
    pub outcomes: Vec<(Permit, Outcome)>,
    /// The attempt lives on (a probe proved itself, a daemon is healthy): its later end still counts.
    pub keep: bool,
}

/// Breakers as they stand now, in order of scope.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Vec<BreakerStatus>")]
pub enum GetBreakers {
    /// Every one.
    All,
    /// At most so many, after this scope.
    After(Option<Scope>, usize),
    /// Those of these scopes that are known.
    Of(Vec<Scope>),
}

/// An operator's word. Answers nothing when no run has used the scope yet and the act would only end something there.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Option<Changes>")]
pub struct Operate {
    /// When, by the Manager's clock.
    pub at: Timestamp,
    /// The scope.
    pub scope: Scope,
    /// What to do.
    pub act: OperatorAct,
    /// Who.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// After a restart: the saved state, every key of ours (`breaker/…`). An open breaker never comes back closed.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Changes")]
pub struct Restore {
    /// When, by the Manager's clock.
    pub at: Timestamp,
    /// What the clocks say that outlive a process.
    pub clock: ClockReading,
    /// Keys and values as they were saved.
    pub saved: Vec<(String, Vec<u8>)>,
}

/// Time has passed: what changed with it?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Changes")]
pub struct Advance {
    /// When, by the Manager's clock.
    pub at: Timestamp,
}

/// What the Breaker tells the Manager.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub enum Report {
    /// A penalty or a lease is over. Said once; [`Advance`] says what that changes.
    Due,
}
