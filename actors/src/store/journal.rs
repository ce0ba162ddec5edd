//! The store's thread: the journal, and the state as its cache.
//!
//! A commit comes here when it stands in the write-ahead file (`front.rs`). It reaches the journal's newest segment packed
//! together with others; its changes of state are kept in memory and reach the state at the next *checkpoint*, when nothing else is to
//! do. At open, what the journal holds beyond the checkpoint is applied again. Changes are absolute values, so applying
//! one twice changes nothing. Before a segment is sealed the state goes as far as it does, so that old ones can go.

use super::{
    answer::{Loaded, StoreError},
    condition::Gauges,
    entry::Key,
    facts::Facts,
    front::{End, Front, Sealed},
    mark::{self, Marked},
    memory::{self, Burst},
    owed::Owed,
    panics::guarded,
    queue::Requests,
    request::{Done, Request},
    segments::{JournalRetention, Segments},
    state::{Checkpoint, Pending, State},
};
use crate::{clock, model::Put};
use std::{
    collections::BTreeMap,
    fs::File,
    path::PathBuf,
    sync::{Arc, mpsc::RecvTimeoutError},
    time::Duration,
};

/// Commits between checkpoints at most: bounds the memory that unwritten state takes and the time of replay.
const CHECKPOINT_COMMITS: usize = 4_096;

/// Bytes of changes between checkpoints at most, likewise.
const CHECKPOINT_BYTES: usize = 8 << 20;

/// sled flushes when no commit came for so long: the write-ahead file is short most of the time, and a flush is never in
/// the way of a commit that follows another at once.
const LAZY: Duration = Duration::from_millis(20);

/// sled flushes when the write-ahead file has grown to this, however busy it is: bounds the file, and what is written
/// twice after a crash.
const AHEAD_MAX: u64 = 1 << 20;

/// Commits that are in the write-ahead file alone since sled refused. Beyond this, commits are refused too.
const OWED_MAX: usize = 1_024;

/// Quiet for so long: time for a checkpoint.
const QUIET: Duration = Duration::from_millis(1_000);

/// Age is looked at so often at most.
const AGE_STEP: Duration = Duration::from_millis(1_000);

/// So often a database that refused is tried again.
const MEND: Duration = Duration::from_millis(1_000);

/// Bytes of commits that are taken to sled together at most, if it is more than one: a segment is looked at in between, so
/// that a burst makes it no larger than by so much.
const GROUP_BYTES: usize = 256 << 10;

/// The databases.
pub(super) struct Base {
    pub(super) segments: Segments,
    pub(super) state: State,
}

/// The database and what is not in it yet.
pub(crate) struct Engine {
    pub(super) root: PathBuf,
    /// None while it could not be opened again.
    pub(super) base: Option<Base>,
    /// sled refused something. It then refuses everything until it is opened again.
    pub(super) broken: bool,
    pub(super) pending: BTreeMap<String, Pending>,
    pub(super) last_key: Key,
    pub(super) last_seq: u64,
    pub(super) last_at_ms: u64,
    pub(super) clean: bool,
    pub(super) since_checkpoint: usize,
    pub(super) bytes_since_checkpoint: usize,
    pub(super) unflushed: bool,
    pub(super) burst: Burst,
    pub(super) closed: bool,
    pub(super) mark: Option<File>,
    pub(super) front: Arc<Front>,
    /// Where the last commit that came here ends in the write-ahead file.
    pub(super) ahead_end: End,
    /// Answered, and not in sled yet.
    pub(super) owed: Owed,
    /// How many of them there were when sled refused.
    pub(super) owed_before: usize,
    /// What others are told of all this.
    pub(super) gauges: Arc<Gauges>,
}

/// An open journal, and what was wrong with it.
pub(crate) struct Opened {
    pub(crate) engine: Engine,
    pub(crate) damage: Option<String>,
}

impl Engine {
    pub(super) fn note(&mut self, of: Facts) {
        self.last_key = of.last;
        self.last_at_ms = self.last_at_ms.max(of.last_at_ms);
        self.last_seq = self.last_seq.max(of.last_seq);
    }

    pub(super) fn remember(&mut self, seq: u64, puts: Vec<Put>) {
        for put in puts {
            self.pending.insert(put.key, Pending { seq, value: put.value });
        }
    }

