//! The store's thread: the journal, and the state as its cache.
//!
//! A commit is answered when it stands in the write-ahead file, and inserted into the journal as one value; its changes of state are kept in memory and reach the state's
//! tree at the next *checkpoint*, when nothing else is to do. At open, what the journal holds beyond the checkpoint is
//! applied again. Changes are absolute values, so applying one twice changes nothing.

use super::{
    ahead::Ahead,
    codec::Out,
    condition::Gauges,
    database::{guard, panic_text},
    entry::{CHECKPOINT, CLEAN, Key, key_bytes, write_entry, write_state},
    frame::{self, Kind},
    handle::{Commit, Loaded, StoreError},
    memory::Burst,
};
use crate::{
    clock,
    model::{Place, Put, Written},
};
use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    os::unix::fs::FileExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

/// Journal records that are kept. At some 200 bytes each this is 40 MB, weeks of a busy supervisor and what a page can
/// show; older ones are removed, their effect stays in the state.
const KEEP_RECORDS: u64 = 200_000;

/// Old entries removed at one checkpoint: bounds how long a commit may wait behind it.
const TRIM_AT_ONCE: usize = 2_048;

/// Commits between checkpoints at most: bounds the memory that unwritten state takes and the time of replay.
const CHECKPOINT_COMMITS: usize = 4_096;

/// sled flushes when no commit came for so long: the write-ahead file is short most of the time, and a flush is never in
/// the way of a commit that follows another at once.
const LAZY: Duration = Duration::from_millis(20);

/// sled flushes when the write-ahead file has grown to this, however busy it is: bounds the file, and what is written
/// twice after a crash.
const AHEAD_MAX: u64 = 1 << 20;

/// Commits that are in the write-ahead file and that sled refused. Beyond this, commits are refused too.
const OWED_MAX: usize = 1_024;

/// Quiet for so long: time for a checkpoint.
const QUIET: Duration = Duration::from_millis(1_000);

/// So often a database that refused is tried again.
const MEND: Duration = Duration::from_millis(1_000);

/// Commits that share one write at most: bounds how long the first of them waits.
const GROUP: usize = 256;

type Done<T> = Box<dyn FnOnce(Result<T, StoreError>) + Send>;

/// What the thread is asked.
pub(crate) enum Request {
    Load(Done<Loaded>),
    Commit(Commit, Done<()>),
    ReadJournal { after: u64, limit: usize, done: Done<Vec<Vec<u8>>> },
    ReadCommits { after: Place, max_bytes: usize, done: Done<Vec<Written>> },
    Scan(String, Done<Vec<(String, Vec<u8>)>>),
    Close(Done<()>),
}

impl Request {
    /// Answers without doing it.
    pub(crate) fn refuse(self, error: StoreError) {
        match self {
            Self::Load(done) => done(Err(error)),
            Self::Commit(_, done) | Self::Close(done) => done(Err(error)),
            Self::ReadJournal { done, .. } => done(Err(error)),
            Self::ReadCommits { done, .. } => done(Err(error)),
            Self::Scan(_, done) => done(Err(error)),
        }
    }
}

/// A state key that the tree does not have yet, with the journal's number when it changed.
pub(super) struct Pending {
    pub(super) seq: u64,
    pub(super) value: Option<Vec<u8>>,
}

/// The database.
pub(super) struct Base {
    pub(super) db: sled::Db,
    pub(super) journal: sled::Tree,
    pub(super) state: sled::Tree,
    pub(super) meta: sled::Tree,
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
    pub(super) unflushed: bool,
    pub(super) burst: Burst,
    pub(super) closed: bool,
    pub(super) mark: Option<File>,
    pub(super) ahead: Option<Ahead>,
    /// Answered, and not in sled yet because it refused them.
    pub(super) owed: VecDeque<(Key, Vec<u8>)>,
    /// What others are told of all this.
    pub(super) gauges: Arc<Gauges>,
}

/// An open journal, and what was wrong with it.
pub(crate) struct Opened {
    pub(crate) engine: Engine,
    pub(crate) damage: Option<String>,
}

impl Engine {
    pub(super) fn write_mark(&self) {
        if let Some(file) = &self.mark {
            let _ = file.write_all_at(&key_bytes(self.last_key), 0);
        }
    }

    pub(super) fn note(&mut self, key: Key, commit: &Commit, at_ms: u64) {
        self.last_key = key;
        self.last_at_ms = self.last_at_ms.max(at_ms);
        if let Some(more) = (commit.records.len() as u64).checked_sub(1) {
            self.last_seq = self.last_seq.max(commit.first_seq.saturating_add(more));
        }
    }

