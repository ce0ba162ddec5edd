//! The latest outcomes of a scope, for the rate rule.
//!
//! A count *and* an age: by count alone an outcome of last month would still vote, by age alone a scope with one start
//! an hour would never have enough votes. An outcome counts at the time it became known, so that a long run does not
//! report into a window which has passed.

use crate::model::{Timestamp, Window as Limits};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The weight of a success in the total, in thousandths.
const SUCCESS_PERMILLE: u32 = 1_000;

/// The outcomes, oldest first.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "Vec<(Timestamp, u32)>", into = "Vec<(Timestamp, u32)>")]
pub(super) struct Window {
    /// The time of each outcome, and the weight of the failure in thousandths; 0 is a success.
    entries: VecDeque<(Timestamp, u32)>,
    failures: u32,
    failed_permille: u64,
    total_permille: u64,
}

/// The result of a window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Share {
    /// The number of failures.
    pub(super) failures: u32,
    /// The number of outcomes, failures included.
    pub(super) outcomes: u32,
    /// The weight of the failures, in thousandths of the total weight.
    pub(super) permille: u64,
}

impl Window {
    /// Adds an outcome. Outcomes that no longer belong to the window leave it.
    pub(super) fn push(&mut self, at: Timestamp, weight_permille: u32, limits: Limits) {
        self.add(at, weight_permille);
        let size = usize::try_from(limits.size.max(1)).unwrap_or(usize::MAX);
        while self.entries.len() > size
            || (limits.age_ms > 0
                && self.entries.front().is_some_and(|(then, _)| at.since(*then) >= limits.age_ms))
        {
            self.drop_oldest();
        }
    }

    /// The share of failures, as of the latest outcome.
    pub(super) fn share(&self) -> Share {
        let permille = (u128::from(self.failed_permille) * 1_000)
            .checked_div(u128::from(self.total_permille))
            .unwrap_or(0);
        Share {
            failures: self.failures,
            outcomes: u32::try_from(self.entries.len()).unwrap_or(u32::MAX),
            permille: u64::try_from(permille).unwrap_or(u64::MAX),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The weight of the failures in the window, and the weight of all outcomes in it, in thousandths.
    pub(super) const fn weights(&self) -> (u64, u64) {
        (self.failed_permille, self.total_permille)
    }

    /// When the newest outcome was.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.entries.back().map(|(at, _)| *at)
    }

    /// The same outcomes, with their times mapped.
    pub(super) fn map_times(&mut self, to: impl Fn(Timestamp) -> Timestamp) {
        for (at, _) in &mut self.entries {
            *at = to(*at);
        }
    }

    fn add(&mut self, at: Timestamp, weight: u32) {
        self.entries.push_back((at, weight));
        self.failures += u32::from(weight > 0);
        self.failed_permille += u64::from(weight);
        self.total_permille += u64::from(if weight == 0 { SUCCESS_PERMILLE } else { weight });
    }

    fn drop_oldest(&mut self) {
        if let Some((_, weight)) = self.entries.pop_front() {
            self.failures -= u32::from(weight > 0);
            self.failed_permille -= u64::from(weight);
            self.total_permille -= u64::from(if weight == 0 { SUCCESS_PERMILLE } else { weight });
        }
    }
}

impl From<Vec<(Timestamp, u32)>> for Window {
    fn from(entries: Vec<(Timestamp, u32)>) -> Self {
        let mut window = Self::default();
        for (at, weight) in entries {
            window.add(at, weight);
        }
        window
    }
}

impl From<Window> for Vec<(Timestamp, u32)> {
    fn from(window: Window) -> Self {
        window.entries.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_share_is_of_the_latest_outcomes_that_are_young_enough() {
        let limits = Limits { size: 3, age_ms: 100, min: 1 };
        let mut window = Window::default();
        for (at, weight, failures, outcomes, permille) in [
            (0, 1_000, 1, 1, 1_000),
            (10, 0, 1, 2, 500),
            (20, 500, 2, 3, 600),
            (30, 0, 1, 3, 200),
            (119, 0, 1, 3, 200),
            (120, 0, 0, 3, 0),
        ] {
            window.push(Timestamp(at), weight, limits);
            assert_eq!(window.share(), Share { failures, outcomes, permille }, "at {at}");
        }
        window.push(Timestamp(500), 1_000, limits);
        assert_eq!(window.share().outcomes, 1, "the others are too old");
    }

    #[test]
    fn an_outcome_of_exactly_the_age_is_too_old() {
        let (mut window, limits) = (Window::default(), Limits { size: 9, age_ms: 100, min: 1 });
        for (at, outcomes) in [(0, 1), (99, 2), (100, 2), (199, 2)] {
            window.push(Timestamp(at), 1_000, limits);
            assert_eq!(window.share().outcomes, outcomes, "at {at}");
        }
    }

    #[test]
    fn an_age_of_zero_keeps_outcomes_however_old() {
        let mut window = Window::default();
        let limits = Limits { size: 2, age_ms: 0, min: 1 };
        window.push(Timestamp(0), 1_000, limits);
        window.push(Timestamp(u64::MAX), 0, limits);
        assert_eq!(window.share().outcomes, 2);
    }

    proptest! {
        #[test]
        fn running_sums_are_those_of_a_recount(log in prop::collection::vec((0..50u64, 0..3_000u32), 1..80)) {
            let limits = Limits { size: 10, age_ms: 200, min: 1 };
            let (mut window, mut now) = (Window::default(), Timestamp(0));
            for (gap, weight) in log {
                now = now.plus(gap);
                window.push(now, weight, limits);
                let recount = Window::from(Vec::from(window.clone()));
                prop_assert_eq!(&recount, &window);
                prop_assert!(window.share().outcomes <= 10 && window.share().permille <= 1_000);
            }
        }
    }
}