    /// Answers requests until all handles are gone.
    pub(crate) fn serve(mut self, requests: &Requests, mut damage: Option<String>) {
        let mut held: Option<Request> = None;
        loop {
            let request = match held.take() {
                Some(request) => request,
                None => match self.wait(requests) {
                    Some(request) => request,
                    None => break,
                },
            };
            match request {
                Request::Commit(sealed) => held = self.group(sealed, requests),
                Request::Load(done) => answer(done, self.load(damage.take())),
                Request::ReadJournal { after, limit, done } => answer(done, self.read(after, limit)),
                Request::ReadCommits { after, max_bytes, done } => {
                    answer(done, self.read_commits(after, max_bytes));
                }
                Request::Scan(prefix, done) => answer(done, self.scan(&prefix)),
                Request::Retain(limits) => self.retain(limits),
                Request::Close(done) => {
                    let closed = self.close();
                    answer(done, closed);
                }
            }
            self.say_how_it_stands();
        }
        if !self.closed
            && let Err(problem) = self.checkpoint()
        {
            log::warn!("checkpoint failed; problem={problem}");
        }
        // sled waits for its own threads when it is dropped, and may panic there too.
        guarded("close the journal", move || drop(self));
    }

    /// The next request; writes the checkpoint when none comes for a while.
    fn wait(&mut self, requests: &Requests) -> Option<Request> {
        while self.broken {
            match requests.recv_timeout(MEND) {
                Ok(request) => return Some(request),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    self.mend();
                    self.say_how_it_stands();
                }
            }
        }
        if self.pending.is_empty() && !self.unflushed {
            return self.wait_long(requests);
        }
        if self.unflushed {
            match requests.recv_timeout(LAZY) {
                Ok(request) => return Some(request),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Err(problem) = self.flush() {
                log::warn!("the journal could not be flushed; problem={problem}");
            }
        }
        match requests.recv_timeout(QUIET) {
            Ok(request) => return Some(request),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Err(problem) = self.checkpoint() {
            log::warn!("checkpoint failed; problem={problem}");
            return self.wait(requests);
        }
        if let Ok(base) = self.base_mut() {
            base.segments.rest();
        }
        self.burst.is_over();
        self.wait_long(requests)
    }

    /// The next request, when nothing is to be done but what age asks for.
    fn wait_long(&mut self, requests: &Requests) -> Option<Request> {
        loop {
            let next_ms = self.base().ok().and_then(|base| base.segments.next_ms());
            let Some(next_ms) = next_ms else { return requests.recv() };
            let wait = Duration::from_millis(next_ms.saturating_sub(clock::wall_ms())).max(AGE_STEP);
            match requests.recv_timeout(wait) {
                Ok(request) => return Some(request),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.grow_old(),
            }
        }
    }

    /// This commit and all that wait behind it go to sled. Returns the request that ended the group.
    fn group(&mut self, first: Sealed, requests: &Requests) -> Option<Request> {
        let mut bytes = first.bytes.len();
        self.take(first);
        let mut next = None;
        while bytes < GROUP_BYTES {
            match requests.try_recv() {
                Some(Request::Commit(sealed)) => {
                    bytes += sealed.bytes.len();
                    self.take(sealed);
                }
                other => {
                    next = other;
                    break;
                }
            }
        }
        self.since_checkpoint += 1;
        if let Err(problem) = self.insert(false) {
            log::error!("the journal takes no entries; owed={} problem={problem}", self.owed.len());
        }
        if self.broken {
            return next;
        }
        let done = if self.since_checkpoint >= CHECKPOINT_COMMITS
            || self.bytes_since_checkpoint >= CHECKPOINT_BYTES
        {
            self.checkpoint()
        } else if self.front.bytes() >= AHEAD_MAX {
            self.flush().map_err(|error| error.to_string())
        } else {
            Ok(())
        };
        if let Err(problem) = done {
            log::warn!("the journal could not be flushed; problem={problem}");
        }
        next
    }

    /// A commit that stands in the write-ahead file is owed to sled. One that was found in the file, when the databases
    /// were opened again, is known.
    fn take(&mut self, sealed: Sealed) {
        let Sealed { commit, of, bytes, end } = sealed;
        self.ahead_end = end;
        if of.last <= self.last_key {
            return;
        }
        self.burst.count(&commit);
        self.note(of);
        let size = |put: &Put| put.key.len() + put.value.as_ref().map_or(0, Vec::len);
        self.bytes_since_checkpoint += commit.puts.iter().map(size).sum::<usize>();
        self.remember(of.last.0, commit.puts);
        self.owed.push(of, bytes);
        self.unflushed = true;
    }

    /// Gives sled what it is owed: whole blocks, or all.
    fn insert(&mut self, all: bool) -> Result<(), StoreError> {
        while let Some((of, count)) = self.owed.block(all) {
            let base = self.base.as_mut().filter(|_| !self.broken);
            let done = base
                .ok_or_else(not_open)
                .and_then(|base| base.segments.insert(of, self.owed.sealed().take(count)));
            self.noted(done).map_err(StoreError::Failed)?;
            self.unflushed = true;
            self.owed.paid(count);
        }
        Ok(())
    }

    /// The databases, unless one refused something and was not opened again yet.
    pub(super) fn base(&self) -> Result<&Base, String> {
        self.base.as_ref().filter(|_| !self.broken).ok_or_else(not_open)
    }

    fn base_mut(&mut self) -> Result<&mut Base, String> {
        self.base.as_mut().filter(|_| !self.broken).ok_or_else(not_open)
    }

    /// What a writing call of sled returned.
    fn noted<T>(&mut self, result: Result<T, String>) -> Result<T, String> {
        if result.is_err() && !self.broken {
            (self.broken, self.owed_before) = (true, self.owed.len());
        }
        result
    }

    pub(super) fn say_how_it_stands(&self) {
        self.gauges.stand(self.broken, if self.broken { self.owed.len() } else { 0 });
        self.gauges.set_full(self.broken && self.owed.len() > self.owed_before + OWED_MAX);
    }

    /// Everything that came here so far is in sled and flushed; the write-ahead file has only what came since.
    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        self.write_journal().map_err(StoreError::Failed)?;
        self.flushed();
        self.grow_old();
        Ok(())
    }

