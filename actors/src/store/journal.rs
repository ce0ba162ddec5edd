//! The store's thread: the journal, and the state as its cache.
//!
//! A commit is inserted into the journal as one value; its changes of state are kept in memory and reach the state's
//! tree at the next *checkpoint*, when nothing else is to do. At open, what the journal holds beyond the checkpoint is
//! applied again. Changes are absolute values, so applying one twice changes nothing.

use super::{
    codec::{In, Out},
    database::{self, guard, panic_text},
    entry::{
        Entry, Key, key_bytes, next_key, read_body, read_entry, read_key, read_state, write_entry,
        write_state,
    },
    frame::{self, Kind},
    handle::{Commit, Loaded, StoreError},
};
use crate::{clock, model::Put};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    os::unix::fs::{FileExt, OpenOptionsExt},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

/// Journal records that are kept. At some 200 bytes each this is 40 MB, weeks of a busy supervisor and what a page can
/// show; older ones are removed, their effect stays in the state.
const KEEP_RECORDS: u64 = 200_000;

/// Old entries removed at one checkpoint: bounds how long a commit may wait behind it.
const TRIM_AT_ONCE: usize = 2_048;

/// Commits between checkpoints at most: bounds the memory that unwritten state takes and the time of replay.
const CHECKPOINT_COMMITS: usize = 4_096;

/// A commit that nobody waits for is flushed when no other comes for so long: short, because a process's identity is
/// one and the death of the supervisor must find it; not at once, because the next commit mostly brings a flush along.
const LAZY: Duration = Duration::from_millis(20);

/// Quiet for so long: time for a checkpoint.
const QUIET: Duration = Duration::from_millis(1_000);

/// Commits that share one flush at most: bounds how long the first of them waits.
const GROUP: usize = 256;

/// Page cache of the journal's database. It is read at open only; the working set is the newest few pages.
const CACHE: u64 = 16 << 20;

const CHECKPOINT: &str = "checkpoint";
const CLEAN: &str = "clean";

type Done<T> = Box<dyn FnOnce(Result<T, StoreError>) + Send>;

/// What the thread is asked.
pub(crate) enum Request {
    Load(Done<Loaded>),
    Commit(Commit, Done<()>),
    ReadJournal { after: u64, limit: usize, done: Done<Vec<Vec<u8>>> },
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
            Self::Scan(_, done) => done(Err(error)),
        }
    }
}

/// A state key that the tree does not have yet, with the journal's number when it changed.
struct Pending {
    seq: u64,
    value: Option<Vec<u8>>,
}

/// The databases and what is not in them yet.
pub(crate) struct Engine {
    db: sled::Db,
    journal: sled::Tree,
    state: sled::Tree,
    meta: sled::Tree,
    pending: BTreeMap<String, Pending>,
    last_key: Key,
    last_seq: u64,
    last_at_ms: u64,
    clean: bool,
    since_checkpoint: usize,
    unflushed: bool,
    closed: bool,
    mark: Option<File>,
}

/// An open journal, and what was wrong with it.
pub(crate) struct Opened {
    pub(crate) engine: Engine,
    pub(crate) damage: Option<String>,
}

impl Engine {
    /// Opens the journal in this folder, whatever state it is in.
    pub(crate) fn open(root: &Path) -> Result<Opened, String> {
        let path = root.join("journal");
        let mark = root.join("journal.mark");
        // When sled meets damage it cuts its log there, so what lies behind would be gone before we know of it.
        let before = root.join("journal.before");
        let _ = fs::copy(path.join("db"), &before);
        let opened =
            Self::open_at(&path).and_then(|(engine, skipped)| engine.check(&mark).map(|e| (e, skipped)));
        let problem = match opened {
            Ok((mut engine, skipped)) => {
                engine.keep_mark(&mark);
                let _ = fs::remove_file(&before);
                let damage =
                    (skipped > 0).then(|| format!("{skipped} journal entries were damaged and are left out"));
                return Ok(Opened { engine, damage });
            }
            Err(problem) => problem,
        };
        log::error!("journal damaged; problem={problem}");
        let aside = database::quarantine(root, &path).map_err(|error| format!("{problem}; {error}"))?;
        let (mut engine, _) = Self::open_at(&path)?;
        let saved = engine.salvage(&fs::read(&before).unwrap_or_default())?;
        let _ = fs::rename(&before, aside.join("db.before"));
        engine.keep_mark(&mark);
        let damage = format!(
            "the journal was damaged ({problem}); it was moved to {}, and {saved} entries were saved from it",
            aside.display()
        );
        Ok(Opened { engine, damage: Some(damage) })
    }

