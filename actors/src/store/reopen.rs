//! Opening the journal, whatever its last owner left: a write-ahead file, entries beyond the checkpoint, damage.

use super::{
    ahead::Ahead,
    codec::In,
    database::{self, guard},
    entry::{
        CHECKPOINT, CLEAN, Entry, Key, key_bytes, next_key, read_body, read_entry, read_key, read_state,
        write_entry,
    },
    frame::{self, Kind},
    journal::{Base, Engine, Opened, Pending},
    memory::Burst,
};
use crate::model::Put;
use std::{
    collections::{BTreeMap, VecDeque},
    fs::{self, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

/// Page cache of the journal's database. It is read at open only; the working set is the newest few pages.
const CACHE: u64 = 2 << 20;

impl Engine {
    /// Opens the journal in this folder, whatever state it is in.
    pub(crate) fn open(root: &Path) -> Result<Opened, String> {
        let mut opened = Self::open_journal(root)?;
        let path = root.join("journal.ahead");
        let (ahead, left) = Ahead::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        opened.engine.catch_up(left)?;
        opened.engine.ahead = Some(ahead);
        if let Err(problem) = opened.engine.flush() {
            log::error!("the journal takes no entries yet; problem={problem}");
        }
        opened.engine.gauges.stand(opened.engine.broken, opened.engine.owed.len());
        Ok(opened)
    }

    /// Takes over what was answered and had not reached sled.
    fn catch_up(&mut self, left: Vec<(Key, Entry)>) -> Result<(), String> {
        for (key, entry) in left {
            if key <= self.last_key {
                continue;
            }
            let value = write_entry(key, entry.at_ms, &entry.commit);
            // In front of what is inserted, a full disk is no reason to refuse a start: it is owed, as in life.
            self.owed.push_back((key, value));
            self.note(key, &entry.commit, entry.at_ms);
            self.remember(key.0, entry.commit.puts);
            self.since_checkpoint += 1;
        }
        Ok(())
    }

    /// Opens a database again that refused something, once its disk takes something: sled refuses everything after its
    /// first failed write. What it had not flushed is in the write-ahead file and is given to it again.
    pub(super) fn mend(&mut self) {
        if database::room(&self.root).is_err() {
            return;
        }
        // sled waits for its own threads when it is dropped, and may panic there too.
        let old = self.base.take();
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || drop(old)));
        let opened = match Self::open_journal(&self.root) {
            Ok(opened) => opened,
            Err(problem) => return log::error!("the journal cannot be opened again; problem={problem}"),
        };
        if let Some(damage) = opened.damage {
            log::error!("the journal was damaged; {damage}");
        }
        (self.base, self.broken) = (opened.engine.base, false);
        if let Some(ahead) = &self.ahead {
            self.owed = ahead.entries().into_iter().collect();
        }
        match self.flush() {
            Ok(()) => log::info!("the journal takes entries again"),
            Err(problem) => log::error!("the journal could not be flushed; problem={problem}"),
        }
    }

    fn open_journal(root: &Path) -> Result<Opened, String> {
        database::room(root)
            .map_err(|error| format!("its disk takes nothing, so it was left as it is: {error}"))?;
        let path = root.join("journal");
        let mark = root.join("journal.mark");
        // When sled meets damage it cuts its log there, so what lies behind would be gone before we know of it.
        let before = root.join("journal.before");
        let copied = fs::copy(path.join("db"), &before).is_ok();
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
        if let Err(error) = database::room(root) {
            return Err(format!("its disk takes nothing: {error}; {problem}"));
        }
        log::error!("journal damaged; problem={problem}");
        let aside = database::quarantine(root, &path).map_err(|error| format!("{problem}; {error}"))?;
        let (mut engine, _) = Self::open_at(&path)?;
        let saved = engine.salvage(&database::raw(copied.then_some(&*before), &aside))?;
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
            root: path.parent().unwrap_or(path).to_owned(),
            base: Some(Base { db, journal, state, meta }),
            broken: false,
            pending: BTreeMap::new(),
            last_key: (0, 0),
            last_seq: 0,
            last_at_ms: 0,
            clean: false,
            since_checkpoint: 0,
            unflushed: false,
            burst: Burst::default(),
            closed: false,
            mark: None,
            ahead: None,
            owed: VecDeque::new(),
            gauges: Arc::default(),
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

    /// Reads the checkpoint and applies what the journal holds beyond it. Returns how many entries were unreadable.
    fn recover(&mut self) -> Result<u64, String> {
        let base = self.base()?;
        let (meta, journal) = (base.meta.clone(), base.journal.clone());
        let checkpoint = guard(|| meta.get(CHECKPOINT))?;
        if let Some(mut body) = checkpoint.as_deref().and_then(|v| frame::open(Kind::Meta, v)).map(In) {
            self.last_key = (body.u64().unwrap_or(0), body.u32().unwrap_or(0));
            self.last_seq = body.u64().unwrap_or(0);
            self.last_at_ms = body.u64().unwrap_or(0);
        }
        self.clean = guard(|| meta.get(CLEAN))?.is_some();
        let beyond = next_key(self.last_key);
        let entries: Vec<_> = guard(|| journal.range(key_bytes(beyond)..).collect())?;
        let mut skipped = 0;
        for (key, value) in entries {
            let (Some(key), Some(entry)) = (read_key(&key), read_entry(&value)) else {
                skipped += 1;
                continue;
            };
            self.note(key, &entry.commit, entry.at_ms);
            self.remember(key.0, entry.commit.puts);
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
        let journal = self.base()?.journal.clone();
        for (key, entry) in entries {
            let value = write_entry(key, entry.at_ms, &entry.commit);
            guard(|| journal.insert(key_bytes(key), value))?;
            self.note(key, &entry.commit, entry.at_ms);
            let puts = entry.commit.puts.into_iter();
            // A key saved from the state may be newer than what an old journal entry says of it.
            let newer = |put: &Put| self.pending.get(&put.key).is_none_or(|have| have.seq <= key.0);
            let puts: Vec<_> = puts.filter(newer).collect();
            self.remember(key.0, puts);
        }
        self.checkpoint()?;
        Ok(saved)
    }
}
