//! The handle through which chunks are written and read.

use super::{
    chunk::Chunk,
    gone::{Missed, Read},
    recover::recover,
    retention::Retention,
    salvage::Damage,
    segment::{ChunkRef, Position},
    shared::Shared,
    wanted::Wanted,
    writer::{self, Job},
};
use crate::{
    clock,
    model::{AttemptId, Stream},
    owned,
    store::{Notice, Store, StoreError, database, panics::guarded},
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::Ordering,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
};

/// Chunks that may wait for the writer: at most 48 MiB. Beyond it [`Output::append`] refuses, and what is to be stored stays in
/// its spool.
const WRITER_QUEUE: usize = 1024;

/// Threads that answer questions: one that searches for long must not hold up a short one.
const READERS: usize = 2;

/// Questions that may wait; beyond it they are refused.
const READER_QUEUE: usize = 256;

type ReadJob = Box<dyn FnOnce() + Send>;

/// A handle on the stored output. Clones share it; it keeps the store locked.
#[derive(Clone)]
pub struct Output {
    pub(super) shared: Arc<Shared>,
    lanes: Arc<Lanes>,
}

/// The ways to the threads. The last handle waits for them, so that who drops it can open the store again.
struct Lanes {
    writer: Option<SyncSender<Job>>,
    readers: Option<SyncSender<ReadJob>>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Lanes {
    fn drop(&mut self) {
        (self.writer, self.readers) = (None, None);
        for thread in self.threads.drain(..).filter(|t| t.thread().id() != thread::current().id()) {
            let _ = thread.join();
        }
    }
}

impl Lanes {
    fn write(&self, job: Job) -> Result<(), Job> {
        let Some(writer) = &self.writer else { return Err(job) };
        writer.try_send(job).map_err(|error| match error {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => job,
        })
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("root", &self.shared.root).finish_non_exhaustive()
    }
}

impl Output {
    /// Opens the output of a store, of which so much is kept. Blocks; once for each store at a time.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when the folder cannot be used or no thread can be made. Damage is no error.
    pub fn open(store: &Store, retention: Retention) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| StoreError::Failed(error.to_string());
        let root = store.dir().join("output");
        owned::make_folder(&root).map_err(failed)?;
        let (catalog, damages) = recover(store.dir(), &root, retention).map_err(StoreError::Failed)?;
        let sentences: Vec<_> = damages.iter().map(|damage| damage.what.as_str()).collect();
        let damage = (!sentences.is_empty()).then(|| sentences.join("; "));
        for Damage { what, lost } in damages {
            store.say(Notice::Damaged { what, lost });
        }
        let shared = Arc::new(Shared::new(root, catalog, damage, store.clone()));
        let (writer, jobs) = sync_channel(WRITER_QUEUE);
        let mut threads = Vec::new();
        let mut spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let thread = thread::Builder::new().name(name.to_owned()).spawn(work).map_err(failed)?;
            threads.push(thread);
            Ok::<_, StoreError>(())
        };
        let for_writer = shared.clone();
        spawn("output-writer", Box::new(move || writer::serve(&for_writer, &jobs)))?;
        let (readers, jobs) = sync_channel::<ReadJob>(READER_QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..READERS {
            let jobs = jobs.clone();
            spawn("output-reader", Box::new(move || answer(&jobs)))?;
        }
        let lanes = Lanes { writer: Some(writer), readers: Some(readers), threads };
        Ok(Self { shared, lanes: Arc::new(lanes) })
    }

    /// What was damaged when it was opened, in a sentence for people.
    #[must_use]
    pub fn damage(&self) -> Option<&str> {
        self.shared.damage.as_deref()
    }

    /// How much is kept from now on.
    pub fn set_retention(&self, retention: Retention) {
        self.shared.catalog().retention = retention;
        let _ = self.lanes.write(Job::Look);
    }

