//! Opening the journal, whatever its last owner left: a write-ahead file, entries beyond the checkpoint, damage.

use super::{
    ahead::Ahead,
    database,
    entry::{Entry, Key, write_entry},
    facts::Facts,
    front::{End, Front},
    journal::{Base, Engine, Opened},
    legacy, mark,
    memory::Burst,
    owed::Owed,
    panics::guarded,
    segments::{Known, Segments},
    state::{Pending, Salvaged, State},
};
use crate::model::Put;
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// The database, and what it adds up to.
struct Found {
    base: Base,
    /// Changes that the state does not have yet.
    pending: BTreeMap<String, Pending>,
    /// Where the journal ends, with what is in the state.
    end: Facts,
    /// Commits beyond the checkpoint.
    beyond: usize,
    clean: bool,
    damage: Vec<String>,
}

impl Engine {
    /// Opens the journal in this folder, whatever state it is in.
    pub(crate) fn open(root: &Path) -> Result<Opened, String> {
        database::room(root)
            .map_err(|error| format!("its disk takes nothing, so it was left as it is: {error}"))?;
        let path = root.join("journal.ahead");
        let (ahead, left) = Ahead::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let Found { base, pending, end, beyond, clean, damage } = find(root, &left)?;
        let mut engine = Self {
            root: root.to_owned(),
            base: Some(base),
            broken: false,
            pending,
            last_key: end.last,
            last_seq: end.last_seq,
            last_at_ms: end.last_at_ms,
            clean,
            since_checkpoint: beyond,
            bytes_since_checkpoint: 0,
            unflushed: false,
            burst: Burst::default(),
            closed: false,
            mark: mark::open(root),
            front: Arc::new(Front::new((0, 0), ahead)),
            ahead_end: End::default(),
            owed: Owed::default(),
            owed_before: 0,
            gauges: Arc::default(),
        };
        engine.catch_up(left);
        engine.front.begin_behind(engine.last_key);
        if let Err(problem) = engine.flush() {
            log::error!("the journal takes no entries yet; problem={problem}");
        }
        engine.say_how_it_stands();
        let damage = (!damage.is_empty()).then(|| damage.join("; "));
        Ok(Opened { engine, damage })
    }

    /// Takes over what was answered and had not reached sled.
    fn catch_up(&mut self, left: Vec<(Key, Entry)>) {
        for (key, entry) in left {
            if key <= self.last_key {
                continue;
            }
            let value = write_entry(key, entry.at_ms, &entry.commit);
            let of = Facts::of_one(key, &entry);
            // In front of what is inserted, a full disk is no reason to refuse a start: it is owed, as in life.
            self.note(of);
            self.owed.push(of, value);
            self.remember(key.0, entry.commit.puts);
            self.since_checkpoint += 1;
        }
    }

    /// Opens a database again that refused something, once its disk takes something: sled refuses everything after its
    /// first failed write. What it had not flushed is in the write-ahead file and is given to it again.
    pub(super) fn mend(&mut self) {
        if database::room(&self.root).is_err() {
            return;
        }
        // sled waits for its own threads when it is dropped, and may panic there too.
        let limits = self.base.as_ref().map(|base| base.segments.limits);
        let old = self.base.take();
        guarded("close the journal", move || drop(old));
        let left = self.front.entries();
        let found = match find(&self.root, &left) {
            Ok(found) => found,
            Err(problem) => return log::error!("the journal cannot be opened again; problem={problem}"),
        };
        for damage in found.damage {
            log::error!("the journal was damaged; {damage}");
        }
        let mut base = found.base;
        base.segments.limits = limits.unwrap_or(base.segments.limits);
        (self.base, self.broken) = (Some(base), false);
        self.owed = Owed::default();
        for (key, entry) in left.into_iter().filter(|(key, _)| *key > found.end.last) {
            let of = Facts::of_one(key, &entry);
            self.owed.push(of, write_entry(key, entry.at_ms, &entry.commit));
            // One that is still on its way here.
            if key > self.last_key {
                self.note(of);
                self.remember(key.0, entry.commit.puts);
            }
        }
        match self.flush() {
            Ok(()) => log::info!("the journal takes entries again"),
            Err(problem) => log::error!("the journal could not be flushed; problem={problem}"),
        }
    }
}

/// Opens both databases. What is in the write-ahead file is not missing.
fn find(root: &Path, left: &[(Key, Entry)]) -> Result<Found, String> {
    let marked = mark::read(root);
    let known = Known { marked: marked.journal, left };
    let mut damage: Vec<_> = legacy::take_over(root, &known)?.into_iter().collect();
    let (mut segments, problem) = Segments::open(root, &known)?;
    damage.extend(problem);
    let (state, salvaged) = State::open(root, marked.state)?;
    let at = state.at;
    let mut pending = BTreeMap::new();
    if let Some(Salvaged { values, why, aside }) = salvaged {
        let saved = values.len();
        pending
            .extend(values.into_iter().map(|(key, (seq, value))| (key, Pending { seq, value: Some(value) })));
        damage.push(format!(
            "the state was damaged ({why}); it was moved to {}, {saved} values were saved from it, and the journal has \
             what changed since its oldest decision",
            aside.display()
        ));
    }
    let zero = Facts {
        first: at.key,
        last: at.key,
        last_seq: at.last_seq,
        first_at_ms: 0,
        last_at_ms: at.last_at_ms,
    };
    // The head may have lost what the state still has.
    let mut end = segments.end().map_or(zero, |end| zero.and(end));
    let mut beyond = 0;
    let unreadable = segments.walk(at.key, &mut |block| {
        for (key, entry, _) in block.entries().filter(|(key, _, _)| *key > at.key) {
            end = end.and(Facts::of_one(key, &entry));
            // A value saved from a damaged state may be newer than what an old entry says of it.
            let newer = |put: &Put| pending.get(&put.key).is_none_or(|have: &Pending| have.seq <= key.0);
            for put in entry.commit.puts.into_iter().filter(newer).collect::<Vec<_>>() {
                pending.insert(put.key, Pending { seq: key.0, value: put.value });
            }
            beyond += 1;
        }
        true
    })?;
    segments.rest();
    if unreadable > 0 {
        damage.push(format!("{unreadable} blocks of the journal were damaged and are left out"));
    }
    let clean = state.is_clean()?;
    Ok(Found { base: Base { segments, state }, pending, end, beyond, clean, damage })
}
