//! What the handle and the threads of the output share: what is stored, what is open, what waits.

use super::{
    cache::Cache,
    catalog::{Catalog, delete, place},
    lost::Rescued,
    recent::Recent,
    segment::{self, ChunkRef, Segment},
};
use crate::{
    clock,
    model::Timestamp,
    store::{Notice, Store, StoreError, memory},
};
use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// Nobody has read for so long: what readers needed is given back. A page is followed by the next within a second; whoever
/// comes later opens a segment again, which takes some ten milliseconds.
const IDLE_MS: u64 = 3_000;

/// So many bytes of lines make a burst of reading, also where it opens nothing because all of it is in the head. What fewer
/// take, the next reader uses again: who follows a program is no burst.
const BURST: u64 = 4 << 20;

pub(super) struct Shared {
    pub(super) root: PathBuf,
    catalog: Mutex<Catalog>,
    cache: Mutex<Cache>,
    recent: Mutex<Recent>,
    /// Readers have opened something that the writer's thread is to close some time.
    pub(super) opened: AtomicBool,
    /// Bytes of lines that were read since memory was given back last.
    read: AtomicU64,
    pub(super) waiting: AtomicU64,
    pub(super) refusing: AtomicBool,
    /// The newest segment's database refused something.
    pub(super) broken: AtomicBool,
    /// What was damaged when it was opened.
    pub(super) damage: Option<String>,
    /// The store, with the lock on the folder.
    pub(super) store: Store,
}

impl Shared {
    pub(super) fn new(root: PathBuf, catalog: Catalog, damage: Option<String>, store: Store) -> Self {
        Self {
            root,
            catalog: Mutex::new(catalog),
            cache: Mutex::new(Cache::default()),
            recent: Mutex::new(Recent::default()),
            opened: AtomicBool::new(false),
            read: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            refusing: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            damage,
            store,
        }
    }

    pub(super) fn catalog(&self) -> MutexGuard<'_, Catalog> {
        // Whoever panicked with the lock had finished or not begun a change: all changes are single assignments.
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn recent(&self) -> MutexGuard<'_, Recent> {
        // Whoever panicked with the lock left at worst a chunk that is there and not counted.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn path(&self, segment: u64) -> PathBuf {
        place(&self.root, segment)
    }
}

/// What is kept, and what goes.
impl Shared {
    /// Measures a sealed segment anew.
    pub(super) fn measure(&self, number: u64) {
        let disk = segment::disk_bytes(&self.path(number));
        if let Some(summary) = self.catalog().sealed.get_mut(&number) {
            summary.disk = disk;
        }
    }

    /// When something will be too old, or old enough to be sealed; none when there is nothing.
    pub(super) fn retain_at(&self) -> Option<Timestamp> {
        let catalog = self.catalog();
        let Catalog { sealed, summary, refs, retention, .. } = &*catalog;
        let seal = (!refs.is_empty()).then(|| Timestamp(summary.first_at_ms).plus(retention.slice_ms()));
        let delete = sealed.first_key_value();
        let delete = delete.map(|(_, oldest)| Timestamp(oldest.last_at_ms).plus(retention.max_age_ms));
        seal.into_iter().chain(delete).min()
    }

    /// Whether the head is large or old enough.
    pub(super) fn seal_due(&self) -> bool {
        let (old, path, most) = {
            let catalog = self.catalog();
            if catalog.refs.is_empty() {
                return false;
            }
            let sliced = Timestamp(catalog.summary.first_at_ms).plus(catalog.retention.slice_ms());
            (sliced <= clock::now(), self.path(catalog.number), catalog.retention.segment_bytes())
        };
        old || segment::disk_bytes(&path) >= most
    }

    /// Deletes the oldest sealed segments until the rest, with so many bytes more, is within the limits.
    pub(super) fn retain(&self, more: u64) {
        let head = segment::disk_bytes(&self.path(self.catalog().number));
        let doomed = self.catalog().let_go(self.store.dir(), &self.root, head + more, clock::now());
        for number in doomed {
            self.forget(number);
            delete(&self.path(number), number);
        }
    }
}

/// What readers need.
impl Shared {
    /// Somebody uses it: the writer's thread has to look later whether it is idle.
    fn used(&self, cache: &mut Cache) {
        if cache.touch(clock::now()) {
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
        if let Some(index) = cache.index(segment) {
            return Ok(index);
        }
        let index = match segment::read_index(&self.path(segment)) {
            Some(index) => index,
            None => Segment::open(&self.path(segment)).and_then(|s| s.list()).map_err(StoreError::Failed)?,
        };
        let index = Arc::new(index);
        cache.keep_index(segment, index.clone());
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
        if let Some(segment) = cache.segment(number) {
            return Ok(Some(segment));
        }
        cache.make_room();
        let segment = Arc::new(Segment::open(&self.path(number)).map_err(StoreError::Failed)?);
        if segment.mended && cache.tell(number) {
            let what = format!("the file conf of segment {number} of the output was damaged and made anew");
            self.store.say(Notice::Damaged { what, lost: false });
        }
        cache.keep(number, segment.clone());
        drop(cache);
        // sled writes half a megabyte when it opens, for which the writer's thread makes room.
        self.measure(number);
        self.opened.store(true, Ordering::Relaxed);
        Ok(Some(segment))
    }

    pub(super) fn rescued(&self, number: u64) -> Option<Arc<Rescued>> {
        self.cache().rescued(number)
    }

    /// Reads what a damaged segment still has. The head may be whole by the next question, and is not kept.
    pub(super) fn rescue(&self, number: u64) -> Arc<Rescued> {
        let rescued = Rescued::of(&self.path(number));
        let is_head = self.catalog().number == number;
        let refs = if is_head { Ok(Arc::new(self.catalog().refs.clone())) } else { self.index(number) };
        let mut cache = self.cache();
        if cache.tell(number) {
            let lost = refs.map_or(0, |refs| rescued.lines_lost(&refs));
            let what = format!(
                "segment {number} of the output is damaged: {lost} of its lines cannot be read any more, which is told in \
                 their places"
            );
            self.store.say(Notice::Damaged { what, lost: lost > 0 });
        }
        if !is_head {
            cache.keep_rescued(number, rescued.clone());
        }
        self.used(&mut cache);
        rescued
    }

    /// A head that was sealed stays open as long as readers want it.
    pub(super) fn retire(&self, number: u64, segment: Arc<Segment>) {
        let mut cache = self.cache();
        cache.make_room();
        cache.keep(number, segment);
        self.used(&mut cache);
    }

    fn forget(&self, number: u64) {
        self.recent().forget(number);
        self.cache().forget(number);
    }

    /// When it is to be looked at next; none when there is nothing to give back.
    pub(super) fn idle_at(&self) -> Option<Timestamp> {
        let used_at = [self.cache().used_at(), self.recent().asked_at()];
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
            is_idle(cache.used_at()).then(|| {
                self.read.store(0, Ordering::Relaxed);
                self.opened.store(false, Ordering::Relaxed);
                cache.take()
            })
        };
        let gives_back = forgot || idle.is_some();
        if let Some(idle) = idle {
            let numbers = idle.segments();
            drop(idle);
            numbers.into_iter().for_each(|number| self.measure(number));
        }
        if gives_back {
            memory::give_back();
        }
    }
}
