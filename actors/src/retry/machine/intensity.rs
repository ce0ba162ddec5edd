//! How often a run was started again of late: the one counter that success never clears.
//!
//! The retry counter forgets when things go well. A run that is well for eleven minutes and then dies, for ever, would
//! never give up by that counter alone; a run that dies within a millisecond with a delay of zero would burn a core.

use crate::model::{ClockShift, Intensity, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Times of a run's newest automatic starts, oldest first.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Starts(VecDeque<Timestamp>);

impl Starts {
    /// No start so far.
    pub(super) const NONE: Self = Self(VecDeque::new());

    /// Records an automatic start at this time. Drops starts that are too old, or too many, to matter.
    pub(super) fn record(&mut self, at: Timestamp, limit: Intensity) {
        let at = self.0.back().map_or(at, |last| at.max(*last));
        self.0.push_back(at);
        let keep = usize::try_from(limit.restarts).unwrap_or(usize::MAX);
        while self.0.len() > keep || self.0.front().is_some_and(|first| at.since(*first) >= limit.window_ms) {
            self.0.pop_front();
        }
    }

    /// Whether one more start at this time would be one too many. `window` is half-open: a start exactly one window
    /// later than another is no longer in the same window.
    #[must_use]
    pub(super) fn is_full_at(&self, at: Timestamp, limit: Intensity) -> bool {
        let within = self.0.iter().filter(|start| at.since(**start) < limit.window_ms).count();
        u32::try_from(within).unwrap_or(u32::MAX) >= limit.restarts
    }

    /// The first time at which one more start is allowed.
    #[must_use]
    pub(super) fn free_at(&self, limit: Intensity) -> Timestamp {
        let most = usize::try_from(limit.restarts).unwrap_or(usize::MAX).max(1);
        let first = self.0.len().checked_sub(most).and_then(|place| self.0.get(place));
        first.map_or(Timestamp::default(), |start| start.plus(limit.window_ms))
    }

    /// Moves the times to the present clock; no start is later than `now`.
    pub(super) fn wake(&mut self, now: Timestamp, shift: ClockShift) {
        for start in &mut self.0 {
            *start = shift.apply(*start).min(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_start_one_window_later_is_free() {
        let limit = Intensity { restarts: 2, window_ms: 100 };
        let mut starts = Starts::default();
        starts.record(Timestamp(0), limit);
        assert!(!starts.is_full_at(Timestamp(50), limit));
        starts.record(Timestamp(50), limit);
        assert!(starts.is_full_at(Timestamp(99), limit));
        assert!(!starts.is_full_at(Timestamp(100), limit));
    }

    #[test]
    fn no_restarts_allowed_means_none() {
        let limit = Intensity { restarts: 0, window_ms: 100 };
        let mut starts = Starts::default();
        assert!(starts.is_full_at(Timestamp(0), limit));
        starts.record(Timestamp(0), limit);
        assert_eq!(starts, Starts::default());
    }

    proptest! {
        #[test]
        fn no_half_open_window_holds_more_starts_than_allowed(
            restarts in 1..8u32,
            window_ms in 1..500u64,
            gaps in proptest::collection::vec(0..200u64, 1..200),
        ) {
            let limit = Intensity { restarts, window_ms };
            let (mut starts, mut all, mut now) = (Starts::default(), Vec::new(), Timestamp(0));
            for gap in gaps {
                now = now.plus(gap);
                if !starts.is_full_at(now, limit) {
                    starts.record(now, limit);
                    all.push(now);
                }
            }
            for first in &all {
                let within = all.iter().filter(|at| **at >= *first && at.since(*first) < window_ms).count();
                prop_assert!(within <= restarts as usize);
            }
        }
    }
}
