//! Memory that a burst leaves behind.
//!
//! A thousand starts at once take a few kilobytes each for some milliseconds: messages, answers, commits on their way.
//! glibc keeps the pages that become free between those which do not, in the arena of every thread: some 4 of
//! the 18 KiB that a sleeping child costs, measured. Only it can give them back.

use super::handle::Commit;

/// So many records make a burst: some three hundred starts. Fewer leave a megabyte, which the next ones use again.
const BURST: usize = 1_000;

/// Counts records until things are quiet.
#[derive(Debug, Default)]
pub(super) struct Burst {
    records: usize,
}

impl Burst {
    pub(super) fn count(&mut self, commits: &[Commit]) {
        let records: usize = commits.iter().map(|commit| commit.records.len()).sum();
        self.records = self.records.saturating_add(records);
    }

    /// Things are quiet: gives back what is free, if there was a burst. It takes a millisecond or two, during which other
    /// threads that allocate wait: not when there is something to do.
    pub(super) fn is_over(&mut self) {
        if std::mem::take(&mut self.records) >= BURST {
            give_back();
        }
    }
}

#[cfg(target_env = "gnu")]
pub(super) fn give_back() {
    // SAFETY: glibc allows it at any time and from any thread.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators give back by themselves, or cannot be told.
#[cfg(not(target_env = "gnu"))]
pub(super) const fn give_back() {}
