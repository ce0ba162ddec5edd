//! Which run is due when: ordered by time, found by run, never searched.

use crate::model::{RunId, RunMap, Timestamp};
use std::collections::BTreeSet;

/// The starts to come; at most one for each run.
#[derive(Clone, Debug, Default)]
pub(super) struct Schedule {
    by_time: BTreeSet<(Timestamp, RunId)>,
    by_run: RunMap<Timestamp>,
}

impl Schedule {
    /// Makes this run due at this time, instead of any other.
    pub(super) fn set(&mut self, run: RunId, at: Timestamp) {
        self.remove(run);
        self.by_run.insert(run, at);
        self.by_time.insert((at, run));
    }

    /// Makes this run not due. Returns whether it was due.
    pub(super) fn remove(&mut self, run: RunId) -> bool {
        let at = self.by_run.remove(&run);
        if let Some(at) = at {
            self.by_time.remove(&(at, run));
        }
        at.is_some()
    }

    /// When this run is due; `None` when it is not.
    #[cfg(test)]
    pub(super) fn find(&self, run: RunId) -> Option<Timestamp> {
        self.by_run.get(&run).copied()
    }

    /// The time of the earliest start.
    #[must_use]
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes the run with the earliest start, if it is due.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<RunId> {
        let (at, run) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.remove(run);
        Some(run)
    }
}
