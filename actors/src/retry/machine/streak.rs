//! What Retry remembers of one run.

use super::{adjust::Adjusted, intensity::Starts};
use crate::model::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The failures of a run since it was last well, and what is never forgotten while the run goes on.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub(super) struct Streak {
    /// Counted failures in a row.
    pub(super) n: u32,
    /// Failures in a row that did not count.
    pub(super) uncounted: u32,
    /// When the first failure of the row was, counted or not.
    pub(super) first_failure: Option<Timestamp>,
    /// The delay before, for decorrelated jitter.
    pub(super) previous_ms: Option<u64>,
    /// How many delays were drawn: the number that makes each draw another one. Success does not reset it.
    pub(super) draws: u64,
    /// Whether the next start was decided by us, and so counts towards the intensity.
    pub(super) automatic: bool,
    /// Automatic starts of late. Success does not clear them.
    pub(super) starts: Starts,
    /// Adjusted parameters that the run shares with nobody.
    pub(super) params: BTreeMap<String, Adjusted>,
}

impl Streak {
    /// The run was well: the row of failures is over.
    pub(super) fn forgive(&mut self) {
        (self.n, self.uncounted, self.first_failure, self.previous_ms) = (0, 0, None, None);
    }

    /// One more failure at this time; the position in the row that its delay goes by.
    pub(super) fn count(&mut self, counts: bool, now: Timestamp) -> u32 {
        self.first_failure.get_or_insert(now);
        if counts {
            self.n = self.n.saturating_add(1);
            self.uncounted = 0;
            self.n
        } else {
            self.uncounted = self.uncounted.saturating_add(1);
            self.uncounted
        }
    }

    /// Nothing was later than `now`: after a restart the clock may stand earlier than before.
    pub(super) fn clamp(&mut self, now: Timestamp) {
        self.first_failure = self.first_failure.map(|at| at.min(now));
        self.starts.clamp(now);
        for adjusted in self.params.values_mut() {
            adjusted.lowered_at = adjusted.lowered_at.map(|at| at.min(now));
        }
    }
}