    fn open_at(path: &Path) -> Result<(Self, u64), String> {
        let db = database::open(path, CACHE)?;
        database::restrict(path);
        let (journal, state, meta) =
            guard(|| Ok((db.open_tree("journal")?, db.open_tree("state")?, db.open_tree("meta")?)))?;
        let mut engine = Self {
            db,
            journal,
            state,
            meta,
            pending: BTreeMap::new(),
            last_key: (0, 0),
            last_seq: 0,
            last_at_ms: 0,
            clean: false,
            since_checkpoint: 0,
            unflushed: false,
            closed: false,
            mark: None,
        };
        let skipped = engine.recover()?;
        Ok((engine, skipped))
    }

    /// sled takes a damaged log for one that ends there and opens without a word. The mark beside it knows better.
    fn check(self, mark: &Path) -> Result<Self, String> {
        let marked = fs::read(mark).ok().and_then(|bytes| read_key(&bytes));
        match marked {
            Some(marked) if marked > self.last_key => {
                Err(format!("entries are missing from {} to {}", self.last_key.0, marked.0))
            }
            _ => Ok(self),
        }
    }

    /// From now on the key of the newest flushed commit is noted in this file: a few microseconds each time.
    fn keep_mark(&mut self, mark: &Path) {
        let options = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(mark);
        self.mark = options.map_err(|error| log::warn!("no mark for the journal; error={error}")).ok();
        self.write_mark();
    }

    fn write_mark(&self) {
        if let Some(file) = &self.mark {
            let _ = file.write_all_at(&key_bytes(self.last_key), 0);
        }
    }

    /// Reads the checkpoint and applies what the journal holds beyond it. Returns how many entries were unreadable.
    fn recover(&mut self) -> Result<u64, String> {
        let checkpoint = guard(|| self.meta.get(CHECKPOINT))?;
        if let Some(mut body) = checkpoint.as_deref().and_then(|v| frame::open(Kind::Meta, v)).map(In) {
            self.last_key = (body.u64().unwrap_or(0), body.u32().unwrap_or(0));
            self.last_seq = body.u64().unwrap_or(0);
            self.last_at_ms = body.u64().unwrap_or(0);
        }
        self.clean = guard(|| self.meta.get(CLEAN))?.is_some();
        let beyond = next_key(self.last_key);
        let entries: Vec<_> = guard(|| self.journal.range(key_bytes(beyond)..).collect())?;
        let mut skipped = 0;
        for (key, value) in entries {
            let (Some(key), Some(entry)) = (read_key(&key), read_entry(&value)) else {
                skipped += 1;
                continue;
            };
            self.note(key, &entry.records, entry.first_seq, entry.at_ms);
            self.remember(key.0, entry.puts);
            self.since_checkpoint += 1;
        }
        Ok(skipped)
    }

