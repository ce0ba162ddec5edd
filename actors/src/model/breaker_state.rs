//! The state of a breaker, by name.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The state of a breaker.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Every start is let through.
    Closed,
    /// No start is let through before the penalty is over.
    Open,
    /// Probes find out whether the breaker closes.
    HalfOpen,
    /// An operator refuses every start.
    ForcedOpen,
    /// Every start is let through, and no outcome counts.
    Disabled,
    /// Every start is let through; that the breaker would have opened is only reported.
    MetricsOnly,
}

impl BreakerState {
    /// All states.
    pub const ALL: [Self; 6] =
        [Self::Closed, Self::Open, Self::HalfOpen, Self::ForcedOpen, Self::Disabled, Self::MetricsOnly];

    /// The name in JSON, in metrics and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::Disabled => "disabled",
            Self::MetricsOnly => "metrics_only",
        }
    }

    /// Whether the breaker refuses every start.
    #[must_use]
    pub const fn refuses_all(self) -> bool {
        matches!(self, Self::Open | Self::ForcedOpen)
    }
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_is_written_by_its_name() {
        for state in BreakerState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
    }
}