    fn write_journal(&mut self) -> Result<(), String> {
        self.insert(true).map_err(|error| error.to_string())?;
        let (done, took) = clock::measured(|| self.base()?.segments.flush());
        self.gauges.flushed(took);
        self.noted(done)
    }

    fn flushed(&mut self) {
        self.unflushed = false;
        if let (Some(file), Ok(base)) = (&self.mark, self.base()) {
            mark::write(file, Marked { journal: self.last_key, state: base.state.at.key });
        }
        self.front.forget(self.ahead_end);
    }

    /// Writes the state, then says so: never the other way round.
    pub(super) fn checkpoint(&mut self) -> Result<(), String> {
        self.write_journal()?;
        let at = Checkpoint { key: self.last_key, last_seq: self.last_seq, last_at_ms: self.last_at_ms };
        let base = self.base.as_mut().filter(|_| !self.broken).ok_or_else(not_open)?;
        let written = base.state.write(&self.pending, at);
        self.noted(written)?;
        self.pending.clear();
        (self.since_checkpoint, self.bytes_since_checkpoint) = (0, 0);
        self.flushed();
        Ok(())
    }

    /// Seals the newest segment, if it is full, and removes old ones.
    fn grow_old(&mut self) {
        let now_ms = clock::wall_ms();
        let full = self.base().is_ok_and(|base| base.segments.is_full(now_ms));
        let done = if full {
            // Nothing may depend on a segment that is sealed.
            let begun = self.checkpoint().and_then(|()| self.base_mut()?.segments.begin_next());
            // Who is never quiet gives back what the old segment took here, while all wait for the new one anyway.
            memory::give_back();
            begun
        } else {
            Ok(())
        };
        match (done, self.base_mut()) {
            (Ok(()), Ok(base)) => base.segments.retain(now_ms),
            (Err(problem), _) => log::warn!("no new segment of the journal; problem={problem}"),
            _ => {}
        }
    }

    fn retain(&mut self, limits: JournalRetention) {
        if let Ok(base) = self.base_mut() {
            base.segments.limits = limits;
        }
        self.grow_old();
    }

    fn load(&mut self, damage: Option<String>) -> Result<Loaded, StoreError> {
        let state = self.scan("")?.into_iter().collect::<BTreeMap<_, _>>();
        let clean = std::mem::take(&mut self.clean);
        let fresh = state.is_empty() && self.last_at_ms == 0 && damage.is_none();
        let done = self.base().and_then(|base| base.state.set_clean(false));
        // Failing, it is a store that ends and begins on a full disk: what counts is in the write-ahead file.
        if let Err(problem) = self.noted(done).map_err(StoreError::Failed).and_then(|()| self.flush()) {
            log::error!("the journal cannot be written; problem={problem}");
        }
        Ok(Loaded { last_seq: self.last_seq, last_at_ms: self.last_at_ms, clean, fresh, state, damage })
    }

    fn close(&mut self) -> Result<(), StoreError> {
        if self.closed {
            return Ok(());
        }
        if self.broken {
            self.mend();
        }
        self.checkpoint().map_err(StoreError::Failed)?;
        let done = self.base().and_then(|base| base.state.set_clean(true));
        self.noted(done).map_err(StoreError::Failed)?;
        self.closed = true;
        Ok(())
    }
}

fn not_open() -> String {
    "the database is not open".to_owned()
}

fn answer<T>(done: Done<T>, result: Result<T, StoreError>) {
    guarded("answer", move || done(result));
}
