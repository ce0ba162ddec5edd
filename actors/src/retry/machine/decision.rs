//! What Retry decides about, and its decisions.

use super::why::Why;
use crate::model::{EndReason, Event, Params, Phase, Program, Put, RunId, Scope, Timestamp};

/// How an attempt ended, as Retry sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// A job exited successfully, or a daemon exited cleanly after it was healthy (then `class` is `clean_exit`).
    Success,
    /// The attempt failed with this class.
    Failed {
        /// The class of the failure; the program gives the rule for it.
        class: String,
        /// How long the other side asks to wait, in milliseconds.
        retry_after_ms: Option<u64>,
    },
}

/// The end of one attempt, with all that a decision about it needs.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// The run of the attempt.
    pub run: RunId,
    /// The run's definition.
    pub program: &'a Program,
    /// The run's parameters as requested: no adjustment raises them above these.
    pub base: &'a Params,
    /// How the attempt ended.
    pub outcome: &'a Outcome,
    /// How long the attempt lived, in milliseconds; 0 when its process never existed.
    pub uptime_ms: u64,
    /// The longest `quarantine` among the scopes that gate the run's starts, in milliseconds, with its scope; `None`
    /// when no scope sets one.
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
    /// State to be saved with the decision.
    pub saved: Vec<Put>,
    /// Whether the wait for the next attempt is a quarantine.
    pub quarantined: bool,
}

/// What changed without a decision about a run: the parameters of its later attempts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[must_use = "a change that nobody saves is lost with us"]
pub struct Change {
    /// Changed and exhausted parameters, with the shared scope where there is one.
    pub events: Vec<(Option<Scope>, Event)>,
    /// State to be saved.
    pub saved: Vec<Put>,
    /// One sentence for each parameter that might have changed and stays as it is, with the reason.
    pub unchanged: Vec<String>,
}

impl Decision {
    /// Adds sentences about parameters that stay as they are.
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

/// Whether an automatic start may go on to the breakers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Leave {
    /// The start costs no tokens.
    Free,
    /// The tokens of the start are set aside: to be paid when the start is made, or given back.
    Promised,
    /// The start lacks tokens, and the rules of the budget say that the run gives up then.
    Denied {
        /// The reason, as a sentence.
        why: String,
    },
    /// The start lacks tokens. It is reported as due when it has them, like any start that is due.
    Deferred {
        /// The latest time at which it has them; `None` when time alone brings no tokens.
        retry_at: Option<Timestamp>,
        /// The reason, as a sentence.
        why: String,
    },
}

/// What happens to a run whose attempt ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Another attempt follows.
    RetryAt {
        /// When the next attempt is due.
        at: Timestamp,
        /// The number of counted failures in a row.
        n: u32,
        /// The delay of the law, before jitter and hints, in milliseconds.
        raw_ms: u64,
        /// The delay after jitter and hints, in milliseconds.
        delay_ms: u64,
        /// The reason, put into a sentence when it is shown.
        why: Why,
    },
    /// The supervisor starts no further attempt by itself.
    GiveUp {
        /// The phase of the run: `failed` or `quarantined`.
        phase: Phase,
        /// The rule that ends the run.
        reason: EndReason,
        /// The reason, as a sentence.
        why: String,
    },
    /// The run ended as it should.
    Done {
        /// The reason, as a sentence.
        why: String,
    },
}
