//! What becomes of an adjusted parameter: how it returns to its requested value, and what its floor means.

use super::ParamSpec;
use serde::{Deserialize, Serialize};

/// How an adjusted value returns to what the run asked for: step by step, on success alone.
///
/// A success is a job's, or each `reset_after` of a daemon's life without an error. The value before the last
/// decrease was bad; while it is avoided, the way back ends at nine tenths of it, or the next step would repeat the
/// incident.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Restore {
    /// How long after a decrease the value is not increased, in milliseconds. Default 600,000.
    pub hold_ms: u64,
    /// The shortest time between two increases, in milliseconds. Default 300,000.
    pub every_ms: u64,
    /// How much an increase adds, in millionths of the unit; `None`: a tenth of what the run asked for, at least one unit.
    pub add_micros: Option<i64>,
    /// How long the last bad value is avoided, in milliseconds. Default 21,600,000.
    pub avoid_ms: u64,
}

impl Default for Restore {
    fn default() -> Self {
        Self { hold_ms: 600_000, every_ms: 300_000, add_micros: None, avoid_ms: 21_600_000 }
    }
}

/// What follows a failure that would lower a parameter which is at its floor.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFloor {
    /// The run is tried again at the floor.
    #[default]
    Continue,
    /// The breakers that are told of the class open at once: what is asked of their target is too much even so.
    Trip,
    /// The run gives up: less than the floor is not allowed, and the floor is too much.
    GiveUp,
}

impl ParamSpec {
    /// Sets how an adjusted value returns, instead of the default.
    #[must_use]
    pub const fn restore(mut self, restore: Restore) -> Self {
        self.restore = Some(restore);
        self
    }

    /// Keeps an adjusted value where it is until a rule of a class raises it.
    #[must_use]
    pub const fn no_restore(mut self) -> Self {
        self.restore = None;
        self
    }

    /// Sets what follows a failure that finds the parameter at its floor. Default continue.
    #[must_use]
    pub const fn on_floor(mut self, on_floor: OnFloor) -> Self {
        self.on_floor = on_floor;
        self
    }
}
