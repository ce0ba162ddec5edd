//! What Retry is told, and what it tells.

use crate::model::{EndReason, Event, Params, Phase, Program, Put, RunId, Scope, Timestamp};
use actix::Message;
use std::sync::Arc;

/// Which parameters does the next attempt of this run get?
#[derive(Clone, Debug, Message)]
#[rtype(result = "Params")]
pub struct Prepare {
    /// The run.
    pub run: RunId,
    /// Its definition.
    pub program: Arc<Program>,
    /// As asked for.
    pub base: Params,
    /// Whether the attempt probes a half-open breaker, whose policy may ask for the floor.
    pub probe: Option<crate::model::ProbeParams>,
}

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

/// An attempt ended: what now?
#[derive(Clone, Debug, Message)]
#[rtype(result = "Verdict")]
pub struct Ended {
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
}

/// The answer to [`Ended`]: a decision, what changed with it, and the state to save with it.
#[derive(Clone, Debug)]
#[must_use = "a verdict that nobody carries out leaves the run without a next step"]
pub struct Verdict {
    /// What happens to the run.
    pub decision: Decision,
    /// Changed and exhausted parameters, with the shared scope where there is one.
    pub events: Vec<(Option<Scope>, Event)>,
    /// To be saved with the decision.
    pub saved: Vec<Put>,
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
        /// A sentence.
        why: String,
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

/// A daemon has been healthy for its `reset_after`: forget its failures.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Vec<Put>")]
pub struct Healthy {
    /// The run.
    pub run: RunId,
    /// Its definition.
    pub program: Arc<Program>,
}

/// Tell me at this time: [`Report::Due`]. A later word about the same run replaces it. Sent after the decision is saved.
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

/// The run is over or an operator starts it afresh: forget its counters. Shared parameters stay.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<Put>")]
pub struct Forget {
    /// The run.
    pub run: RunId,
}

/// After a restart: the saved state, every key of ours (`retry/…`, `param/…`).
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Restore {
    /// Keys and values as they were saved.
    pub saved: Vec<(String, Vec<u8>)>,
}

/// What Retry tells the Manager.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub enum Report {
    /// A scheduled attempt is due.
    Due {
        /// The run.
        run: RunId,
    },
}
