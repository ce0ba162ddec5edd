//! The journal on the disk: segments, each a small sled database of blocks. The newest is the head, which grows; the others
//! are sealed and only read.
//!
//! sled gives disk back only with a whole database, and what it keeps in memory for each page goes with it: so the oldest
//! segments are deleted as wholes. Nothing depends on them: state goes at least as far as a segment does when it is
//! sealed.

use super::{
    block::{self, Block},
    database::{self, guard},
    entry::{Entry, Key, key_bytes, read_body, read_key, write_entry},
    facts::Facts,
    frame::{self, Kind},
    owed::Owed,
};
use crate::owned;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Page cache of a segment: it is written once in order and read in order.
const CACHE: u64 = 1 << 20;

/// Bytes of a segment on the disk at most: a small step of retention, and opened in some ten milliseconds.
const SEGMENT_BYTES: u64 = 16 << 20;

/// Less than this no segment is worth its files. With room for some of them it is what [`JournalRetention::max_bytes`]
/// can hold.
const SEGMENT_BYTES_MIN: u64 = 1 << 20;

/// So many segments share what is kept, so that it goes in steps of an eighth at most.
const STEPS: u64 = 8;

/// What the head may grow by before its size is looked at again.
const SLACK: u64 = 2 << 20;

/// How many decisions are kept. The first limit that is reached counts; whole segments go, an eighth of it at a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct JournalRetention {
    /// Bytes on the disk; less than [`JournalRetention::MIN_BYTES`] counts as that. Default 512 MiB.
    pub max_bytes: u64,
    /// Milliseconds. Default 90 days.
    pub max_age_ms: u64,
}

impl JournalRetention {
    /// What is kept at least, whatever `max_bytes` says: some segments of the smallest size. 8 MiB.
    pub const MIN_BYTES: u64 = STEPS * SEGMENT_BYTES_MIN;

    /// These limits.
    #[must_use]
    pub const fn new(max_bytes: u64, max_age_ms: u64) -> Self {
        Self { max_bytes, max_age_ms }
    }

    fn bytes(self) -> u64 {
        self.max_bytes.max(Self::MIN_BYTES)
    }

    /// Beyond this the head is sealed.
    fn segment_bytes(self) -> u64 {
        (self.bytes() / STEPS).min(SEGMENT_BYTES)
    }

    /// A head with an older commit is sealed, however small it is: what is sealed can go.
    const fn segment_age_ms(self) -> u64 {
        self.max_age_ms / STEPS
    }
}

impl Default for JournalRetention {
    fn default() -> Self {
        Self { max_bytes: 512 << 20, max_age_ms: 90 * 86_400_000 }
    }
}

/// An open segment.
pub(super) struct Log {
    db: sled::Db,
    tree: sled::Tree,
}

impl Log {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let db = database::open(path, CACHE)?;
        database::restrict(path);
        let tree = guard(|| db.open_tree("journal"))?;
        Ok(Self { db, tree })
    }

    pub(super) fn insert(&self, first: Key, block: &[u8]) -> Result<(), String> {
        guard(|| self.tree.insert(key_bytes(first), block)).map(drop)
    }

    pub(super) fn flush(&self) -> Result<(), String> {
        guard(|| self.db.flush()).map(drop)
    }

    /// Visits the blocks from the one that holds this key, as long as `visit` says so. Returns how many were unreadable.
    fn walk(&self, from: Key, visit: &mut dyn FnMut(Block) -> bool) -> Result<(bool, u64), String> {
        let before = guard(|| self.tree.range(..=key_bytes(from)).next_back().transpose())?;
        let start = before.map_or_else(|| key_bytes((0, 0)).to_vec(), |(key, _)| key.to_vec());
        let mut damaged = 0;
        for item in self.tree.range(start..) {
            let (_, value) = guard(|| item)?;
            match Block::read(&value) {
                Some(block) => {
                    if !visit(block) {
                        return Ok((false, damaged));
                    }
                }
                None => damaged += 1,
            }
        }
        Ok((true, damaged))
    }

    /// The key of the newest block, up to `last`, with a record up to this one.
    fn before_record(&self, seq: u64) -> Result<Option<Key>, String> {
        for item in self.tree.range(..=key_bytes((seq.saturating_add(1), u32::MAX))).rev() {
            let (key, value) = guard(|| item)?;
            let has = |(_, entry, _): &(Key, Entry, usize)| {
                !entry.commit.records.is_empty() && entry.commit.first_seq <= seq
            };
            if Block::read(&value).is_some_and(|block| block.entries().any(|entry| has(&entry))) {
                return Ok(read_key(&key));
            }
        }
        Ok(None)
    }

    /// What a reader would find in it; nothing when it is empty.
    pub(super) fn facts(&self) -> Result<Option<Facts>, String> {
        let mut found: Option<Facts> = None;
        for item in self.tree.iter().rev() {
            let (_, value) = guard(|| item)?;
            let Some(of) = Block::read(&value).as_ref().and_then(Facts::of) else { continue };
            found = Some(found.map_or(of, |later| of.and(later)));
            if found.is_some_and(|facts| facts.last_seq > 0) {
                break;
            }
        }
        let Some(first) = guard(|| self.tree.iter().next().transpose())? else { return Ok(None) };
        let first = Block::read(&first.1).as_ref().and_then(Facts::of);
        Ok(match (first, found) {
            (Some(first), Some(last)) => Some(first.and(last)),
            (one, other) => one.or(other),
        })
    }
}

