//! What Retry remembers of one run.

use super::{adjust::Adjusted, intensity::Starts};
use crate::model::{ClockShift, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The failures of a run since it was last well, and what is never forgotten while the run goes on.
///
/// Saved by place, not by name: a new field goes to the end, and none changes its place.
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
    /// The next start is the one that ends a quarantine: its failure begins another.
    pub(super) probation: bool,
    /// Automatic starts of late. Success does not clear them.
    pub(super) starts: Starts,
    /// Failures in a row by class, of the classes that have a limit of their own.
    pub(super) by_class: BTreeMap<String, u32>,
    /// What the next start takes from the budget, in thousandths of a token, until it is paid.
    pub(super) cost_permille: u32,
    /// Adjusted parameters that the run shares with nobody.
    pub(super) params: BTreeMap<String, Adjusted>,
}

impl Streak {
    /// The run was well: the row of failures is over.
    pub(super) fn forgive(&mut self) {
        (self.n, self.uncounted, self.first_failure, self.previous_ms) = (0, 0, None, None);
        self.by_class.clear();
        self.probation = false;
    }

    /// One more failure by a class that has a limit of its own; how many there are in this row.
    pub(super) fn count_class(&mut self, class: &str) -> u32 {
        let count = self.by_class.entry(class.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count
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

    /// By the clock of now, after which nothing was.
    pub(super) fn wake(&mut self, now: Timestamp, shift: ClockShift) {
        self.first_failure = self.first_failure.map(|at| shift.apply(at).min(now));
        self.starts.wake(now, shift);
        self.params.values_mut().for_each(|adjusted| adjusted.wake(now, shift));
    }
}
