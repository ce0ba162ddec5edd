//! What the machine is asked, and what it answers.

use crate::model::{
    BreakerPolicy, BreakerState, Event, ProbeParams, ProbeSuccess, Put, RunId, Scope, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

/// One scope that gates a start, and its rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Gate {
    /// The scope that gates the start.
    pub scope: Scope,
    /// The rules of the scope.
    pub policy: Arc<BreakerPolicy>,
}

/// The longest `quarantine` of these scopes, in milliseconds, with its scope; of equal ones that of the first. `None`
/// when no scope sets one.
#[must_use]
pub fn longest_quarantine(gates: &[Gate]) -> Option<(Scope, u64)> {
    let given = gates.iter().filter_map(|gate| Some((&gate.scope, gate.policy.quarantine_ms?)));
    let (scope, ms) = given.rev().max_by_key(|(_, ms)| *ms)?;
    Some((scope.clone(), ms))
}

/// Permission to start under one scope, stamped with the scope's epoch: an outcome of another epoch changes nothing.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Permit {
    /// The scope that granted it.
    pub scope: Scope,
    /// The scope's epoch at the grant.
    pub epoch: u64,
    /// When the lease ends, if the permit is a probe's; `None` for any other permit.
    pub lease_until: Option<Timestamp>,
    /// From the scope's rules at the grant: how long a probe must live to be proved, in milliseconds; `None` when
    /// time alone proves nothing.
    pub stable_ms: Option<u64>,
    /// From the scope's rules at the grant: what proves a probe.
    #[serde(default, skip_serializing_if = "ProbeSuccess::is_auto")]
    pub success: ProbeSuccess,
    /// From the scope's rules at the grant: a start that becomes ready later than this is slow, in milliseconds;
    /// `None` when the scope need not hear of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_ready_ms: Option<u64>,
}

impl Permit {
    /// A permit that is not a probe's, whose scope asks for no report before the end.
    #[must_use]
    pub const fn plain(scope: Scope, epoch: u64) -> Self {
        let success = ProbeSuccess::Auto;
        Self { scope, epoch, lease_until: None, stable_ms: None, success, slow_ready_ms: None }
    }

    /// Whether its holder probes the scope, and this alone proves the probe before its end.
    #[must_use]
    pub fn is_proved_by(&self, success: ProbeSuccess) -> bool {
        self.lease_until.is_some() && self.success == success
    }

    /// Whether its holder probes the scope and has to report something before it ends.
    #[must_use]
    pub fn waits_for_a_word(&self) -> bool {
        self.is_proved_by(ProbeSuccess::Ready) || self.is_proved_by(ProbeSuccess::FirstOutput)
    }
}

/// The answer to a request to start.
#[derive(Clone, Debug)]
#[must_use = "a start without its permits can never be reported"]
pub enum Admission {
    /// The attempt may start.
    Granted {
        /// One permit for each gate.
        permits: Vec<Permit>,
        /// The parameters that a probe gets; `None` when the attempt is no probe.
        probe: Option<ProbeParams>,
        /// The changes that followed.
        changes: Changes,
    },
    /// The attempt may not start now.
    Denied {
        /// The scope that refuses longest.
        scope: Scope,
        /// When asking again may help; `None` when that time is not known.
        retry_at: Option<Timestamp>,
        /// The reason, as a sentence.
        why: String,
        /// The changes that time brought.
        changes: Changes,
    },
}

/// What one message changed: journal events, and state to save.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The events, in order of their own time.
    pub events: Vec<Change>,
    /// State to be saved with the events.
    pub saved: Vec<Put>,
    /// Scopes in which a probe's permit came back: a start that was refused there may be let through now.
    pub freed: BTreeSet<Scope>,
}

/// One journal event of a scope, at its own time.
#[derive(Clone, Debug)]
pub struct Change {
    /// When the change came to be; an alarm may notice it later.
    pub at: Timestamp,
    /// The scope that changed.
    pub scope: Scope,
    /// The run concerned, for probes and late outcomes.
    pub run: Option<RunId>,
    /// The event for the journal.
    pub event: Event,
}

/// What an attempt reports about one scope.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The attempt went well.
    Success,
    /// The outcome says nothing about this scope.
    Neutral,
    /// The attempt failed, with this weight.
    Failure {
        /// The weight in thousandths; 1,000 is one failure.
        weight_permille: u32,
    },
    /// The attempt failed with this weight, and the next attempt asks for less (a parameter was lowered). It counts
    /// among the failures in a row, and not in their share of the outcomes: what this attempt asked for is not asked
    /// for any more.
    Lowering {
        /// The weight in thousandths; 1,000 is one failure.
        weight_permille: u32,
    },
    /// The attempt lives, and has become ready: in time, or slowly.
    Ready {
        /// The time from the decision to start it until it was ready, in milliseconds.
        after_ms: u64,
    },
    /// The attempt lives, and has written its first output.
    FirstOutput,
    /// The attempt failed in a way that opens the scope at once.
    Trip,
    /// Like [`Outcome::Trip`], because a parameter was at its floor (`on_floor = "trip"`).
    TripAtFloor,
}

impl Outcome {
    /// Whether the outcome is a failure.
    pub(super) const fn is_failure(self) -> bool {
        match self {
            Self::Failure { .. } | Self::Lowering { .. } | Self::Trip | Self::TripAtFloor => true,
            Self::Success | Self::Neutral | Self::Ready { .. } | Self::FirstOutput => false,
        }
    }
}

/// A breaker as it is shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BreakerStatus {
    /// The breaker's scope.
    pub scope: Scope,
    /// The state of the breaker.
    pub state: BreakerState,
    /// How often the breaker opened without evidence of health since.
    pub level: u32,
    /// Until when the breaker refuses starts; `None` when it refuses none, or has no such time.
    pub until: Option<Timestamp>,
    /// The weight of failures in a row, in thousandths.
    pub failures_permille: u64,
    /// The number of outcomes in its window.
    pub outcomes: u32,
    /// The weight of the failed outcomes in its window, in thousandths.
    pub failed_permille: u64,
    /// The weight of all outcomes in its window, in thousandths.
    pub total_permille: u64,
    /// The number of probes that have not reported yet.
    pub probes: u32,
    /// The latest change, as a sentence.
    pub why: String,
    /// When the latest change was.
    pub changed_at: Timestamp,
}

/// What an operator does to a breaker.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorAct {
    /// Closes the breaker and sets its level to 0.
    Reset,
    /// Refuses all starts, until the time is over or an operator ends it.
    ForceOpen {
        /// How long to refuse, in milliseconds; `None`: until an operator ends it.
        ttl_ms: Option<u64>,
    },
    /// Ends a forced open: to half-open, never straight to closed.
    EndForcedOpen,
    /// Lets every start through and counts no outcome, until an operator changes that.
    Disable,
    /// Lets every start through, and reports when the rules would have opened the breaker.
    MetricsOnly,
    /// Takes back what an operator set: the `mode` of the rules holds again. A forced open ends as by
    /// `EndForcedOpen`; a breaker that let every start through is closed, with its level kept and its counters empty.
    Auto,
}

impl OperatorAct {
    /// Whether the act creates a scope that no run has used yet. An act that ends a state needs a state to end.
    pub(super) const fn creates(self) -> bool {
        match self {
            Self::ForceOpen { .. } | Self::Disable | Self::MetricsOnly => true,
            Self::Reset | Self::EndForcedOpen | Self::Auto => false,
        }
    }
}
