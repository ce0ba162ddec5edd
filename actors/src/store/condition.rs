//! How the store does: told by its thread, read by anybody at any time.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

/// How the store does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Condition {
    /// The journal takes no entries: what is decided stands in the reserve, the write-ahead file alone.
    pub refuses: bool,
    /// Commits in the reserve that the journal has refused. Beyond some thousand the store refuses, too.
    pub owed: usize,
    /// Flushes to the disk since the store was opened.
    pub flushes: u64,
    /// What all of them took together, in microseconds.
    pub flush_us: u64,
}

/// What the store's thread writes down of itself. Nobody decides anything by it, so that no order among them is needed.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    refuses: AtomicBool,
    full: AtomicBool,
    owed: AtomicUsize,
    flushes: AtomicU64,
    flush_us: AtomicU64,
}

impl Gauges {
    pub(crate) fn stand(&self, refuses: bool, owed: usize) {
        self.refuses.store(refuses, Relaxed);
        self.owed.store(owed, Relaxed);
    }

    /// Whether the reserve takes no more commits.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Relaxed)
    }

    pub(crate) fn set_full(&self, full: bool) {
        self.full.store(full, Relaxed);
    }

    pub(crate) fn flushed(&self, took: Duration) {
        self.flushes.fetch_add(1, Relaxed);
        self.flush_us.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn read(&self) -> Condition {
        Condition {
            refuses: self.refuses.load(Relaxed),
            owed: self.owed.load(Relaxed),
            flushes: self.flushes.load(Relaxed),
            flush_us: self.flush_us.load(Relaxed),
        }
    }
}
