//! A store of layout 1, which had one database for journal and state: its state moves into a database of its own, and what
//! remains becomes the first segment of the journal.
//!
//! Until the old folder has its new name, it is the truth, and a second try begins anew.

use super::{
    codec::In,
    database::{self, Before, guard},
    entry::{
        CHECKPOINT, CLEAN, Entry, Key, key_bytes, next_key, read_body, read_entry, read_key, read_state,
        write_entry,
    },
    facts::Facts,
    frame::{self, Kind},
    segments::{Known, Log, folder},
    state::{Checkpoint, Pending, State},
};
use std::{collections::BTreeMap, fs, path::Path};

/// Page cache while it is read.
const CACHE: u64 = 2 << 20;

/// Changes written at once.
const STEP: usize = 10_000;

/// Takes over an old store, if this is one. Returns what was damaged, in a sentence.
pub(super) fn take_over(root: &Path, known: &Known<'_>) -> Result<Option<String>, String> {
    let (dir, aside) = (root.join("journal"), root.join("journal.old"));
    let mut damage = None;
    if dir.join("db").exists() {
        log::info!("a store of an older version is taken over; journal={}", dir.display());
        let before = Before::keep(root, &dir);
        if let Err(problem) = read(root, &dir).and_then(|end| known.check(Some(end))) {
            database::room(root).map_err(|error| format!("its disk takes nothing: {error}; {problem}"))?;
            log::error!("journal damaged; problem={problem}");
            let (to, raw) = before.set_aside(&problem)?;
            let saved = salvage(root, &aside, &raw)?;
            damage = Some(format!(
                "the journal was damaged ({problem}); it was moved to {}, and {saved} entries were saved from it",
                to.display()
            ));
        } else {
            fs::rename(&dir, &aside).map_err(|error| format!("{}: {error}", dir.display()))?;
        }
    }
    if aside.exists() {
        let segment = folder(&dir, 0);
        let moved = fs::create_dir_all(&dir).and_then(|()| fs::rename(&aside, &segment));
        moved.map_err(|error| format!("{}: {error}", segment.display()))?;
    }
    Ok(damage)
}

/// Copies the state of an old database, with what its journal holds beyond its checkpoint.
fn read(root: &Path, dir: &Path) -> Result<Facts, String> {
    let db = database::open(dir, CACHE)?;
    let (journal, state, meta) =
        guard(|| Ok((db.open_tree("journal")?, db.open_tree("state")?, db.open_tree("meta")?)))?;
    let mut at = Checkpoint::default();
    let checkpoint = guard(|| meta.get(CHECKPOINT))?;
    if let Some(mut body) = checkpoint.as_deref().and_then(|v| frame::open(Kind::Meta, v)).map(In) {
        at.key = (body.u64().unwrap_or(0), body.u32().unwrap_or(0));
        at.last_seq = body.u64().unwrap_or(0);
        at.last_at_ms = body.u64().unwrap_or(0);
    }
    let clean = guard(|| meta.contains_key(CLEAN))?;
    let mut to = State::fresh(root)?;
    let mut pending = BTreeMap::new();
    for item in state.iter() {
        let (_, value) = guard(|| item)?;
        let Some((seq, key, value)) = frame::open(Kind::State, &value).and_then(read_state) else { continue };
        pending.insert(key, Pending { seq, value: Some(value) });
        if pending.len() >= STEP {
            // Without a number: until the last one is written, it is not there.
            to.write(&std::mem::take(&mut pending), Checkpoint::default())?;
        }
    }
    let mut facts = Facts {
        first: at.key,
        last: at.key,
        last_seq: at.last_seq,
        first_at_ms: 0,
        last_at_ms: at.last_at_ms,
    };
    for item in journal.range(key_bytes(next_key(at.key))..) {
        let (key, value) = guard(|| item)?;
        let (Some(key), Some(entry)) = (read_key(&key), read_entry(&value)) else { continue };
        facts = facts.and(Facts::of_one(key, &entry));
        pending.extend(
            entry.commit.puts.into_iter().map(|put| (put.key, Pending { seq: key.0, value: put.value })),
        );
    }
    let at = Checkpoint { key: facts.last, last_seq: facts.last_seq, last_at_ms: facts.last_at_ms };
    to.write(&pending, at)?;
    to.set_clean(clean)?;
    Ok(facts)
}

/// Takes over what is readable in the raw bytes of an old database that is not.
fn salvage(root: &Path, aside: &Path, raw: &[u8]) -> Result<usize, String> {
    let mut pending: BTreeMap<String, Pending> = BTreeMap::new();
    for (seq, key, value) in frame::salvage(Kind::State, raw).filter_map(read_state) {
        if pending.get(&key).is_none_or(|have| have.seq <= seq) {
            pending.insert(key, Pending { seq, value: Some(value) });
        }
    }
    let entries: BTreeMap<Key, Entry> = frame::salvage(Kind::Commit, raw).filter_map(read_body).collect();
    let log = Log::open(aside)?;
    let mut at = Checkpoint::default();
    for (key, entry) in &entries {
        let of = Facts::of_one(*key, entry);
        log.insert(of.first, &write_entry(*key, entry.at_ms, &entry.commit))?;
        at = Checkpoint {
            key: of.last,
            last_seq: at.last_seq.max(of.last_seq),
            last_at_ms: at.last_at_ms.max(of.last_at_ms),
        };
        for put in &entry.commit.puts {
            // A key saved from the state may be newer than what an old entry says of it.
            if pending.get(&put.key).is_none_or(|have| have.seq <= key.0) {
                pending.insert(put.key.clone(), Pending { seq: key.0, value: put.value.clone() });
            }
        }
    }
    log.flush()?;
    State::fresh(root)?.write(&pending, at)?;
    Ok(entries.len())
}
