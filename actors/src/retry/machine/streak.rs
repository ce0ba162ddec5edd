//! What Retry remembers of one run.
//!
//! Most of a decision's time is memory that the processor has to fetch. So what every decision looks at lies in the
//! table of runs itself, in two cache lines, and the rest behind a pointer, where there is any.

use super::{adjust::Adjusted, intensity::Starts};
use crate::model::{ClockShift, Timestamp};
use std::collections::BTreeMap;

/// The failures of a run since it was last well, and what is never forgotten while the run goes on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Streak {
    /// The number of counted failures in a row.
    pub(super) n: u32,
    /// The number of failures in a row that did not count.
    pub(super) uncounted: u32,
    /// The time of the first failure of the row, counted or not.
    pub(super) first_failure: Option<Timestamp>,
    /// The preceding delay in milliseconds, for decorrelated jitter.
    pub(super) previous_ms: Option<u64>,
    /// The number of delays drawn so far, which makes each draw a different one. Success does not reset it.
    pub(super) draws: u64,
    /// What the next start takes from the budget until it is paid, in thousandths of a token.
    pub(super) cost_permille: u32,
    /// Whether the supervisor decided on the next start by itself, so that it counts towards the intensity.
    pub(super) automatic: bool,
    /// Whether the next start is the one that ends a quarantine: its failure begins another.
    pub(super) probation: bool,
    pub(super) rest: Rest,
}

/// What a run has that is counted by time, by class or by parameter; `None` at first.
#[derive(Clone, Debug, Default)]
pub(super) struct Rest(Option<Box<Lists>>);

/// The lists of [`Rest`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Lists {
    /// The recent automatic starts. Success does not clear them.
    pub(super) starts: Starts,
    /// The number of failures in a row by class, for classes that have a limit of their own.
    pub(super) by_class: BTreeMap<String, u32>,
    /// Adjusted parameters that the run does not share.
    pub(super) params: BTreeMap<String, Adjusted>,
}

impl Rest {
    /// Stores the lists; empty lists as `None`.
    pub(super) fn of(lists: Lists) -> Self {
        Self((lists != Lists::default()).then(|| Box::new(lists)))
    }

    pub(super) fn get(&self) -> &Lists {
        static NONE: Lists =
            Lists { starts: Starts::NONE, by_class: BTreeMap::new(), params: BTreeMap::new() };
        self.0.as_deref().unwrap_or(&NONE)
    }

    /// The lists, to change what is there; `None` when they are empty.
    pub(super) fn get_mut(&mut self) -> Option<&mut Lists> {
        self.0.as_deref_mut()
    }

    /// The lists, created if there are none, to write into them.
    pub(super) fn make(&mut self) -> &mut Lists {
        self.0.get_or_insert_default()
    }
}

impl PartialEq for Rest {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Rest {}

impl Streak {
    /// The run was well: ends the row of failures.
    pub(super) fn forgive(&mut self) {
        (self.n, self.uncounted, self.first_failure, self.previous_ms) = (0, 0, None, None);
        self.probation = false;
        if let Some(rest) = self.rest.get_mut() {
            rest.by_class.clear();
        }
    }

    /// Counts one more failure of a class that has a limit of its own. Returns how many there are in this row.
    pub(super) fn count_class(&mut self, class: &str) -> u32 {
        let count = self.rest.make().by_class.entry(class.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// Counts one more failure at this time. Returns the position in the row that its delay depends on.
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

    /// Moves the times to the present clock; none is later than `now`.
    pub(super) fn wake(&mut self, now: Timestamp, shift: ClockShift) {
        self.first_failure = self.first_failure.map(|at| shift.apply(at).min(now));
        if let Some(rest) = self.rest.get_mut() {
            rest.starts.wake(now, shift);
            rest.params.values_mut().for_each(|adjusted| adjusted.wake(now, shift));
        }
    }
}
