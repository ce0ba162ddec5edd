//! Sealed segments as readers see them: open, or by their indexes, for as long as somebody reads.

use super::{
    lost::Rescued,
    segment::{ChunkRef, Segment},
};
use crate::model::Timestamp;
use std::{collections::BTreeSet, sync::Arc};

/// Sealed segments that stay open: two, because a reader goes from one to the next; each takes some 10 MB of memory.
const OPEN_SEGMENTS: usize = 2;

/// Indexes of sealed segments that stay in memory: some 150 KB each.
const KEPT_INDEXES: usize = 8;

#[derive(Default)]
pub(super) struct Cache {
    open: Vec<(u64, Arc<Segment>)>,
    indexes: Vec<(u64, Arc<Vec<ChunkRef>>)>,
    /// What is left of the damaged segment that was read last.
    rescued: Option<(u64, Arc<Rescued>)>,
    /// Damaged segments that were told of.
    told: BTreeSet<u64>,
    /// When it was used last, or much was read; none since what that took was given back.
    used_at: Option<Timestamp>,
}

impl Cache {
    /// It is used now. Whether it was not in use before: somebody has to look later whether it is idle.
    pub(super) const fn touch(&mut self, now: Timestamp) -> bool {
        self.used_at.replace(now).is_none()
    }

    pub(super) fn index(&self, segment: u64) -> Option<Arc<Vec<ChunkRef>>> {
        self.indexes.iter().find(|(number, _)| *number == segment).map(|(_, index)| index.clone())
    }

    pub(super) fn keep_index(&mut self, segment: u64, index: Arc<Vec<ChunkRef>>) {
        self.indexes.push((segment, index));
        if self.indexes.len() > KEPT_INDEXES {
            self.indexes.remove(0);
        }
    }

    /// A segment that is open, which is the last to be closed from now on.
    pub(super) fn segment(&mut self, number: u64) -> Option<Arc<Segment>> {
        let at = self.open.iter().position(|(have, _)| *have == number)?;
        let found = self.open.remove(at);
        let segment = found.1.clone();
        self.open.push(found);
        Some(segment)
    }

    /// Closes the segments that were used longest ago, so that there is room for one more.
    pub(super) fn make_room(&mut self) {
        while self.open.len() >= OPEN_SEGMENTS {
            self.open.remove(0);
        }
    }

    /// Keeps a segment open for which there is room.
    pub(super) fn keep(&mut self, number: u64, segment: Arc<Segment>) {
        self.open.push((number, segment));
    }

    pub(super) fn rescued(&self, number: u64) -> Option<Arc<Rescued>> {
        self.rescued.as_ref().filter(|(have, _)| *have == number).map(|(_, rescued)| rescued.clone())
    }

    pub(super) fn keep_rescued(&mut self, number: u64, rescued: Arc<Rescued>) {
        self.rescued = Some((number, rescued));
    }

    /// Damage of this segment is to be told: whether it was not told before.
    pub(super) fn tell(&mut self, number: u64) -> bool {
        self.told.insert(number)
    }

    pub(super) fn forget(&mut self, number: u64) {
        self.open.retain(|(have, _)| *have != number);
        self.indexes.retain(|(have, _)| *have != number);
        self.rescued.take_if(|(have, _)| *have == number);
    }

    pub(super) const fn used_at(&self) -> Option<Timestamp> {
        self.used_at
    }

    /// All that readers needed, which is given back when the answer is dropped: not with the lock on the cache, because sled
    /// waits for its threads.
    pub(super) fn take(&mut self) -> Taken {
        self.used_at = None;
        Taken {
            open: std::mem::take(&mut self.open),
            _indexes: std::mem::take(&mut self.indexes),
            _rescued: self.rescued.take(),
        }
    }
}

/// What a cache had, until it is dropped.
pub(super) struct Taken {
    open: Vec<(u64, Arc<Segment>)>,
    _indexes: Vec<(u64, Arc<Vec<ChunkRef>>)>,
    _rescued: Option<(u64, Arc<Rescued>)>,
}

impl Taken {
    /// The numbers of the segments that were open.
    pub(super) fn segments(&self) -> Vec<u64> {
        self.open.iter().map(|(number, _)| *number).collect()
    }
}
