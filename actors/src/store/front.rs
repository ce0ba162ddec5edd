//! The front of the journal: where a commit becomes one that no death of ours loses, on the thread of whoever decides.
//!
//! A commit gets its key, is sealed, and stands in the write-ahead file before its caller goes on: one `write` into the page
//! cache, some microseconds. At first the store's thread did that: a decision, and everything that waited for it, then waited
//! for two changes of thread, several times as long. The store's thread gets each commit after that, in the order of their
//! keys, and gives it to sled.

use super::{
    ahead::Ahead,
    answer::StoreError,
    entry::{Commit, Entry, Key, write_entry},
    facts::Facts,
};
use crate::clock;
use std::{
    fmt,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A commit that stands in the write-ahead file.
pub(crate) struct Sealed {
    pub(crate) commit: Commit,
    pub(super) of: Facts,
    /// As it stands there.
    pub(super) bytes: Vec<u8>,
    /// Where it ends there.
    pub(super) end: End,
}

/// A place in the write-ahead file, as long as nothing in it moves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct End {
    /// How often something has moved.
    moves: u64,
    offset: u64,
}

struct Inner {
    last_key: Key,
    ahead: Ahead,
    moves: u64,
    closed: bool,
}

/// Bytes of decisions that may wait for sled's flush, thousands of them. Beyond it a commit waits for the flush: the file must
/// not grow with a burst.
const MOST: u64 = 4 << 20;

/// How long a commit waits for that at most: a disk that stands still for longer must not hold up what is decided.
const PATIENCE: Duration = Duration::from_millis(1_000);

/// See the module. Shared by the store's handles and its thread.
pub(crate) struct Front {
    inner: Mutex<Inner>,
    /// There is room in the file again.
    emptied: Condvar,
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Front")
    }
}

impl Front {
    /// A front whose commits follow `last_key`.
    pub(super) fn new(last_key: Key, ahead: Ahead) -> Self {
        Self {
            inner: Mutex::new(Inner { last_key, ahead, moves: 0, closed: false }),
            emptied: Condvar::new(),
        }
    }

    /// Commits follow this key from now on. Before the first one.
    pub(super) fn begin_behind(&self, last_key: Key) {
        self.hold().last_key = last_key;
    }

    fn hold(&self) -> MutexGuard<'_, Inner> {
        // What is behind it is whole between any two lines: a panic elsewhere breaks nothing of it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a commit ahead. `give` takes it to the store's thread; commits come there in the order of their keys. `waits`
    /// says whether a flush can be waited for: one that sled refuses does not come.
    pub(super) fn write(
        &self,
        commit: Commit,
        waits: bool,
        give: impl FnOnce(Sealed),
    ) -> Result<(), StoreError> {
        let is_long = |inner: &mut Inner| waits && inner.ahead.bytes() >= MOST && !inner.closed;
        let waited = self.emptied.wait_timeout_while(self.hold(), PATIENCE, is_long);
        let (mut inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if inner.closed {
            return Err(StoreError::Closed);
        }
        let (seq, count) = inner.last_key;
        let after = commit.first_seq > seq;
        let key = if after { (commit.first_seq, 0) } else { (seq, count.saturating_add(1)) };
        let at_ms = clock::wall_ms();
        let bytes = write_entry(key, at_ms, &commit);
        let written = inner.ahead.append(&bytes);
        written.map_err(|error| StoreError::Failed(format!("write-ahead file: {error}")))?;
        inner.last_key = key;
        let end = End { moves: inner.moves, offset: inner.ahead.bytes() };
        give(Sealed { of: Facts::of_commit(key, at_ms, &commit), commit, bytes, end });
        Ok(())
    }

    /// Takes no more commits; `then` runs before another thread could write one.
    pub(super) fn close(&self, then: impl FnOnce()) {
        let mut inner = self.hold();
        inner.closed = true;
        then();
    }

    /// sled has flushed all up to this place: it is written over from now on. What was written meanwhile stays; no commit
    /// waits for a flush.
    pub(super) fn forget(&self, flushed: End) {
        let mut inner = self.hold();
        if flushed.moves != inner.moves {
            return; // It was told by an earlier place in the file. The next flush has one of now.
        }
        match inner.ahead.forget(flushed.offset) {
            Ok(true) => {
                inner.moves += 1;
                self.emptied.notify_all();
            }
            Ok(false) => {} // More came than went: the file grows until the next flush.
            Err(error) => log::error!("the write-ahead file stays as it is; error={error}"),
        }
    }

    /// Bytes of the file that sled may not have flushed.
    pub(super) fn bytes(&self) -> u64 {
        self.hold().ahead.bytes()
    }

    /// What stands in the file and sled may not have flushed, in order.
    pub(super) fn entries(&self) -> Vec<(Key, Entry)> {
        self.hold().ahead.entries()
    }
}
