//! Commits that are answered and that sled does not have yet: they stand in the write-ahead file.

use super::{block::BLOCK_BYTES, entry::Key, facts::Facts};
use std::collections::VecDeque;

/// See the module.
#[derive(Default)]
pub(super) struct Owed {
    waiting: VecDeque<(Facts, Vec<u8>)>,
    bytes: usize,
}

impl Owed {
    pub(super) fn push(&mut self, of: Facts, sealed: Vec<u8>) {
        self.bytes += sealed.len();
        self.waiting.push_back((of, sealed));
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn sealed(&self) -> impl Iterator<Item = &[u8]> {
        self.waiting.iter().map(|(_, sealed)| sealed.as_slice())
    }

    pub(super) fn commits(&self) -> impl Iterator<Item = (Key, &[u8])> {
        self.waiting.iter().map(|(of, sealed)| (of.last, sealed.as_slice()))
    }

    /// The first commits, as many as make a block: nothing when there are fewer, unless all are wanted.
    pub(super) fn block(&self, all: bool) -> Option<(Facts, usize)> {
        if self.bytes < BLOCK_BYTES && !all {
            return None;
        }
        let (mut bytes, mut count) = (0, 0);
        let mut facts: Option<Facts> = None;
        for (of, sealed) in &self.waiting {
            bytes += sealed.len();
            if count > 0 && bytes > BLOCK_BYTES {
                break;
            }
            count += 1;
            facts = Some(facts.map_or(*of, |before| before.and(*of)));
        }
        facts.map(|facts| (facts, count))
    }

    /// sled has the first of them.
    pub(super) fn paid(&mut self, count: usize) {
        for (_, sealed) in self.waiting.drain(..count.min(self.waiting.len())) {
            self.bytes -= sealed.len();
        }
    }
}
