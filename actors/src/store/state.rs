//! The state: a sled database of what the decisions add up to, as far as its *checkpoint* says.
//!
//! sled gives no disk back, however much was overwritten. So once a database takes several times what is in it, the state
//! moves into a fresh one: piece by piece, a little at each checkpoint, so that no commit waits for it. Until the new one
//! has a checkpoint of its own it is nothing, and the old one is whole.

use super::{
    codec::{In, Out},
    database::{self, guard},
    entry::{CHECKPOINT, CLEAN, Key, key_bytes, read_key, read_state, write_state},
    frame::{self, Kind},
    segments::{folder, numbered, remove},
};
use std::{
    collections::BTreeMap,
    fs,
    ops::Bound,
    path::{Path, PathBuf},
};

/// Page cache: the working set of a checkpoint is a few pages.
const CACHE: u64 = 2 << 20;

/// A database that takes less is left as it is.
const SMALL: u64 = 16 << 20;

/// So many times what is in it a database may take on the disk: sled needs some two times for itself.
const SPREAD: u64 = 4;

/// Bytes that move into the fresh database at one checkpoint at least: some ten milliseconds, for which a commit may have
/// to wait.
const STEP: u64 = 2 << 20;

/// A state key that the tree does not have yet, with the journal's number when it changed.
pub(super) struct Pending {
    pub(super) seq: u64,
    pub(super) value: Option<Vec<u8>>,
}

/// How far a state goes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Checkpoint {
    /// The newest commit in it.
    pub(super) key: Key,
    /// The newest record.
    pub(super) last_seq: u64,
    /// When it was written, in milliseconds by the wall clock.
    pub(super) last_at_ms: u64,
}

/// A database.
struct Tables {
    db: sled::Db,
    state: sled::Tree,
    meta: sled::Tree,
}

impl Tables {
    fn open(path: &Path) -> Result<Self, String> {
        let db = database::open(path, CACHE)?;
        database::restrict(path);
        let (state, meta) = guard(|| Ok((db.open_tree("state")?, db.open_tree("meta")?)))?;
        Ok(Self { db, state, meta })
    }

    /// How far it goes, and how many bytes are in it.
    fn checkpoint(&self) -> Result<Option<(Checkpoint, u64)>, String> {
        let value = guard(|| self.meta.get(CHECKPOINT))?;
        let Some(mut body) = value.as_deref().and_then(|value| frame::open(Kind::Meta, value)).map(In) else {
            return Ok(None);
        };
        let read = |body: &mut In<'_>| {
            let key = read_key(body.take(12)?)?;
            let (last_seq, last_at_ms) = (body.u64()?, body.u64()?);
            Some((Checkpoint { key, last_seq, last_at_ms }, body.u64()?))
        };
        Ok(read(&mut body))
    }

    fn put(&self, key: &str, pending: &Pending) -> Result<(u64, u64), String> {
        let size = |value: Option<sled::IVec>| value.map_or(0, |value| (key.len() + value.len()) as u64);
        match &pending.value {
            Some(value) => {
                let value = write_state(pending.seq, key, value);
                let new = (key.len() + value.len()) as u64;
                Ok((new, size(guard(|| self.state.insert(key, value))?)))
            }
            None => Ok((0, size(guard(|| self.state.remove(key))?))),
        }
    }

    fn finish(&self, at: Checkpoint, held: u64) -> Result<(), String> {
        guard(|| self.db.flush())?;
        let mut body = Out::default();
        body.0.extend_from_slice(&key_bytes(at.key));
        [at.last_seq, at.last_at_ms, held].into_iter().for_each(|number| body.u64(number));
        guard(|| self.meta.insert(CHECKPOINT, frame::seal(Kind::Meta, &body.0)))?;
        guard(|| self.db.flush()).map(drop)
    }
}

/// The fresh database, and the last key that it has.
struct Move {
    to: Tables,
    upto: Option<sled::IVec>,
    held: u64,
}

/// See the module.
pub(super) struct State {
    dir: PathBuf,
    number: u64,
    tables: Tables,
    /// How far it goes.
    pub(super) at: Checkpoint,
    /// Bytes of what is in it.
    held: u64,
    moving: Option<Move>,
    /// A database that takes no more than this stays, whatever is in it.
    pub(super) small: u64,
}