    pub(super) fn remember(&mut self, seq: u64, puts: Vec<Put>) {
        for put in puts {
            self.pending.insert(put.key, Pending { seq, value: put.value });
        }
    }

    /// Answers requests until all handles are gone.
    pub(crate) fn serve(mut self, requests: &Receiver<Request>, mut damage: Option<String>) {
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
                Request::Commit(commit, done) => held = self.group(commit, done, requests),
                Request::Load(done) => answer(done, self.load(damage.take())),
                Request::ReadJournal { after, limit, done } => answer(done, self.read(after, limit)),
                Request::ReadCommits { after, max_bytes, done } => {
                    answer(done, self.read_commits(after, max_bytes));
                }
                Request::Scan(prefix, done) => answer(done, self.scan(&prefix)),
                Request::Close(done) => {
                    let closed = self.close();
                    answer(done, closed);
                }
            }
            self.gauges.stand(self.broken, self.owed.len());
        }
        if !self.closed
            && let Err(problem) = self.checkpoint()
        {
            log::warn!("checkpoint failed; problem={problem}");
        }
        // sled waits for its own threads when it is dropped, and may panic there too.
        let _ = catch_unwind(AssertUnwindSafe(move || drop(self)));
    }

    /// The next request; writes the checkpoint when none comes for a while.
    fn wait(&mut self, requests: &Receiver<Request>) -> Option<Request> {
        while self.broken {
            match requests.recv_timeout(MEND) {
                Ok(request) => return Some(request),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    self.mend();
                    self.gauges.stand(self.broken, self.owed.len());
                }
            }
        }
        if self.pending.is_empty() && !self.unflushed {
            return requests.recv().ok();
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
        self.burst.is_over();
        requests.recv().ok()
    }

    /// This commit and all that wait behind it: one write, then the answers in order, then sled. Returns the request that
    /// ended the group.
    fn group(&mut self, first: Commit, done: Done<()>, requests: &Receiver<Request>) -> Option<Request> {
        let (mut commits, mut waiting) = (vec![first], vec![done]);
        let mut next = None;
        while commits.len() < GROUP {
            match requests.try_recv() {
                Ok(Request::Commit(commit, done)) => {
                    commits.push(commit);
                    waiting.push(done);
                }
                Ok(other) => {
                    next = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        self.burst.count(&commits);
        let written = self.write_ahead(&commits);
        for done in waiting {
            answer(done, written.as_ref().map(|_| ()).map_err(Clone::clone));
        }
        for (commit, (key, at_ms, sealed)) in commits.into_iter().zip(written.unwrap_or_default()) {
            self.note(key, &commit, at_ms);
            self.remember(key.0, commit.puts);
            self.owed.push_back((key, sealed));
        }
        self.since_checkpoint += 1;
        if let Err(problem) = self.insert() {
            log::error!("the journal takes no entries; owed={} problem={problem}", self.owed.len());
        }
        if self.broken {
            return next;
        }
        let long = self.ahead.as_ref().is_some_and(|ahead| ahead.bytes() >= AHEAD_MAX);
        if self.since_checkpoint >= CHECKPOINT_COMMITS {
            if let Err(problem) = self.checkpoint() {
                log::warn!("checkpoint failed; problem={problem}");
            }
        } else if long && let Err(problem) = self.flush() {
            log::warn!("the journal could not be flushed; problem={problem}");
        }
        next
    }

    /// Seals these commits and writes them into the write-ahead file: from then on no death of ours loses them.
    fn write_ahead(&mut self, commits: &[Commit]) -> Result<Vec<(Key, u64, Vec<u8>)>, StoreError> {
        if self.closed {
            return Err(StoreError::Closed);
        }
        if self.owed.len() > OWED_MAX {
            return Err(StoreError::Failed(format!("the journal owes {} entries", self.owed.len())));
        }
        let at_ms = clock::wall_ms();
        let mut last = self.last_key;
        let mut all = Vec::new();
        let sealed: Vec<_> = commits
            .iter()
            .map(|commit| {
                let (seq, count) = last;
                let after = commit.first_seq > seq;
                last = if after { (commit.first_seq, 0) } else { (seq, count.saturating_add(1)) };
                let value = write_entry(last, at_ms, commit);
                all.extend_from_slice(&value);
                (last, at_ms, value)
            })
            .collect();
        if let Some(ahead) = &mut self.ahead {
            ahead.append(&all).map_err(|error| StoreError::Failed(format!("write-ahead file: {error}")))?;
        }
        Ok(sealed)
    }

    /// Gives sled what it is owed.
    fn insert(&mut self) -> Result<(), StoreError> {
        while let Some((key, sealed)) = self.owed.front() {
            let done = self
                .base()
                .and_then(|base| guard(|| base.journal.insert(key_bytes(*key), sealed.as_slice())));
            self.noted(done).map_err(StoreError::Failed)?;
            self.unflushed = true;
            self.owed.pop_front();
        }
        Ok(())
    }

    /// The database, unless it refused something and was not opened again yet.
    pub(super) fn base(&self) -> Result<&Base, String> {
        self.base.as_ref().filter(|_| !self.broken).ok_or_else(|| "the database is not open".to_owned())
    }

    /// What a writing call of sled returned.
    fn noted<T>(&mut self, result: Result<T, String>) -> Result<T, String> {
        self.broken |= result.is_err();
        result
    }

    /// Everything answered so far is in sled and flushed; the write-ahead file is empty again.
    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        self.insert()?;
        let done = self.flush_base();
        self.noted(done).map_err(StoreError::Failed)?;
        self.flushed();
        Ok(())
    }

    fn flush_base(&self) -> Result<(), String> {
        let base = self.base()?;
        let (done, took) = clock::measured(|| guard(|| base.db.flush()));
        self.gauges.flushed(took);
        done.map(drop)
    }

    fn flushed(&mut self) {
        self.unflushed = false;
        self.write_mark();
        if let Some(ahead) = &mut self.ahead {
            ahead.clear();
        }
    }

    /// Writes the state, then says so: never the other way round.
    pub(super) fn checkpoint(&mut self) -> Result<(), String> {
        self.insert().map_err(|error| error.to_string())?;
        let written = self.write_state();
        self.noted(written)?;
        self.pending.clear();
        self.since_checkpoint = 0;
        let mut body = Out::default();
        body.u64(self.last_key.0);
        body.u32(self.last_key.1);
        body.u64(self.last_seq);
        body.u64(self.last_at_ms);
        let written = self.write_checkpoint(&frame::seal(Kind::Meta, &body.0));
        self.noted(written)?;
        self.flushed();
        Ok(())
    }

    fn write_state(&self) -> Result<(), String> {
        let base = self.base()?;
        for (key, pending) in &self.pending {
            match &pending.value {
                Some(value) => {
                    guard(|| base.state.insert(key, write_state(pending.seq, key, value)))?;
                }
                None => drop(guard(|| base.state.remove(key))?),
            }
        }
        self.flush_base()
    }

    fn write_checkpoint(&self, sealed: &[u8]) -> Result<(), String> {
        let base = self.base()?;
        guard(|| base.meta.insert(CHECKPOINT, sealed))?;
        self.trim()?;
        self.flush_base()
    }

    fn trim(&self) -> Result<(), String> {
        let Some(cut) = self.last_seq.checked_sub(KEEP_RECORDS) else { return Ok(()) };
        let journal = &self.base()?.journal;
        for entry in journal.range(..key_bytes((cut, 0))).take(TRIM_AT_ONCE) {
            let (key, _) = guard(|| entry)?;
            guard(|| journal.remove(key))?;
        }
        Ok(())
    }

    fn load(&mut self, damage: Option<String>) -> Result<Loaded, StoreError> {
        let state = self.scan("")?.into_iter().collect::<BTreeMap<_, _>>();
        let clean = std::mem::take(&mut self.clean);
        let fresh = state.is_empty() && self.last_at_ms == 0 && damage.is_none();
        let done = self.base().and_then(|base| guard(|| base.meta.remove(CLEAN)));
        // Failing, it is a store that ends and begins on a full disk: what counts is in the write-ahead file.
        if let Err(problem) = self.noted(done).map_err(StoreError::Failed).and_then(|_| self.flush()) {
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
        let done =
            self.base().and_then(|base| guard(|| base.meta.insert(CLEAN, frame::seal(Kind::Meta, &[]))));
        self.noted(done).map_err(StoreError::Failed)?;
        self.flush()?;
        self.closed = true;
        Ok(())
    }
}

/// An answer that panics must not take the store with it.
fn answer<T>(done: Done<T>, result: Result<T, StoreError>) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(move || done(result))) {
        log::error!("an answer of the store panicked; why={}", panic_text(&*panic));
    }
}
