//! The thread that packs and writes chunks, seals segments and deletes old ones.

use super::{
    chunk::Chunk,
    lost::Before,
    retention::Retention,
    salvage,
    segment::{self, ChunkRef},
    shared::Shared,
};
use crate::{
    clock,
    model::Timestamp,
    store::{StoreError, memory, panics::guarded},
};
use std::{
    fs,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

/// Chunks that share one flush at most.
const GROUP: usize = 32;

/// Bytes stored since things were quiet, from which on the memory that they went through is given back.
const BURST: u64 = 16 << 20;

/// Nothing was stored for so long: things are quiet.
const QUIET_MS: u64 = 2_000;

pub(super) enum Job {
    Append(Arc<Chunk>, Box<dyn FnOnce(Result<(), StoreError>) + Send>),
    Flush(Box<dyn FnOnce(bool) + Send>),
    /// There is something that may be due, now or later.
    Look,
}

impl Job {
    fn bytes(&self) -> u64 {
        match self {
            Self::Append(chunk, _) => chunk.bytes.len() as u64,
            Self::Flush(_) | Self::Look => 0,
        }
    }
}

type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Works until all handles are gone.
pub(super) fn serve(shared: &Shared, jobs: &Receiver<Job>) {
    let mut burst = Burst::default();
    let mut least = Duration::from_millis(1);
    look(shared);
    loop {
        let due = [shared.retain_at(), shared.idle_at(), burst.over_at()].into_iter().flatten().min();
        let first = match due {
            None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => jobs.recv_timeout(clock::until(at).max(least)),
        };
        match first {
            Ok(first) => {
                least = Duration::from_millis(1);
                let group = gather(shared, first, jobs);
                burst.count(&group);
                work(shared, group);
            }
            Err(RecvTimeoutError::Timeout) => {
                // What cannot be done, on a full disk, stays due.
                least = Duration::from_secs(1);
                look(shared);
                let now = clock::now();
                shared.close_idle(now);
                burst.end(now);
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// This job and those that wait behind it, as far as they share a flush.
fn gather(shared: &Shared, first: Job, jobs: &Receiver<Job>) -> Vec<Job> {
    let most = shared.catalog().retention.group_bytes();
    let mut bytes = first.bytes();
    let mut group = vec![first];
    while group.len() < GROUP && bytes < most {
        let Ok(job) = jobs.try_recv() else { break };
        bytes += job.bytes();
        group.push(job);
    }
    group
}

/// What was stored since things were quiet.
#[derive(Default)]
struct Burst {
    bytes: u64,
    last: Timestamp,
}

impl Burst {
    fn count(&mut self, group: &[Job]) {
        self.bytes += group.iter().map(Job::bytes).sum::<u64>();
        self.last = clock::now();
    }

    fn over_at(&self) -> Option<Timestamp> {
        (self.bytes >= BURST).then(|| self.last.plus(QUIET_MS))
    }

    fn end(&mut self, now: Timestamp) {
        if self.over_at().is_some_and(|at| at <= now) {
            self.bytes = 0;
            memory::give_back();
        }
    }
}

/// Does what time asks for: seals what is old enough, deletes what is too old.
fn look(shared: &Shared) {
    if shared.seal_due() {
        let number = shared.catalog().number;
        seal(shared, number);
    }
    shared.retain(0);
}

fn work(shared: &Shared, group: Vec<Job>) {
    replace_broken(shared);
    let (mut next, head) = {
        let catalog = shared.catalog();
        (catalog.summary.last_key + 1, catalog.head.clone())
    };
    let Some(head) = head else { return };
    let mut written: Vec<(ChunkRef, Arc<Chunk>)> = Vec::new();
    let mut answers: Vec<(Done, u64, Result<(), StoreError>)> = Vec::new();
    let mut flushes = Vec::new();
    let mut due = false;
    let bytes = group.iter().map(Job::bytes).sum();
    if bytes > 0 {
        shared.retain(Retention::growth(bytes));
    }
    for job in group {
        match job {
            Job::Append(chunk, done) => {
                let result = if shared.refusing.load(Ordering::SeqCst) {
                    Err("an earlier chunk could not be stored".to_owned())
                } else {
                    head.append(next, &chunk)
                };
                shared.refusing.fetch_or(result.is_err(), Ordering::SeqCst);
                let size = chunk.bytes.len() as u64;
                let result = result.map(|place| {
                    next = place.key + 1;
                    written.push((place, chunk));
                });
                answers.push((done, size, result.map_err(StoreError::Failed)));
            }
            Job::Flush(done) => flushes.push(done),
            Job::Look => due = true,
        }
    }
    let flushed = if written.is_empty() { Ok(()) } else { head.flush().map_err(StoreError::Failed) };
    shared.refusing.fetch_or(flushed.is_err(), Ordering::SeqCst);
    if flushed.is_ok() && !written.is_empty() {
        head.flushed(next - 1);
        let number = shared.catalog().number;
        let mut recent = shared.recent();
        written.iter().for_each(|(place, chunk)| recent.put(number, place.key, chunk));
        drop(recent);
        let mut catalog = shared.catalog();
        written.iter().for_each(|(place, _)| catalog.summary.add(place));
        catalog.refs.extend(written.into_iter().map(|(place, _)| place));
    }
    for (done, size, result) in answers {
        shared.waiting.fetch_sub(size, Ordering::Relaxed);
        let result = result.and_then(|()| flushed.clone());
        guarded("answer of a chunk", move || done(result));
    }
    // Until the Monitor has given again what was refused.
    let stored = !shared.refusing.load(Ordering::SeqCst);
    for done in flushes {
        guarded("answer of a flush", move || done(stored));
    }
    drop(head);
    shared.broken.fetch_or(shared.refusing.load(Ordering::SeqCst), Ordering::SeqCst);
    if due || shared.seal_due() {
        look(shared);
    }
}

/// A segment whose database refused something refuses everything from then on: it is sealed with what was stored, and
/// the next one begins. While the disk takes nothing that fails too, and is tried again with the next chunks.
fn replace_broken(shared: &Shared) {
    if !shared.broken.load(Ordering::SeqCst) || shared.refusing.load(Ordering::SeqCst) {
        return;
    }
    let number = shared.catalog().number;
    seal(shared, number);
    if shared.catalog().number != number {
        shared.broken.store(false, Ordering::SeqCst);
        log::info!("output is stored again; segment={}", number + 1);
    }
}

/// Writes the head's index and begins a new head.
pub(super) fn seal(shared: &Shared, number: u64) {
    let refs = shared.catalog().refs.clone();
    if let Err(error) = segment::write_index(&shared.path(number), &refs) {
        // The next open looks through the segment in place of the index.
        log::warn!("segment has no index; segment={number} error={error}");
        if shared.broken.load(Ordering::SeqCst) {
            // It may hold chunks that were never acknowledged and are stored again: only the index tells them apart.
            return;
        }
    }
    let fresh = match salvage::open(shared.store.dir(), &shared.path(number + 1), &Before::default()) {
        Ok(recovered) => Arc::new(recovered.segment),
        Err(problem) => {
            log::error!("no new segment; problem={problem}");
            let _ = fs::remove_file(shared.path(number).join("index"));
            return;
        }
    };
    let disk = segment::disk_bytes(&shared.path(number));
    let old = {
        let mut catalog = shared.catalog();
        let mut summary = std::mem::take(&mut catalog.summary);
        summary.disk = disk;
        catalog.sealed.insert(number, summary);
        catalog.refs = Vec::new();
        catalog.number = number + 1;
        catalog.head.replace(fresh)
    };
    if let Some(old) = old {
        shared.retire(number, old);
    }
}
