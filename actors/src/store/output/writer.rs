//! The thread that packs and writes chunks, seals segments and deletes old ones.

use super::{
    catalog::Shared,
    chunk::Chunk,
    lost::Before,
    segment::{self, ChunkRef, Segment, Summary},
};
use crate::{clock, store::StoreError};
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering, mpsc::Receiver},
};

/// Packed bytes of a segment: small enough that sled opens it in a moment and that deleting one is a small step of
/// retention, large enough that two gigabytes are some hundred folders.
const SEGMENT_BYTES: usize = 16 << 20;

/// A segment is sealed at this age even when it is small, so that retention by age has something to delete.
const SEGMENT_AGE_MS: u64 = 86_400_000;

/// Chunks that share one flush.
const GROUP: usize = 32;

pub(super) enum Job {
    Append(Arc<Chunk>, Box<dyn FnOnce(Result<(), StoreError>) + Send>),
    Flush(Box<dyn FnOnce() + Send>),
    Retain,
}

type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Works until all handles are gone.
pub(super) fn serve(shared: &Shared, jobs: &Receiver<Job>) {
    retain(shared);
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        while group.len() < GROUP {
            match jobs.try_recv() {
                Ok(job) => group.push(job),
                Err(_) => break,
            }
        }
        work(shared, group);
    }
}

fn work(shared: &Shared, group: Vec<Job>) {
    replace_broken(shared);
    let (number, mut next, head) = {
        let catalog = shared.catalog();
        (catalog.number, catalog.summary.last_key + 1, catalog.head.clone())
    };
    let Some(head) = head else { return };
    let mut written: Vec<ChunkRef> = Vec::new();
    let mut answers: Vec<(Done, u64, Result<(), StoreError>)> = Vec::new();
    let mut flushes = Vec::new();
    let mut packed = 0;
    let mut due = false;
    for job in group {
        match job {
            Job::Append(chunk, done) => {
                let result = if shared.refusing.load(Ordering::SeqCst) {
                    Err("an earlier chunk could not be stored".to_owned())
                } else {
                    head.append(next, &chunk).map(|(chunk, size)| {
                        next = chunk.key + 1;
                        packed += size;
                        written.push(chunk);
                    })
                };
                shared.refusing.fetch_or(result.is_err(), Ordering::SeqCst);
                answers.push((done, chunk.bytes.len() as u64, result.map_err(StoreError::Failed)));
            }
            Job::Flush(done) => flushes.push(done),
            Job::Retain => due = true,
        }
    }
    let flushed = if written.is_empty() { Ok(()) } else { head.flush().map_err(StoreError::Failed) };
    shared.refusing.fetch_or(flushed.is_err(), Ordering::SeqCst);
    if flushed.is_ok() && !written.is_empty() {
        head.flushed(next - 1);
        let mut catalog = shared.catalog();
        written.iter().for_each(|chunk| catalog.summary.add(chunk));
        catalog.refs.extend(written);
        catalog.packed += packed;
    }
    for (done, size, result) in answers {
        shared.waiting.fetch_sub(size, Ordering::Relaxed);
        let result = result.and_then(|()| flushed.clone());
        if catch_unwind(AssertUnwindSafe(move || done(result))).is_err() {
            log::error!("an answer of the output's writer panicked");
        }
    }
    let _ = catch_unwind(AssertUnwindSafe(move || flushes.into_iter().for_each(|done| done())));
    drop(head);
    shared.broken.fetch_or(shared.refusing.load(Ordering::SeqCst), Ordering::SeqCst);
    if seal_due(shared) {
        seal(shared, number);
        due = true;
    }
    if due {
        retain(shared);
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

fn seal_due(shared: &Shared) -> bool {
    let catalog = shared.catalog();
    let old = catalog.summary.first_at_ms.saturating_add(SEGMENT_AGE_MS) < clock::wall_ms();
    !catalog.refs.is_empty() && (catalog.packed >= SEGMENT_BYTES || old)
}

/// Writes the head's index and begins a new head.
fn seal(shared: &Shared, number: u64) {
    let refs = shared.catalog().refs.clone();
    if let Err(error) = segment::write_index(&shared.path(number), &refs) {
        // The next open looks through the segment in place of the index.
        log::warn!("segment has no index; segment={number} error={error}");
        if shared.broken.load(Ordering::SeqCst) {
            // It may hold chunks that were never acknowledged and are stored again: only the index tells them apart.
            return;
        }
    }
    let fresh = match Segment::recover(
        shared.root.parent().unwrap_or(&shared.root),
        &shared.path(number + 1),
        &Before::default(),
    ) {
        Ok((segment, _, _)) => Arc::new(segment),
        Err(problem) => {
            log::error!("no new segment; problem={problem}");
            let _ = fs::remove_file(shared.path(number).join("index"));
            return;
        }
    };
    let old = {
        let mut catalog = shared.catalog();
        let summary = std::mem::take(&mut catalog.summary);
        catalog.sealed.insert(number, summary);
        catalog.summary = Summary::default();
        catalog.refs.clear();
        catalog.packed = 0;
        catalog.number = number + 1;
        catalog.head.replace(fresh)
    };
    if let Some(old) = old {
        shared.retire(number, old);
    }
}

/// Deletes the oldest sealed segments until the rest is within the limits.
fn retain(shared: &Shared) {
    let (retention, sealed, head) = {
        let catalog = shared.catalog();
        let sealed: Vec<_> = catalog.sealed.iter().map(|(n, s)| (*n, s.last_at_ms)).collect();
        (catalog.retention, sealed, catalog.number)
    };
    let now = clock::wall_ms();
    let mut total = segment::disk_bytes(&shared.path(head));
    let mut over = false;
    for (number, last_at_ms) in sealed.into_iter().rev() {
        let path = shared.path(number);
        total += segment::disk_bytes(&path);
        // A segment is in the way of nothing newer, so from the first that goes all older ones go too.
        over |= total > retention.max_bytes || last_at_ms.saturating_add(retention.max_age_ms) < now;
        if over {
            shared.catalog().sealed.remove(&number);
            shared.forget(number);
            match fs::remove_dir_all(&path) {
                Ok(()) => log::info!("old output deleted; segment={number}"),
                Err(error) => log::warn!("old output not deleted; segment={number} error={error}"),
            }
        }
    }
}
