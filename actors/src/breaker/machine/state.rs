//! Where a scope stands, and what passes between it and those who ask.

use super::terms::Outcome;
use crate::model::{RunId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a scope stands.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// Everybody may start.
    Closed,
    /// Nobody may start before `until`, which nothing but an operator moves.
    Open {
        /// End of the penalty.
        until: Timestamp,
    },
    /// Probes find out.
    HalfOpen {
        /// Who probes, and until when he must have said how it went. A map and no counter, so that a permit can
        /// neither be returned twice nor be lost.
        leases: BTreeMap<RunId, Timestamp>,
        /// Probes that succeeded.
        ok: u32,
        /// Weight of those that failed.
        failed_permille: u64,
    },
    /// An operator refuses everybody.
    ForcedOpen {
        /// Until then; nothing: until somebody ends it.
        until: Option<Timestamp>,
    },
}

impl State {
    /// The name of the state with this byte, if it is one that must not come back closed.
    pub(super) const fn refusing(byte: u8) -> Option<&'static str> {
        match byte {
            b'o' => Some("open"),
            b'h' => Some("half_open"),
            b'f' => Some("forced_open"),
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
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half_open",
            Self::ForcedOpen { .. } => "forced_open",
        }
    }

    pub(super) const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Open { until } => Some(*until),
            Self::ForcedOpen { until } => *until,
            Self::Closed | Self::HalfOpen { .. } => None,
        }
    }
}

/// Failures in a row.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Row {
    /// How many.
    pub(super) count: u32,
    /// Their weight.
    pub(super) permille: u64,
}

/// Grants after closing are spaced.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Ramp {
    pub(super) until: Timestamp,
    /// When the next may start.
    pub(super) next: Timestamp,
}

/// Why a start is refused, and when asking again may help.
pub(super) struct Refusal {
    pub(super) retry_at: Option<Timestamp>,
    pub(super) why: String,
}

/// What the holder of a permit says about its scope.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'a> {
    pub(super) run: RunId,
    pub(super) epoch: u64,
    pub(super) outcome: Outcome,
    pub(super) class: Option<&'a str>,
    pub(super) keep: bool,
}
