//! Memory that a burst leaves behind.
//!
//! A thousand starts at once take a few kilobytes each for some milliseconds: messages, answers, commits on their way.
//! glibc keeps the pages that become free between those which do not, in the arena of every thread: some 4 of
//! the 18 KiB that a sleeping child costs, measured. Only it can give them back.

use super::entry::Commit;

/// So many records make a burst: some three hundred starts. Fewer leave a megabyte, which the next ones use again.
const BURST: usize = 1_000;

/// Counts records until things are quiet.
#[derive(Debug, Default)]
pub(super) struct Burst {
    records: usize,
}

impl Burst {
    pub(super) const fn count(&mut self, commit: &Commit) {
        self.records = self.records.saturating_add(commit.records.len());
    }

    /// Things are quiet: gives back what is free, if there was a burst. It takes a millisecond or two, during which other
    /// threads that allocate wait: not when there is something to do.
    pub(super) fn is_over(&mut self) {
        if std::mem::take(&mut self.records) >= BURST {
            give_back();
        }
    }
}

/// Pieces of this size and larger come from the system one by one, and go back to it when they are freed. glibc takes the
/// largest piece that was ever freed, up to 32 MiB, as a sign of what it should keep for itself; then the tables of sled's
/// pages, 6 MiB for each open database of which it uses some hundred kilobytes, are cut from memory that was used before,
/// and all of them has to be cleared, so it is there as a whole. 38 MiB became 20 to 33 for the same. The
/// pages of output that readers are given, some 4 MiB, are below it: taken from the system one by one, and cleared each
/// time, they cost readers a third of their speed.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 5 << 20;

/// What an arena may keep at its end before it gives it back: with less, a reader's pages of output are taken from the
/// system and cleared anew each time. What bursts and readers leave is given back when things are quiet.
#[cfg(target_env = "gnu")]
const KEPT_AT_END: libc::c_int = 32 << 20;

/// Whoever sets glibc's own variables knows better.
#[cfg(target_env = "gnu")]
const BY_HAND: [&str; 2] = ["MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"];

/// Lets large pieces of memory go back when they are freed, once for the process.
#[cfg(target_env = "gnu")]
pub(super) fn give_back_large_pieces() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    if BY_HAND.iter().any(|name| std::env::var_os(name).is_some()) {
        return;
    }
    // SAFETY: glibc allows both at any time and from any thread; they change where memory comes from, not what it holds.
    // Only glibc has them.
    ONCE.call_once(|| unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_AT_END);
    });
}

/// Other allocators know by themselves, or cannot be told.
#[cfg(not(target_env = "gnu"))]
pub(super) const fn give_back_large_pieces() {}

#[cfg(target_env = "gnu")]
pub(super) fn give_back() {
    // SAFETY: glibc allows it at any time and from any thread. Only glibc has it.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators give back by themselves, or cannot be told.
#[cfg(not(target_env = "gnu"))]
pub(super) const fn give_back() {}