/// All segments.
pub(super) struct Segments {
    dir: PathBuf,
    sealed: BTreeMap<u64, (Facts, u64)>,
    number: u64,
    head: Log,
    /// What is in the head; nothing when it is empty.
    facts: Option<Facts>,
    pub(super) limits: JournalRetention,
    /// The sealed segment that was read last: a reader goes through it page by page.
    reading: Option<(u64, Log)>,
}

impl Segments {
    /// Opens what is there. With it comes a sentence when the newest segment was damaged.
    pub(super) fn open(root: &Path, known: &Known<'_>) -> Result<(Self, Option<String>), String> {
        let dir = root.join("journal");
        let mut sealed = BTreeMap::new();
        let mut numbers = numbered(&dir)?;
        let number = numbers.pop_last().unwrap_or(1);
        for number in numbers {
            let path = folder(&dir, number);
            match Facts::read(&path)
                .map_or_else(|| Log::open(&path).and_then(|log| log.facts()), |f| Ok(Some(f)))
            {
                Ok(Some(facts)) => drop(sealed.insert(number, (facts, database::disk_bytes(&path)))),
                Ok(None) => drop(fs::remove_dir_all(&path)),
                Err(problem) => {
                    database::room(root)
                        .map_err(|error| format!("its disk takes nothing: {error}; {problem}"))?;
                    log::error!("a segment of the journal is damaged; segment={number} problem={problem}");
                    database::quarantine(root, &path).map_err(|error| format!("{problem}; {error}"))?;
                }
            }
        }
        let before = sealed.last_key_value().map(|(_, (facts, _))| *facts);
        let path = folder(&dir, number);
        let (head, facts, damage) = open_head(root, &path, known, before)?;
        let limits = JournalRetention::default();
        Ok((Self { dir, sealed, number, head, facts, limits, reading: None }, damage))
    }

    /// Where the journal ends; nothing when it is empty.
    pub(super) fn end(&self) -> Option<Facts> {
        self.facts.or_else(|| self.sealed.last_key_value().map(|(_, (facts, _))| *facts))
    }

