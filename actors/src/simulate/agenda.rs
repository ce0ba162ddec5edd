//! What is going to happen, in order of time and, at one time, in the order in which it was entered.

use crate::model::{AttemptId, Timestamp};
use std::collections::BTreeMap;

/// One event that is going to happen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    /// The request with this index.
    Start(usize),
    /// The operator's act with this index.
    Operator(usize),
    /// A process writes.
    Output(AttemptId),
    /// A process says that it is ready.
    Ready(AttemptId),
    /// A process ends.
    End(AttemptId),
    /// The supervisor dies, in the restart with this index.
    Down(usize),
    /// The supervisor comes back, in the restart with this index.
    Up(usize),
}

/// The events to come; see the module.
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

    /// When the next event happens; `None` when there is none.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.entries.keys().next().map(|(at, _)| *at)
    }

    /// Takes the next event that is due at `now`.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<Entry> {
        let first = self.entries.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }
}
