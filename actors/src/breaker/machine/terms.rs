//! What is asked of the machine, and what it answers.

use crate::model::{
    BreakerPolicy, BreakerState, Event, ProbeParams, ProbeSuccess, Put, RunId, Scope, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

/// One scope that gates a start, and its rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Gate {
    /// The scope.
    pub scope: Scope,
    /// Its rules.
    pub policy: Arc<BreakerPolicy>,
}

/// The longest `quarantine` of these scopes, in milliseconds; of equal ones that of the first.
#[must_use]
pub fn longest_quarantine(gates: &[Gate]) -> Option<(Scope, u64)> {
    let given = gates.iter().filter_map(|gate| Some((&gate.scope, gate.policy.quarantine_ms?)));
    let (scope, ms) = given.rev().max_by_key(|(_, ms)| *ms)?;
    Some((scope.clone(), ms))
}

/// Leave to start under one scope, stamped with the scope's epoch: an outcome of another epoch changes nothing.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Permit {
    /// The scope.
    pub scope: Scope,
    /// Its epoch at the grant.
    pub epoch: u64,
    /// Whether it is a probe's lease, and until when.
    pub lease_until: Option<Timestamp>,
    /// The scope's rules at the grant, as far as the holder needs them: how long alive proves a probe, if that does.
    pub stable_ms: Option<u64>,
    /// Likewise: what proves a probe.
    #[serde(default, skip_serializing_if = "ProbeSuccess::is_auto")]
    pub success: ProbeSuccess,
    /// Likewise: after how long a start that becomes ready is a slow one, where the scope wants to hear when it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_ready_ms: Option<u64>,
}

impl Permit {
    /// A permit of no probe, whose scope asks for nothing before the end.
    #[must_use]
    pub const fn plain(scope: Scope, epoch: u64) -> Self {
        let success = ProbeSuccess::Auto;
        Self { scope, epoch, lease_until: None, stable_ms: None, success, slow_ready_ms: None }
    }

    /// Whether its holder probes the scope, and this alone proves it before its end.
    #[must_use]
    pub fn is_proved_by(&self, success: ProbeSuccess) -> bool {
        self.lease_until.is_some() && self.success == success
    }

    /// Whether its holder probes the scope and has to say something before it ends.
    #[must_use]
    pub fn waits_for_a_word(&self) -> bool {
        self.is_proved_by(ProbeSuccess::Ready) || self.is_proved_by(ProbeSuccess::FirstOutput)
    }
}

/// The answer to a request to start.
#[derive(Clone, Debug)]
#[must_use = "a start without its permits can never be reported"]
pub enum Admission {
    /// Go.
    Granted {
        /// One for each gate.
        permits: Vec<Permit>,
        /// Set when it is a probe: which parameters it gets.
        probe: Option<ProbeParams>,
        /// What changed.
        changes: Changes,
    },
    /// Wait, or be refused.
    Denied {
        /// The scope that refuses longest.
        scope: Scope,
        /// When asking again may help.
        retry_at: Option<Timestamp>,
        /// A sentence.
        why: String,
        /// What changed while time passed.
        changes: Changes,
    },
}

/// What one message changed: journal events and state to save.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// In order of their own time.
    pub events: Vec<Change>,
    /// To be saved with them.
    pub saved: Vec<Put>,
    /// Scopes in which a probe's permit came back: a start that was refused may be let through now.
    pub freed: BTreeSet<Scope>,
}

/// One journal event of a scope, at its own time.
#[derive(Clone, Debug)]
pub struct Change {
    /// When it came to be, which an alarm may notice later.
    pub at: Timestamp,
    /// The scope.
    pub scope: Scope,
    /// The run concerned, for probes and late outcomes.
    pub run: Option<RunId>,
    /// What.
    pub event: Event,
}

/// What an attempt says about one scope.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It went well.
    Success,
    /// It says nothing about this scope.
    Neutral,
    /// It failed, with this weight in thousandths.
    Failure {
        /// 1,000 is one failure.
        weight_permille: u32,
    },
    /// It failed with this weight, and the next attempt asks for less (a parameter was lowered). It counts among the failures
    /// in a row, and not in their share of the outcomes: what was asked for then is not asked for any more.
    Lowering {
        /// 1,000 is one failure.
        weight_permille: u32,
    },
    /// It lives, and was ready so long after its start: in time, or slow.
    Ready {
        /// Milliseconds from the decision to start it.
        after_ms: u64,
    },
    /// It lives, and has written something.
    FirstOutput,
    /// It failed in a way that opens the scope at once.
    Trip,
    /// The same, because a parameter was at its floor (`on_floor = "trip"`).
    TripAtFloor,
}

impl Outcome {
    /// Whether it says that something failed.
    pub(super) const fn is_failure(self) -> bool {
        match self {
            Self::Failure { .. } | Self::Lowering { .. } | Self::Trip | Self::TripAtFloor => true,
            Self::Success | Self::Neutral | Self::Ready { .. } | Self::FirstOutput => false,
        }
    }
}

/// A breaker, for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BreakerStatus {
    /// Its scope.
    pub scope: Scope,
    /// `closed`, `open`, `half_open`, `forced_open`, `disabled`, `metrics_only`.
    pub state: BreakerState,
    /// How often it opened without evidence of health since.
    pub level: u32,
    /// Until when it refuses.
    pub until: Option<Timestamp>,
    /// Failures in a row, in thousandths.
    pub failures_permille: u64,
    /// Outcomes in its window.
    pub outcomes: u32,
    /// What those of them that failed weigh, in thousandths …
    pub failed_permille: u64,
    /// … and what all do.
    pub total_permille: u64,
    /// Probes that are out.
    pub probes: u32,
    /// The latest change, as a sentence.
    pub why: String,
    /// When that was.
    pub changed_at: Timestamp,
}

/// What an operator does to a breaker.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorAct {
    /// Closed, level 0.
    Reset,
    /// Refuse, until the time is over or somebody ends it.
    ForceOpen {
        /// For so long; nothing: until ended.
        ttl_ms: Option<u64>,
    },
    /// End a forced open: half-open, never straight to closed.
    EndForcedOpen,
    /// Let everybody through and listen to nothing, until somebody says otherwise.
    Disable,
    /// Let everybody through, and tell when the rules would have opened it.
    MetricsOnly,
    /// Take back whatever an operator said: the `mode` of its rules holds. A forced open ends as by `EndForcedOpen`;
    /// one that let everybody through is closed, with its level kept and nothing counted.
    Auto,
}

impl OperatorAct {
    /// Whether it makes a scope that no run has used yet. What ends something needs something to end.
    pub(super) const fn creates(self) -> bool {
        match self {
            Self::ForceOpen { .. } | Self::Disable | Self::MetricsOnly => true,
            Self::Reset | Self::EndForcedOpen | Self::Auto => false,
        }
    }
}