    /// How much is kept.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.shared.catalog().retention
    }

    /// What readers opened is closed some time: the writer's thread has to know that there is something.
    fn nudge(&self) {
        if self.shared.opened.swap(false, Ordering::Relaxed) {
            // A full queue is worked off, and then the time is looked at anyway.
            let _ = self.lanes.write(Job::Look);
        }
    }

    /// Stores a chunk; chunks are stored in the order of the calls. `done` runs on the writer's thread once it survives
    /// our death. Never blocks; false when too much waits already: nothing happened then, and `done` will not run.
    #[must_use]
    pub fn append(
        &self,
        chunk: Arc<Chunk>,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) -> bool {
        let size = chunk.bytes.len() as u64;
        self.shared.waiting.fetch_add(size, Ordering::Relaxed);
        let sent = self.lanes.write(Job::Append(chunk, Box::new(done))).is_ok();
        if !sent {
            self.shared.waiting.fetch_sub(size, Ordering::Relaxed);
        }
        sent
    }

    /// Bytes that were given and are not stored yet.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    /// Answers once everything given before is stored; false when some of it is not, because the disk refused it or the
    /// writer makes no progress. Never blocks.
    pub fn flush(&self, done: impl FnOnce(bool) + Send + 'static) {
        if let Err(Job::Flush(done)) = self.lanes.write(Job::Flush(Box::new(done))) {
            log::warn!("output not flushed: the writer makes no progress");
            done(false);
        }
    }

    /// After a chunk could not be stored all later ones are refused, so that none is stored with one missing before it.
    /// This ends it; to be called when [`Output::waiting`] is 0.
    pub fn resume(&self) {
        self.shared.refusing.store(false, Ordering::SeqCst);
    }

    /// How far a stream is stored. From memory.
    #[must_use]
    pub fn position(&self, attempt: AttemptId, stream: Stream) -> Position {
        let catalog = self.shared.catalog();
        let mut total = catalog.carried.get(&(attempt, stream)).copied().unwrap_or_default();
        let summaries = catalog.sealed.values().chain([&catalog.summary]);
        for position in summaries.filter_map(|summary| summary.positions.get(&(attempt, stream))) {
            total.add(position);
        }
        total
    }

    /// The number of the newest piece ever stored. From memory.
    #[must_use]
    pub fn last_number(&self) -> u64 {
        let catalog = self.shared.catalog();
        catalog
            .sealed
            .values()
            .chain([&catalog.summary])
            .map(|summary| summary.last_number)
            .max()
            .unwrap_or(0)
    }

    /// Runs something that blocks on one of the readers' threads; false when too much waits.
    #[must_use]
    pub fn read(&self, job: impl FnOnce() + Send + 'static) -> bool {
        self.lanes.readers.as_ref().is_some_and(|readers| readers.try_send(Box::new(job)).is_ok())
    }

    /// Segments that may hold such output, with the numbers of their first and last piece. From memory.
    #[must_use]
    pub fn segments(&self, wanted: &Wanted<'_>) -> Vec<(u64, u64, u64)> {
        let catalog = self.shared.catalog();
        let head = [(&catalog.number, &catalog.summary)];
        let all = catalog.sealed.iter().chain(head);
        all.filter(|(_, s)| s.last_number > 0 && wanted.segment(s))
            .map(|(number, s)| (*number, s.first_number, s.last_number))
            .collect()
    }

    /// The chunks of a segment that may hold such output. Blocks: for readers' threads.
    ///
    /// # Errors
    /// None for a segment that retention deleted meanwhile: it has no chunks then.
    pub fn chunks(&self, segment: u64, wanted: &Wanted<'_>) -> Result<Vec<ChunkRef>, StoreError> {
        {
            let catalog = self.shared.catalog();
            if catalog.number == segment {
                return Ok(catalog.refs.iter().filter(|c| wanted.chunk(c)).cloned().collect());
            }
            if !catalog.sealed.contains_key(&segment) {
                return Ok(Vec::new());
            }
        }
        let index = self.shared.index(segment)?;
        self.nudge();
        Ok(index.iter().filter(|c| wanted.chunk(c)).cloned().collect())
    }

    /// One chunk; nothing when it was deleted meanwhile. In place of one that is damaged: a line that says how much is
    /// lost. Blocks: for readers' threads.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when there is no descriptor left, or no room, to open its segment.
    pub fn chunk(&self, segment: u64, wanted: &ChunkRef) -> Result<Option<Arc<Chunk>>, StoreError> {
        let (recent, is_first) = self.shared.recent().get(segment, wanted.key, clock::now());
        self.shared.opened.fetch_or(is_first, Ordering::Relaxed);
        if recent.is_some() {
            return Ok(recent);
        }
        if let Some(rescued) = self.shared.rescued(segment) {
            return Ok(Some(Arc::new(rescued.chunk(wanted))));
        }
        let opened = self.shared.segment(segment);
        self.shared.count_read(wanted.to.saturating_sub(wanted.from));
        self.nudge();
        let found = match opened {
            Ok(None) => return Ok(None),
            Ok(Some(found)) => found.get(wanted.key).ok().flatten(),
            Err(error) => {
                // Too few descriptors look like damage, and pass.
                database::room(&self.shared.root).map_err(|_| error)?;
                None
            }
        };
        Ok(Some(Arc::new(found.unwrap_or_else(|| self.shared.rescue(segment).chunk(wanted)))))
    }

    /// The number of the newest piece that retention deleted since this output was opened. From memory.
    #[must_use]
    pub fn gone_to(&self) -> u64 {
        self.shared.catalog().gone.newest()
    }

    /// What retention deleted of such output before a reader came to it who has read everything up to this number, and of
    /// some streams as far as `read` says. Nothing when it deleted nothing of it. From memory.
    pub fn missed(
        &self,
        wanted: &Wanted<'_>,
        after: u64,
        read: impl Fn(AttemptId, Stream) -> Read,
    ) -> Option<Missed> {
        self.shared.catalog().gone.missed(wanted, after, read)
    }
}

fn answer(jobs: &Mutex<Receiver<ReadJob>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        guarded("question for output", job);
    }
}
