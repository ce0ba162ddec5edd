//! What is going to happen, in order of time and, at one time, in the order it was put down.

use crate::model::{AttemptId, Timestamp};
use std::collections::BTreeMap;

/// One thing that is going to happen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    /// The request of this number.
    Start(usize),
    /// The operator's act of this number.
    Operator(usize),
    /// A process writes.
    Output(AttemptId),
    /// A process says that it is ready.
    Ready(AttemptId),
    /// A process ends.
    End(AttemptId),
    /// The supervisor dies, for the time of this number.
    Down(usize),
    /// It comes back.
    Up(usize),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    entries: BTreeMap<(Timestamp, u64), Entry>,
    next: u64,
}

impl Agenda {
    pub(super) fn put(&mut self, at: Timestamp, entry: Entry) {
        self.entries.insert((at, self.next), entry);
        self.next += 1;
    }

    /// When the next thing happens.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.entries.keys().next().map(|(at, _)| *at)
    }

    /// Takes what happens until now.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<Entry> {
        let first = self.entries.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }
}