    /// Takes over what is readable in the raw bytes of a database that is not.
    fn salvage(&mut self, raw: &[u8]) -> Result<usize, String> {
        let mut newest: BTreeMap<String, (u64, Vec<u8>)> = BTreeMap::new();
        for (seq, key, value) in frame::salvage(Kind::State, raw).filter_map(read_state) {
            if newest.get(&key).is_none_or(|(have, _)| *have <= seq) {
                newest.insert(key, (seq, value));
            }
        }
        for (key, (seq, value)) in newest {
            self.pending.insert(key, Pending { seq, value: Some(value) });
        }
        let mut entries: BTreeMap<Key, Entry> = BTreeMap::new();
        for body in frame::salvage(Kind::Commit, raw) {
            if let Some((key, entry)) = read_body(body) {
                entries.insert(key, entry);
            }
        }
        let saved = entries.len();
        for (key, entry) in entries {
            let value = write_entry(key, entry.at_ms, entry.first_seq, &entry.records, &entry.puts);
            guard(|| self.journal.insert(key_bytes(key), value))?;
            self.note(key, &entry.records, entry.first_seq, entry.at_ms);
            let puts = entry.puts.into_iter();
            // A key saved from the state may be newer than what an old journal entry says of it.
            let newer = |put: &Put| self.pending.get(&put.key).is_none_or(|have| have.seq <= key.0);
            let puts: Vec<_> = puts.filter(newer).collect();
            self.remember(key.0, puts);
        }
        self.checkpoint()?;
        Ok(saved)
    }

    fn note(&mut self, key: Key, records: &[Vec<u8>], first_seq: u64, at_ms: u64) {
        self.last_key = key;
        self.last_at_ms = self.last_at_ms.max(at_ms);
        if let Some(more) = (records.len() as u64).checked_sub(1) {
            self.last_seq = self.last_seq.max(first_seq.saturating_add(more));
        }
    }