impl State {
    /// A state that holds nothing, whatever is there.
    pub(super) fn fresh(root: &Path) -> Result<Self, String> {
        let dir = root.join("state");
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(format!("{}: {error}", dir.display()));
            }
            _ => {}
        }
        Ok(Self::open(root, (0, 0))?.0)
    }

    /// Opens what is there. `marked`: how far it is known to have gone.
    pub(super) fn open(root: &Path, marked: Key) -> Result<(Self, Option<Salvaged>), String> {
        let dir = root.join("state");
        let mut numbers = numbered(&dir)?;
        loop {
            let number = numbers.pop_last().unwrap_or(1);
            let path = folder(&dir, number);
            let before = database::Before::keep(root, &path);
            let opened =
                Tables::open(&path).and_then(|tables| tables.checkpoint().map(|found| (tables, found)));
            let problem = match opened {
                // A move that was under way when its owner died.
                Ok((tables, None)) if !numbers.is_empty() => {
                    drop(tables);
                    remove(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                    continue;
                }
                Ok((tables, found)) => {
                    let (at, held) = found.unwrap_or_default();
                    if at.key >= marked {
                        for old in numbers {
                            let _ = remove(&folder(&dir, old));
                        }
                        return Ok((
                            Self { dir, number, tables, at, held, moving: None, small: SMALL },
                            None,
                        ));
                    }
                    format!("changes are missing from {} to {}", at.key.0, marked.0)
                }
                Err(problem) => problem,
            };
            database::room(root).map_err(|error| format!("its disk takes nothing: {error}; {problem}"))?;
            log::error!("state damaged; problem={problem}");
            let (aside, raw) = before.set_aside(&problem)?;
            if !numbers.is_empty() {
                continue; // A move that was under way, or has just ended: the one before is whole.
            }
            let tables = Tables::open(&path)?;
            let mut values: BTreeMap<String, (u64, Vec<u8>)> = BTreeMap::new();
            for (seq, key, value) in frame::salvage(Kind::State, &raw).filter_map(read_state) {
                if values.get(&key).is_none_or(|(have, _)| *have <= seq) {
                    values.insert(key, (seq, value));
                }
            }
            let salvaged = Salvaged { values, why: problem, aside };
            let state =
                Self { dir, number, tables, at: Checkpoint::default(), held: 0, moving: None, small: SMALL };
            return Ok((state, Some(salvaged)));
        }
    }

    /// Writes what changed, then says how far it goes: never the other way round.
    pub(super) fn write(
        &mut self,
        pending: &BTreeMap<String, Pending>,
        at: Checkpoint,
    ) -> Result<(), String> {
        let mut written = 0;
        for (key, pending) in pending {
            let (new, old) = self.tables.put(key, pending)?;
            self.held = (self.held + new).saturating_sub(old);
            written += new;
        }
        self.tables.finish(at, self.held)?;
        self.at = at;
        if let Err(problem) = self.go_on_moving(pending, STEP.max(2 * written)) {
            log::warn!("the state stays in its old database; problem={problem}");
            self.moving = None;
            let _ = remove(&folder(&self.dir, self.number + 1));
        }
        Ok(())
    }

    fn go_on_moving(&mut self, pending: &BTreeMap<String, Pending>, bytes: u64) -> Result<(), String> {
        let path = folder(&self.dir, self.number + 1);
        let Some(moving) = &mut self.moving else {
            let most = self.small + SPREAD * self.held;
            if database::disk_bytes(&folder(&self.dir, self.number)) > most {
                let _ = fs::remove_dir_all(&path);
                self.moving = Some(Move { to: Tables::open(&path)?, upto: None, held: 0 });
            }
            return Ok(());
        };
        // What it has already follows every change; the rest comes as it is by then.
        for (key, pending) in pending {
            if moving.upto.as_ref().is_some_and(|upto| key.as_bytes() <= upto.as_ref()) {
                let (new, old) = moving.to.put(key, pending)?;
                moving.held = (moving.held + new).saturating_sub(old);
            }
        }
        let mut moved = 0;
        let from = moving.upto.clone().map_or(Bound::Unbounded, Bound::Excluded);
        for item in self.tables.state.range::<sled::IVec, _>((from, Bound::Unbounded)) {
            if moved >= bytes {
                return Ok(());
            }
            let (key, value) = guard(|| item)?;
            let size = (key.len() + value.len()) as u64;
            guard(|| moving.to.state.insert(&key, value))?;
            moving.upto = Some(key);
            moving.held += size;
            moved += size;
        }
        moving.to.finish(self.at, moving.held)?;
        let Some(Move { to, held, .. }) = self.moving.take() else { return Ok(()) };
        (self.tables, self.held) = (to, held);
        let old = self.number;
        self.number += 1;
        log::debug!("the state has moved into a fresh database; bytes={held}");
        if let Err(error) = remove(&folder(&self.dir, old)) {
            log::warn!("the old database of the state is not deleted; error={error}");
        }
        Ok(())
    }

    /// Every value whose key begins so, sealed as it is.
    pub(super) fn scan(&self, prefix: &str) -> impl Iterator<Item = Result<sled::IVec, String>> {
        self.tables.state.scan_prefix(prefix).map(|item| guard(|| item).map(|(_, value)| value))
    }

    /// Whether its last owner closed it.
    pub(super) fn is_clean(&self) -> Result<bool, String> {
        guard(|| self.tables.meta.contains_key(CLEAN))
    }

    /// It is closed now, or it is not.
    pub(super) fn set_clean(&self, clean: bool) -> Result<(), String> {
        let meta = &self.tables.meta;
        guard(|| if clean { meta.insert(CLEAN, frame::seal(Kind::Meta, &[])) } else { meta.remove(CLEAN) })?;
        guard(|| self.tables.db.flush()).map(drop)
    }
}

/// What is left of a damaged state: values by key, each with the number of its change.
pub(super) struct Salvaged {
    pub(super) values: BTreeMap<String, (u64, Vec<u8>)>,
    pub(super) why: String,
    pub(super) aside: PathBuf,
}