    /// Writes commits into the head.
    pub(super) fn insert<'a>(
        &mut self,
        of: Facts,
        sealed: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), String> {
        self.head.insert(of.first, &block::pack(sealed))?;
        self.facts = Some(self.facts.map_or(of, |facts| facts.and(of)));
        Ok(())
    }

    pub(super) fn flush(&self) -> Result<(), String> {
        self.head.flush()
    }

    /// Visits the commits from the block that holds this key, as long as `visit` says so. Returns how many blocks were
    /// unreadable.
    pub(super) fn walk(&mut self, from: Key, visit: &mut dyn FnMut(Block) -> bool) -> Result<u64, String> {
        let wanted = self.sealed.iter().filter(|(_, (facts, _))| facts.last >= from);
        let wanted: Vec<_> = wanted.map(|(number, _)| *number).chain([self.number]).collect();
        let mut damaged = 0;
        for number in wanted {
            let Some(log) = self.log(number)? else { continue };
            let (go_on, unreadable) = log.walk(from, visit)?;
            damaged += unreadable;
            if !go_on {
                break;
            }
        }
        Ok(damaged)
    }

    /// A key from which on every record after this one is found.
    pub(super) fn before_record(&mut self, seq: u64) -> Result<Key, String> {
        let sealed = self.sealed.iter().rev().filter(|(_, (facts, _))| facts.first.0 <= seq);
        let wanted: Vec<_> = [self.number].into_iter().chain(sealed.map(|(number, _)| *number)).collect();
        for number in wanted {
            let Some(log) = self.log(number)? else { continue };
            if let Some(found) = log.before_record(seq)? {
                return Ok(found);
            }
        }
        Ok((0, 0))
    }

    /// Nobody reads: what was opened for that is closed.
    pub(super) fn rest(&mut self) {
        self.reading = None;
    }

    fn log(&mut self, number: u64) -> Result<Option<&Log>, String> {
        if number == self.number {
            return Ok(Some(&self.head));
        }
        if self.reading.as_ref().is_none_or(|(open, _)| *open != number) {
            self.reading = None;
            match Log::open(&folder(&self.dir, number)) {
                Ok(log) => self.reading = Some((number, log)),
                Err(problem) => {
                    // Too few descriptors look like damage, and pass.
                    database::room(&self.dir).map_err(|_| problem.clone())?;
                    log::error!(
                        "a segment of the journal cannot be read; segment={number} problem={problem}"
                    );
                }
            }
        }
        Ok(self.reading.as_ref().map(|(_, log)| log))
    }

    /// Whether the head is to be sealed.
    pub(super) fn is_full(&self, now_ms: u64) -> bool {
        let Some(facts) = self.facts else { return false };
        facts.first_at_ms.saturating_add(self.limits.segment_age_ms()) < now_ms
            || database::disk_bytes(&folder(&self.dir, self.number)) >= self.limits.segment_bytes()
    }

    /// Seals the head and begins a new one. State must go as far as the head does.
    pub(super) fn begin_next(&mut self) -> Result<(), String> {
        let Some(facts) = self.facts else { return Ok(()) };
        let path = folder(&self.dir, self.number);
        // Whoever does not find it looks into the segment.
        if let Err(error) = facts.write(&path) {
            log::warn!("a segment of the journal has no facts beside it; error={error}");
        }
        self.head = Log::open(&folder(&self.dir, self.number + 1))?;
        self.facts = None;
        self.sealed.insert(self.number, (facts, database::disk_bytes(&path)));
        self.number += 1;
        Ok(())
    }

    /// Deletes the oldest segments until the rest is within the limits.
    pub(super) fn retain(&mut self, now_ms: u64) {
        let mut total = self.limits.segment_bytes() + SLACK;
        let mut over = false;
        let mut gone = Vec::new();
        for (number, (facts, bytes)) in self.sealed.iter().rev() {
            total += bytes;
            // From the first that goes all older ones go too.
            over |= total > self.limits.bytes()
                || facts.last_at_ms.saturating_add(self.limits.max_age_ms) < now_ms;
            if over {
                gone.push(*number);
            }
        }
        for number in gone.into_iter().rev() {
            self.reading.take_if(|(open, _)| *open == number);
            match remove(&folder(&self.dir, number)) {
                Ok(()) => log::info!("old decisions deleted; segment={number}"),
                Err(error) => {
                    log::warn!("old decisions not deleted; segment={number} error={error}");
                    return;
                }
            }
            self.sealed.remove(&number);
        }
    }

    /// When age alone asks for something next, by the wall clock; nothing when there is nothing to grow old.
    pub(super) fn next_ms(&self) -> Option<u64> {
        let head = self.facts.map(|facts| facts.first_at_ms.saturating_add(self.limits.segment_age_ms()));
        let oldest = self.sealed.first_key_value();
        let oldest = oldest.map(|(_, (facts, _))| facts.last_at_ms.saturating_add(self.limits.max_age_ms));
        head.into_iter().chain(oldest).min()
    }
}

/// What is known of the journal beside its segments.
pub(super) struct Known<'a> {
    /// The newest commit that was flushed.
    pub(super) marked: Key,
    /// What is in the write-ahead file, in order.
    pub(super) left: &'a [(Key, Entry)],
}

