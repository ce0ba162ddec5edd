//! Chunks that were stored a moment ago, for readers that keep up with the writer.
//!
//! Who follows a child that writes much would have each chunk read back and unpacked right after it was packed and
//! written. As long as somebody reads, the newest chunks stay in memory; when nobody does, none.

use super::chunk::Chunk;
use crate::model::Timestamp;
use std::{collections::VecDeque, sync::Arc};

/// Bytes of lines that are kept: a fifth of a second of the quickest child. A reader on a busy machine is that far behind
/// now and then, and to read a chunk back costs what it took to write it. Whoever is farther behind reads from the disk.
const MOST: usize = 32 << 20;

#[derive(Default)]
pub(super) struct Recent {
    /// By segment and key, ascending.
    chunks: VecDeque<((u64, u64), Arc<Chunk>)>,
    bytes: usize,
    /// When a reader asked last; `None` when nobody did for a while.
    asked_at: Option<Timestamp>,
}

impl Recent {
    /// Keeps a chunk that was stored, if somebody reads.
    pub(super) fn put(&mut self, segment: u64, key: u64, chunk: &Arc<Chunk>) {
        if self.asked_at.is_none() {
            return;
        }
        self.bytes += chunk.bytes.len();
        self.chunks.push_back(((segment, key), chunk.clone()));
        while self.bytes > MOST {
            let Some((_, oldest)) = self.chunks.pop_front() else { break };
            self.bytes -= oldest.bytes.len();
        }
    }

    /// The chunk, if it is here. True beside it when this reader is the first for a while.
    pub(super) fn get(&mut self, segment: u64, key: u64, now: Timestamp) -> (Option<Arc<Chunk>>, bool) {
        let is_first = self.asked_at.replace(now).is_none();
        let at = self.chunks.binary_search_by_key(&(segment, key), |(place, _)| *place);
        let found = at.ok().and_then(|at| self.chunks.get(at)).map(|(_, chunk)| chunk.clone());
        (found, is_first)
    }

    /// Retention deleted the segment.
    pub(super) fn forget(&mut self, segment: u64) {
        self.chunks.retain(|((number, _), _)| *number != segment);
        self.bytes = self.chunks.iter().map(|(_, chunk)| chunk.bytes.len()).sum();
    }

    pub(super) const fn asked_at(&self) -> Option<Timestamp> {
        self.asked_at
    }

    /// Gives everything back; nobody reads any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::output::tests::chunk;

    #[test]
    fn what_was_stored_last_is_kept_while_somebody_reads() {
        let mut recent = Recent::default();
        let chunk = chunk(0, &vec![b'x'; MOST / 3]);
        recent.put(1, 1, &chunk);
        assert_eq!(recent.get(1, 1, Timestamp(5)), (None, true), "nobody had read before");
        for key in [2, 5, 9, 12] {
            recent.put(1, key, &chunk);
        }
        assert_eq!(recent.get(1, 2, Timestamp(6)), (None, false), "it was the oldest of more than is kept");
        assert_eq!(recent.get(1, 12, Timestamp(7)), (Some(chunk.clone()), false));
        recent.put(2, 1, &chunk);
        recent.forget(1);
        assert_eq!(recent.get(1, 12, Timestamp(8)).0, None);
        assert_eq!(recent.get(2, 1, Timestamp(9)).0, Some(chunk.clone()));
        recent.clear();
        assert_eq!((recent.bytes, recent.asked_at()), (0, None));
    }
}
