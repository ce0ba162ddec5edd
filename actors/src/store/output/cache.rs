//! Sealed segments as readers see them: open, or by their indexes, for as long as somebody reads.

use super::{
    catalog::Shared,
    lost::Rescued,
    segment::{self, ChunkRef, Segment},
};
use crate::{
    clock,
    model::Timestamp,
    store::{Notice, StoreError, memory},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, MutexGuard, PoisonError, atomic::Ordering},
};

/// Sealed segments that stay open: two, because a reader goes from one to the next; each takes some 10 MB of memory.
const OPEN_SEGMENTS: usize = 2;

/// Indexes of sealed segments that stay in memory: some 150 KB each.
const KEPT_INDEXES: usize = 8;

/// Nobody has read for so long: what readers needed is given back. A page is followed by the next within a second; whoever
/// comes later opens a segment again, which takes some ten milliseconds.
const IDLE_MS: u64 = 3_000;

/// So many bytes of lines make a burst of reading, also where it opens nothing because all of it is in the head. What fewer
/// take, the next reader uses again: who follows a program is no burst.
const BURST: u64 = 4 << 20;

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

impl Shared {
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody uses it: the writer's thread has to look later whether it is idle.
    fn used(&self, cache: &mut Cache) {
        if cache.used_at.replace(clock::now()).is_none() {
            self.opened.store(true, Ordering::Relaxed);
        }
    }

    /// Somebody reads so many bytes of lines.
    pub(super) fn count_read(&self, bytes: u64) {
        if self.read.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) >= BURST {
            self.used(&mut self.cache());
        }
    }

    pub(super) fn index(&self, segment: u64) -> Result<Arc<Vec<ChunkRef>>, StoreError> {
        let mut cache = self.cache();
        self.used(&mut cache);
        if let Some((_, index)) = cache.indexes.iter().find(|(number, _)| *number == segment) {
            return Ok(index.clone());
        }
        let index = match segment::read_index(&self.path(segment)) {
            Some(index) => index,
            None => Segment::open(&self.path(segment)).and_then(|s| s.list()).map_err(StoreError::Failed)?,
        };
        let index = Arc::new(index);
        cache.indexes.push((segment, index.clone()));
        if cache.indexes.len() > KEPT_INDEXES {
            cache.indexes.remove(0);
        }
        Ok(index)
    }

    /// The segment, opened if it must be; nothing when it was deleted.
    pub(super) fn segment(&self, number: u64) -> Result<Option<Arc<Segment>>, StoreError> {
        {
            let catalog = self.catalog();
            if catalog.number == number {
                return Ok(catalog.head.clone());
            }
            if !catalog.sealed.contains_key(&number) {
                return Ok(None);
            }
        }
        let mut cache = self.cache();
        self.used(&mut cache);
        if let Some(at) = cache.open.iter().position(|(have, _)| *have == number) {
            let found = cache.open.remove(at);
            let segment = found.1.clone();
            cache.open.push(found);
            return Ok(Some(segment));
        }
        while cache.open.len() >= OPEN_SEGMENTS {
            cache.open.remove(0);
        }
        let segment = Arc::new(Segment::open(&self.path(number)).map_err(StoreError::Failed)?);
        if segment.mended && cache.told.insert(number) {
            let what = format!("the file conf of segment {number} of the output was damaged and made anew");
            self.store.say(Notice::Damaged { what, lost: false });
        }
        cache.open.push((number, segment.clone()));
        drop(cache);
        // sled writes half a megabyte when it opens, for which the writer's thread makes room.
        self.measure(number);
        self.opened.store(true, Ordering::Relaxed);
        Ok(Some(segment))
    }

    pub(super) fn rescued(&self, number: u64) -> Option<Arc<Rescued>> {
        self.cache().rescued.as_ref().filter(|(have, _)| *have == number).map(|(_, rescued)| rescued.clone())
    }

    /// Reads what a damaged segment still has. The head may be whole by the next question, and is not kept.
    pub(super) fn rescue(&self, number: u64) -> Arc<Rescued> {
        let rescued = Rescued::of(&self.path(number));
        let is_head = self.catalog().number == number;
        let refs = if is_head { Ok(Arc::new(self.catalog().refs.clone())) } else { self.index(number) };
        let mut cache = self.cache();
        if cache.told.insert(number) {
            let lost = refs.map_or(0, |refs| rescued.lines_lost(&refs));
            let what = format!(
                "segment {number} of the output is damaged: {lost} of its lines cannot be read any more, which is told in \
                 their places"
            );
            self.store.say(Notice::Damaged { what, lost: lost > 0 });
        }
        if !is_head {
            cache.rescued = Some((number, rescued.clone()));
        }
        self.used(&mut cache);
        rescued
    }

    /// A head that was sealed stays open as long as readers want it.
    pub(super) fn retire(&self, number: u64, segment: Arc<Segment>) {
        let mut cache = self.cache();
        while cache.open.len() >= OPEN_SEGMENTS {
            cache.open.remove(0);
        }
        cache.open.push((number, segment));
        self.used(&mut cache);
    }

    pub(super) fn forget(&self, number: u64) {
        self.recent().forget(number);
        let mut cache = self.cache();
        cache.open.retain(|(have, _)| *have != number);
        cache.indexes.retain(|(have, _)| *have != number);
        cache.rescued.take_if(|(have, _)| *have == number);
    }

    /// When it is to be looked at next; none when there is nothing to give back.
    pub(super) fn idle_at(&self) -> Option<Timestamp> {
        let used_at = [self.cache().used_at, self.recent().asked_at()];
        used_at.into_iter().flatten().min().map(|at| at.plus(IDLE_MS))
    }

    /// Gives back what nobody used for a while.
    pub(super) fn close_idle(&self, now: Timestamp) {
        let is_idle = |used_at: Option<Timestamp>| used_at.is_some_and(|at| at.plus(IDLE_MS) <= now);
        let mut recent = self.recent();
        let forgot = is_idle(recent.asked_at());
        if forgot {
            recent.clear();
        }
        drop(recent);
        let idle = {
            let mut cache = self.cache();
            if !is_idle(cache.used_at) {
                drop(cache);
                if forgot {
                    memory::give_back();
                }
                return;
            }
            let Cache { open, indexes, rescued, used_at, .. } = &mut *cache;
            *used_at = None;
            self.read.store(0, Ordering::Relaxed);
            self.opened.store(false, Ordering::Relaxed);
            (std::mem::take(open), std::mem::take(indexes), rescued.take())
        };
        // Not with the lock: sled waits for its threads.
        let numbers: Vec<u64> = idle.0.iter().map(|(number, _)| *number).collect();
        drop(idle);
        numbers.into_iter().for_each(|number| self.measure(number));
        memory::give_back();
    }
}
