//! The deadlines of runs: one ordered set, one alarm.

use super::timers::Timer;
use crate::model::{RunId, Timestamp};
use std::collections::BTreeSet;

/// Every deadline that is armed. Each also stands in its run, so that all of one run are found at its end.
#[derive(Debug, Default)]
pub(super) struct Deadlines(BTreeSet<(Timestamp, RunId, Timer)>);

impl Deadlines {
    pub(super) fn arm(&mut self, at: Timestamp, run: RunId, timer: Timer) {
        self.0.insert((at, run, timer));
    }

    pub(super) fn disarm(&mut self, at: Timestamp, run: RunId, timer: Timer) {
        self.0.remove(&(at, run, timer));
    }

    /// When the next one is over; `None` when none is armed.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, _, _)| *at)
    }

    /// Takes the next one that is over at this time.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<(Timestamp, RunId, Timer)> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop_first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_taken_in_order_of_time_and_once() {
        let (mut deadlines, run) = (Deadlines::default(), RunId::from_parts(0, 1));
        for (at, timer) in
            [(30, Timer::Idle), (10, Timer::Timeout), (20, Timer::Stable), (20, Timer::Healthy)]
        {
            deadlines.arm(Timestamp(at), run, timer);
        }
        deadlines.disarm(Timestamp(20), run, Timer::Stable);
        assert_eq!(deadlines.take_due(Timestamp(9)), None);
        assert_eq!(deadlines.take_due(Timestamp(20)), Some((Timestamp(10), run, Timer::Timeout)));
        assert_eq!(deadlines.take_due(Timestamp(20)), Some((Timestamp(20), run, Timer::Healthy)));
        assert_eq!((deadlines.take_due(Timestamp(20)), deadlines.next()), (None, Some(Timestamp(30))));
    }
}