    fn remember(&mut self, seq: u64, puts: Vec<Put>) {
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
                Request::Scan(prefix, done) => answer(done, self.scan(&prefix)),
                Request::Close(done) => {
                    let closed = self.close();
                    answer(done, closed);
                }
            }
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
                log::warn!("commits that nobody waits for could not be flushed; problem={problem}");
            }
        }
        match requests.recv_timeout(QUIET) {
            Ok(request) => return Some(request),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Err(problem) = self.checkpoint() {
            log::warn!("checkpoint failed; problem={problem}");
        }
        requests.recv().ok()
    }

    /// This commit and all that wait behind it: one flush, then the answers in order. Returns the request that ended
    /// the group.
    fn group(&mut self, first: Commit, done: Done<()>, requests: &Receiver<Request>) -> Option<Request> {
        let mut waiting = Vec::with_capacity(8);
        let mut durable = first.durable;
        waiting.push((done, self.insert(first)));
        let mut next = None;
        while waiting.len() < GROUP {
            match requests.try_recv() {
                Ok(Request::Commit(commit, done)) => {
                    durable |= commit.durable;
                    waiting.push((done, self.insert(commit)));
                }
                Ok(other) => {
                    next = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        let flushed = if durable { self.flush() } else { Ok(()) };
        for (done, inserted) in waiting {
            answer(done, inserted.and_then(|()| flushed.clone()));
        }
        if self.since_checkpoint >= CHECKPOINT_COMMITS
            && let Err(problem) = self.checkpoint()
        {
            log::warn!("checkpoint failed; problem={problem}");
        }
        next
    }

    fn insert(&mut self, commit: Commit) -> Result<(), StoreError> {
        if self.closed {
            return Err(StoreError::Closed);
        }
        let (seq, count) = self.last_key;
        let key = if commit.first_seq > seq { (commit.first_seq, 0) } else { (seq, count.saturating_add(1)) };
        let at_ms = clock::wall_ms();
        let value = write_entry(key, at_ms, commit.first_seq, &commit.records, &commit.puts);
        guard(|| self.journal.insert(key_bytes(key), value)).map_err(StoreError::Failed)?;
        self.note(key, &commit.records, commit.first_seq, at_ms);
        self.remember(key.0, commit.puts);
        self.since_checkpoint += 1;
        self.unflushed = true;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        guard(|| self.db.flush()).map_err(StoreError::Failed)?;
        self.unflushed = false;
        self.write_mark();
        Ok(())
    }

    /// Writes the state, then says so: never the other way round.
    fn checkpoint(&mut self) -> Result<(), String> {
        for (key, pending) in &self.pending {
            match &pending.value {
                Some(value) => {
                    guard(|| self.state.insert(key, write_state(pending.seq, key, value)))?;
                }
                None => drop(guard(|| self.state.remove(key))?),
            }
        }
        guard(|| self.db.flush())?;
        self.pending.clear();
        self.since_checkpoint = 0;
        let mut body = Out::default();
        body.u64(self.last_key.0);
        body.u32(self.last_key.1);
        body.u64(self.last_seq);
        body.u64(self.last_at_ms);
        guard(|| self.meta.insert(CHECKPOINT, frame::seal(Kind::Meta, &body.0)))?;
        self.trim()?;
        guard(|| self.db.flush())?;
        self.unflushed = false;
        self.write_mark();
        Ok(())
    }

    fn trim(&self) -> Result<(), String> {
        let Some(cut) = self.last_seq.checked_sub(KEEP_RECORDS) else { return Ok(()) };
        for entry in self.journal.range(..key_bytes((cut, 0))).take(TRIM_AT_ONCE) {
            let (key, _) = guard(|| entry)?;
            guard(|| self.journal.remove(key))?;
        }
        Ok(())
    }

    fn load(&mut self, damage: Option<String>) -> Result<Loaded, StoreError> {
        let state = self.scan("")?.into_iter().collect::<BTreeMap<_, _>>();
        let clean = std::mem::take(&mut self.clean);
        let fresh = state.is_empty() && self.last_at_ms == 0 && damage.is_none();
        guard(|| self.meta.remove(CLEAN)).map_err(StoreError::Failed)?;
        self.flush()?;
        Ok(Loaded { last_seq: self.last_seq, last_at_ms: self.last_at_ms, clean, fresh, state, damage })
    }

    fn read(&self, after: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut start = key_bytes((0, 0)).to_vec();
        for item in self.journal.range(..=key_bytes((after.saturating_add(1), u32::MAX))).rev() {
            let (key, value) = guard(|| item).map_err(StoreError::Failed)?;
            start = key.to_vec();
            if read_entry(&value).is_some_and(|e| !e.records.is_empty() && e.first_seq <= after) {
                break;
            }
        }
        let mut found = Vec::new();
        for item in self.journal.range(start..) {
            let (_, value) = guard(|| item).map_err(StoreError::Failed)?;
            let Some(entry) = read_entry(&value) else { continue };
            for (seq, record) in (entry.first_seq..).zip(entry.records) {
                if found.len() == limit {
                    return Ok(found);
                }
                if seq > after {
                    found.push(record);
                }
            }
        }
        Ok(found)
    }

    fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let mut all = BTreeMap::new();
        for item in self.state.scan_prefix(prefix) {
            let (_, value) = guard(|| item).map_err(StoreError::Failed)?;
            match frame::open(Kind::State, &value).and_then(read_state) {
                Some((_, key, value)) => drop(all.insert(key, value)),
                None => log::error!("damaged state left out; prefix={prefix}"),
            }
        }
        for (key, pending) in self.pending.range(prefix.to_owned()..) {
            if !key.starts_with(prefix) {
                break;
            }
            match &pending.value {
                Some(value) => drop(all.insert(key.clone(), value.clone())),
                None => drop(all.remove(key)),
            }
        }
        Ok(all.into_iter().collect())
    }

    fn close(&mut self) -> Result<(), StoreError> {
        if self.closed {
            return Ok(());
        }
        self.checkpoint().map_err(StoreError::Failed)?;
        guard(|| self.meta.insert(CLEAN, frame::seal(Kind::Meta, &[]))).map_err(StoreError::Failed)?;
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
