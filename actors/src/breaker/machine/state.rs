//! The state of a scope, and what passes between the scope and its callers.

use super::terms::Outcome;
use crate::model::{BreakerMode, BreakerState, Class, RunId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The state of a scope.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// Every run may start.
    Closed,
    /// No run may start before `until`, which only an operator moves.
    Open {
        /// The end of the penalty.
        until: Timestamp,
    },
    /// Probes find out whether the target is well.
    HalfOpen {
        /// The runs that probe, and the time by which each must have reported. A map and no counter, so that a permit
        /// can neither be returned twice nor be lost.
        leases: BTreeMap<RunId, Timestamp>,
        /// The number of probes that succeeded.
        ok: u32,
        /// The weight of the probes that failed, in thousandths.
        failed_permille: u64,
    },
    /// An operator refuses all starts.
    ForcedOpen {
        /// When the refusal ends; `None`: when an operator ends it.
        until: Option<Timestamp>,
    },
    /// Every run may start, and no report counts.
    Disabled,
    /// Every run may start; the rules are evaluated, and their result is only reported.
    MetricsOnly,
}

impl State {
    /// The state for a mode that lets every start through or acts by the rules.
    pub(super) const fn of_mode(mode: BreakerMode) -> Self {
        match mode {
            BreakerMode::Auto => Self::Closed,
            BreakerMode::Disabled => Self::Disabled,
            BreakerMode::MetricsOnly => Self::MetricsOnly,
        }
    }

    /// The state with this byte.
    pub(super) const fn of_byte(byte: u8) -> Option<BreakerState> {
        match byte {
            b'c' => Some(BreakerState::Closed),
            b'o' => Some(BreakerState::Open),
            b'h' => Some(BreakerState::HalfOpen),
            b'f' => Some(BreakerState::ForcedOpen),
            b'd' => Some(BreakerState::Disabled),
            b'm' => Some(BreakerState::MetricsOnly),
            _ => None,
        }
    }

    pub(super) const fn half_open() -> Self {
        Self::HalfOpen { leases: BTreeMap::new(), ok: 0, failed_permille: 0 }
    }

    pub(super) const fn byte(&self) -> u8 {
        match self {
            Self::Closed => b'c',
            Self::Open { .. } => b'o',
            Self::HalfOpen { .. } => b'h',
            Self::ForcedOpen { .. } => b'f',
            Self::Disabled => b'd',
            Self::MetricsOnly => b'm',
        }
    }

    /// Where that is, without its facts.
    pub(super) const fn kind(&self) -> BreakerState {
        match self {
            Self::Closed => BreakerState::Closed,
            Self::Open { .. } => BreakerState::Open,
            Self::HalfOpen { .. } => BreakerState::HalfOpen,
            Self::ForcedOpen { .. } => BreakerState::ForcedOpen,
            Self::Disabled => BreakerState::Disabled,
            Self::MetricsOnly => BreakerState::MetricsOnly,
        }
    }

    /// The number of probes that have not reported yet.
    pub(super) fn probes(&self) -> usize {
        match self {
            Self::HalfOpen { leases, .. } => leases.len(),
            _ => 0,
        }
    }

    pub(super) const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Open { until } => Some(*until),
            Self::ForcedOpen { until } => *until,
            Self::Closed | Self::HalfOpen { .. } | Self::Disabled | Self::MetricsOnly => None,
        }
    }
}

/// Failures in a row.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Row {
    /// The number of failures.
    pub(super) count: u32,
    /// The weight of the failures, in thousandths.
    pub(super) permille: u64,
}

/// Spaces the grants after closing.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Ramp {
    pub(super) until: Timestamp,
    /// When the next run may start.
    pub(super) next: Timestamp,
}

/// Why a start is refused, and when asking again may help.
pub(super) struct Refusal {
    pub(super) retry_at: Option<Timestamp>,
    pub(super) why: String,
}

/// What the holder of a permit reports about its scope.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'a> {
    pub(super) run: RunId,
    pub(super) epoch: u64,
    pub(super) outcome: Outcome,
    pub(super) class: Option<&'a str>,
    pub(super) keep: bool,
    /// Whether the run holds a permit of the scope's present epoch.
    pub(super) holds: bool,
}

impl Word<'_> {
    /// Whether the attempt's end was not seen. Its permit did not outlive the supervisor, so the run can be no
    /// holder.
    pub(super) fn is_of_a_lost_run(&self) -> bool {
        self.outcome == Outcome::Neutral && self.class == Some(Class::LOST)
    }
}