impl Known<'_> {
    /// The newest commit that there is, when segments end here: what follows in the write-ahead file without a gap is
    /// there as well.
    fn reach(&self, end: Option<Facts>) -> Key {
        let (last, last_seq) = end.map_or(((0, 0), 0), |end| (end.last, end.last_seq.max(end.last.0)));
        let mut more = self.left.iter().filter(|(key, _)| *key > last).peekable();
        let follows =
            more.peek().is_none_or(|(_, entry)| entry.commit.first_seq <= last_seq.saturating_add(1));
        if follows { more.last().map_or(last, |(key, _)| *key) } else { last }
    }

    /// Says so when something is missing behind this.
    pub(super) fn check(&self, end: Option<Facts>) -> Result<(), String> {
        let reach = self.reach(end);
        if reach >= self.marked {
            return Ok(());
        }
        Err(format!("decisions from {} to {} are missing", reach.0.saturating_add(1), self.marked.0))
    }

    /// How many records are missing between these, and between them and what was flushed.
    pub(super) fn missing<'b>(
        &self,
        before: u64,
        commits: impl Iterator<Item = (&'b Key, &'b Entry)>,
    ) -> u64 {
        let (mut last, mut missing) = (before, 0);
        for (key, entry) in commits.filter(|(_, entry)| !entry.commit.records.is_empty()) {
            missing += entry.commit.first_seq.saturating_sub(last.saturating_add(1));
            last = last.max(Facts::of_one(*key, entry).last_seq);
        }
        missing + self.marked.0.saturating_sub(last)
    }
}

/// The head, whatever is left of it.
fn open_head(
    root: &Path,
    path: &Path,
    known: &Known<'_>,
    before: Option<Facts>,
) -> Result<(Log, Option<Facts>, Option<String>), String> {
    // When sled meets damage it cuts its log there, so what lies behind would be gone before we know of it.
    let copy = database::Before::keep(root, path);
    let opened = Log::open(path).and_then(|log| log.facts().map(|facts| (log, facts)));
    let problem = match opened.and_then(|(log, facts)| known.check(facts.or(before)).map(|()| (log, facts))) {
        Ok((log, facts)) => return Ok((log, facts, None)),
        Err(problem) => problem,
    };
    if let Err(error) = database::room(root) {
        return Err(format!("its disk takes nothing: {error}; {problem}"));
    }
    log::error!("journal damaged; problem={problem}");
    let (aside, raw) = copy.set_aside(&problem)?;
    let blocks: Vec<_> = frame::salvage(Kind::Block, &raw).filter_map(Block::read_body).collect();
    let mut commits: BTreeMap<Key, Entry> =
        blocks.iter().flat_map(Block::entries).map(|(k, e, _)| (k, e)).collect();
    commits.extend(frame::salvage(Kind::Commit, &raw).filter_map(read_body));
    let saved = commits.len();
    // Of what it was emptied of, the write-ahead file still has the latest.
    commits.extend(known.left.iter().cloned());
    let older = before.map_or((0, 0), |before| before.last);
    commits.retain(|key, _| *key > older);
    let log = Log::open(path)?;
    let mut owed = Owed::default();
    for (key, entry) in &commits {
        owed.push(Facts::of_one(*key, entry), write_entry(*key, entry.at_ms, &entry.commit));
    }
    let mut facts: Option<Facts> = None;
    while let Some((of, count)) = owed.block(true) {
        log.insert(of.first, &block::pack(owed.sealed().take(count)))?;
        owed.paid(count);
        facts = Some(facts.map_or(of, |facts| facts.and(of)));
    }
    log.flush()?;
    // What was before the oldest that is left may have been deleted for its age.
    let first = commits.values().find(|entry| !entry.commit.records.is_empty());
    let unknown = first.map_or(0, |entry| entry.commit.first_seq.saturating_sub(1));
    let begins = if number_of(path) <= 1 { 0 } else { unknown };
    let rest = match known.missing(before.map_or(begins, |before| before.last_seq), commits.iter()) {
        0 => "none is known to be lost".to_owned(),
        missing => format!("at least {missing} records are lost"),
    };
    let aside = aside.display();
    let damage = format!(
        "the journal was damaged ({problem}); it was moved to {aside}, {saved} decisions were saved from it, and {rest}"
    );
    Ok((log, facts, Some(damage)))
}

fn number_of(path: &Path) -> u64 {
    path.file_name().and_then(|name| name.to_str()?.parse().ok()).unwrap_or(0)
}

/// The numbers that databases in this folder are called by. What was being deleted is deleted.
pub(super) fn numbered(dir: &Path) -> Result<BTreeSet<u64>, String> {
    owned::make_folder(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let entries = fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names
        .filter_map(|name| {
            if name.ends_with(GONE) {
                let _ = fs::remove_dir_all(dir.join(&name));
            }
            name.parse().ok()
        })
        .collect())
}

/// What a folder is called while it is deleted.
const GONE: &str = ".gone";

/// Deletes a folder: as a whole or not at all for whoever opens the store next.
pub(super) fn remove(path: &Path) -> std::io::Result<()> {
    let gone = path.with_extension("gone");
    fs::rename(path, &gone)?;
    fs::remove_dir_all(gone)
}

pub(super) fn folder(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}"))
}
