//! What Retry decides about, and its decisions.

use super::why::Why;
use crate::model::{EndReason, Event, Params, Phase, Program, Put, RunId, Scope, Timestamp};

/// How an attempt ended, as Retry sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// A success exit of a job, or a daemon's clean exit after it was healthy (then `class` is `clean_exit`).
    Success,
    /// By this class.
    Failed {
        /// The class; its rule is the program's.
        class: String,
        /// How long the other side asks to wait.
        retry_after_ms: Option<u64>,
    },
}

/// The end of one attempt, with all that a decision about it needs.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// The run.
    pub run: RunId,
    /// Its definition.
    pub program: &'a Program,
    /// Parameters as asked for: no adjustment brings them above these.
    pub base: &'a Params,
    /// How it ended.
    pub outcome: &'a Outcome,
    /// How long it lived, in milliseconds; 0 when it never came to be.
    pub uptime_ms: u64,
    /// The longest `quarantine` among the scopes that gate its starts, in milliseconds, with whose it is; nothing when none
    /// of them gives one.
    pub quarantine: Option<&'a (Scope, u64)>,
}

/// The answer to an end: a decision, what changed with it, and the state to save with it.
#[derive(Clone, Debug)]
#[must_use = "a verdict that nobody carries out leaves the run without a next step"]
pub struct Verdict {
    /// What happens to the run.
    pub decision: Decision,
    /// Changed and exhausted parameters, with the shared scope where there is one.
    pub events: Vec<(Option<Scope>, Event)>,
    /// To be saved with the decision.
    pub saved: Vec<Put>,
    /// Whether the wait for the next attempt is a quarantine.
    pub quarantined: bool,
}

/// What changed although nothing was decided about a run: parameters of its attempts to come.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[must_use = "a change that nobody saves is lost with us"]
pub struct Change {
    /// Changed and exhausted parameters, with the shared scope where there is one.
    pub events: Vec<(Option<Scope>, Event)>,
    /// To be saved.
    pub saved: Vec<Put>,
    /// Why others stay as they are that might have changed: a sentence each.
    pub unchanged: Vec<String>,
}

impl Decision {
    /// Also says why parameters stay as they are.
    pub(super) fn and(&mut self, unchanged: Vec<String>) {
        match self {
            Self::RetryAt { why, .. } => why.and(unchanged),
            Self::GiveUp { why, .. } | Self::Done { why } => {
                for sentence in unchanged {
                    why.push_str("; ");
                    why.push_str(&sentence);
                }
            }
        }
    }
}

/// May an automatic start go on to the breakers?
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Leave {
    /// It costs nothing.
    Free,
    /// Its tokens are set aside: to be paid when it is made, or given back.
    Promised,
    /// It lacks tokens, and the rules of the budget say that it gives up then.
    Denied {
        /// A sentence.
        why: String,
    },
    /// It lacks tokens, and is told when it has them like any start that is due.
    Deferred {
        /// When that will be at the latest; nothing when time alone brings no tokens.
        retry_at: Option<Timestamp>,
        /// A sentence.
        why: String,
    },
}

/// What happens to a run whose attempt ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Another attempt.
    RetryAt {
        /// When.
        at: Timestamp,
        /// Failures counted in a row.
        n: u32,
        /// The law's delay.
        raw_ms: u64,
        /// After jitter and hints.
        delay_ms: u64,
        /// A sentence, once it is shown.
        why: Why,
    },
    /// No further attempt by itself.
    GiveUp {
        /// `failed` or `quarantined`.
        phase: Phase,
        /// By which rule.
        reason: EndReason,
        /// A sentence.
        why: String,
    },
    /// It ended as it should.
    Done {
        /// A sentence.
        why: String,
    },
}
