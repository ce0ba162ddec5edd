//! A segment: a small sled database of chunks. The newest is the head, which grows; the others are sealed and have an
//! index beside them, so that a reader knows what is in one without opening it.

use super::{
    chunk::{Chunk, Packed, read_attempt, write_attempt},
    mark::Mark,
};
use crate::{
    model::{AttemptId, Stream},
    owned,
    store::{
        codec::{In, Out},
        database::{self, guard},
        frame::{self, Kind},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Page cache of one segment: it is written once in order and read in order, so there is little to keep.
const CACHE: u64 = 4 << 20;

/// Where a chunk is and for whom it is of interest.
#[derive(Clone, Debug)]
pub struct ChunkRef {
    /// Its key in the segment.
    pub key: u64,
    /// Who wrote it.
    pub attempt: AttemptId,
    /// Where.
    pub stream: Stream,
    /// The program's name.
    pub program: Arc<str>,
    /// Its place in the spool.
    pub from: u64,
    /// Likewise: the first byte after it.
    pub to: u64,
    /// Number of its first piece.
    pub first_number: u64,
    /// Number of its last piece.
    pub last_number: u64,
    /// When its first line was read.
    pub first_at_ms: u64,
    /// When its last line was read.
    pub last_at_ms: u64,
    /// First line of its stream after it.
    pub next_seq: u64,
    /// Lines in it.
    pub lines: u64,
    /// Lines that a rule classified.
    pub errors: u64,
    /// Lines lost.
    pub gaps: u64,
    /// Classes found in it.
    pub classes: Vec<Arc<str>>,
    /// Whether its last line goes on in the next chunk.
    pub open: bool,
}

impl ChunkRef {
    fn of(key: u64, chunk: &super::ChunkHead, last_split: bool) -> Self {
        let classes: BTreeSet<_> = chunk.labels.iter().map(|(class, _)| class.clone()).collect();
        let lines = if chunk.gap > 0 { 0 } else { u64::from(chunk.lines) };
        Self {
            key,
            attempt: chunk.attempt,
            stream: chunk.stream,
            program: chunk.program.clone(),
            from: chunk.from,
            to: chunk.to,
            first_number: chunk.first_number(),
            last_number: chunk.last_number(),
            first_at_ms: chunk.pieces.first().map_or(0, |p| p.at_ms),
            last_at_ms: chunk.pieces.last().map_or(0, |p| p.at_ms),
            next_seq: chunk.first_seq + if chunk.gap > 0 { chunk.gap } else { u64::from(chunk.lines) },
            lines,
            errors: chunk.found.len() as u64,
            gaps: chunk.gap,
            classes: classes.into_iter().collect(),
            open: last_split,
        }
    }

    fn write(&self, out: &mut Out) {
        write_attempt(out, self.attempt, self.stream);
        out.bytes(self.program.as_bytes());
        let numbers = [
            self.key,
            self.from,
            self.to,
            self.first_number,
            self.last_number,
            self.first_at_ms,
            self.last_at_ms,
            self.next_seq,
            self.lines,
            self.errors,
            self.gaps,
        ];
        numbers.into_iter().for_each(|number| out.var(number));
        out.var(self.classes.len() as u64);
        self.classes.iter().for_each(|class| out.bytes(class.as_bytes()));
        out.u8(u8::from(self.open));
    }

    fn read(body: &mut In<'_>) -> Option<Self> {
        let (attempt, stream) = read_attempt(body)?;
        let program = body.text()?.into();
        let mut numbers = [0; 11];
        for number in &mut numbers {
            *number = body.var()?;
        }
        let [
            key,
            from,
            to,
            first_number,
            last_number,
            first_at_ms,
            last_at_ms,
            next_seq,
            lines,
            errors,
            gaps,
        ] = numbers;
        let mut classes = Vec::new();
        for _ in 0..body.var()? {
            classes.push(body.text()?.into());
        }
        let open = body.u8()? == 1;
        Some(Self {
            key,
            attempt,
            stream,
            program,
            from,
            to,
            first_number,
            last_number,
            first_at_ms,
            last_at_ms,
            next_seq,
            lines,
            errors,
            gaps,
            classes,
            open,
        })
    }
}

/// How far the output of one stream is stored.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Position {
    /// The first byte of the spool that is not stored.
    pub to: u64,
    /// The number of its first line; 0 when nothing is stored.
    pub next_seq: u64,
    /// Lines stored.
    pub lines: u64,
    /// Lines that a rule classified.
    pub errors: u64,
    /// Lines lost.
    pub gaps: u64,
    /// Whether the last stored line is a part of an overlong one that goes on.
    pub open: bool,
}

/// What a segment holds, small enough to keep for all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) first_number: u64,
    pub(crate) last_number: u64,
    pub(crate) first_at_ms: u64,
    pub(crate) last_at_ms: u64,
    pub(crate) last_key: u64,
    pub(crate) programs: BTreeSet<Arc<str>>,
    /// Bytes on the disk, of a sealed one.
    pub(crate) disk: u64,
    pub(crate) positions: BTreeMap<(AttemptId, Stream), Position>,
}

impl Summary {
    pub(crate) fn add(&mut self, chunk: &ChunkRef) {
        if self.last_number == 0 {
            (self.first_number, self.first_at_ms) = (chunk.first_number, chunk.first_at_ms);
        }
        self.first_number = self.first_number.min(chunk.first_number);
        self.last_number = self.last_number.max(chunk.last_number);
        self.first_at_ms = self.first_at_ms.min(chunk.first_at_ms);
        self.last_at_ms = self.last_at_ms.max(chunk.last_at_ms);
        self.last_key = chunk.key;
        self.programs.insert(chunk.program.clone());
        let position = self.positions.entry((chunk.attempt, chunk.stream)).or_default();
        position.add(&Position {
            to: chunk.to,
            next_seq: chunk.next_seq,
            lines: chunk.lines,
            errors: chunk.errors,
            gaps: chunk.gaps,
            open: chunk.open,
        });
    }

    pub(crate) fn of(refs: &[ChunkRef]) -> Self {
        let mut summary = Self::default();
        refs.iter().for_each(|chunk| summary.add(chunk));
        summary
    }
}

impl Position {
    /// With what was stored elsewhere.
    pub(super) fn add(&mut self, more: &Self) {
        self.lines += more.lines;
        self.errors += more.errors;
        self.gaps += more.gaps;
        if more.to >= self.to {
            (self.to, self.next_seq, self.open) = (more.to, more.next_seq, more.open);
        }
    }
}

/// An open segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    db: sled::Db,
    mark: Option<Mark>,
    /// sled's own side file was damaged, and made anew.
    pub(super) mended: bool,
}

impl Segment {
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let (db, mended) = match database::open(path, CACHE) {
            Ok(db) => (db, false),
            Err(problem) => (open_without_conf(path).ok_or(problem)?, true),
        };
        database::restrict(path);
        Ok(Self { path: path.to_owned(), db, mark: None, mended })
    }

    /// From now on the newest flushed key is noted beside it.
    pub(super) fn keep_mark(&mut self, key: u64) {
        self.mark = Mark::open(&self.path.join("mark"));
        self.flushed(key);
    }

    /// All chunks that can be read, in order.
    pub(crate) fn list(&self) -> Result<Vec<ChunkRef>, String> {
        let mut refs = Vec::new();
        for item in self.db.iter() {
            let (key, value) = guard(|| item)?;
            let Ok(key) = <[u8; 8]>::try_from(key.as_ref()) else { continue };
            if let Some(packed) = Packed::read(&value) {
                let open = packed.head.splits.last().is_some_and(|end| packed.ends_at(*end));
                refs.push(ChunkRef::of(u64::from_be_bytes(key), &packed.head, open));
            }
        }
        Ok(refs)
    }

    /// Writes a chunk from this key on; its own key is the last one it takes.
    pub(crate) fn append(&self, key: u64, chunk: &Chunk) -> Result<ChunkRef, String> {
        let (parts, last) = chunk.pack();
        let mut at = key;
        // The value with the position comes last: when it is there, so are the others.
        for part in parts {
            guard(|| self.db.insert(at.to_be_bytes(), part))?;
            at += 1;
        }
        guard(|| self.db.insert(at.to_be_bytes(), last))?;
        let open = chunk.head.splits.last().is_some_and(|end| *end as usize == chunk.bytes.len());
        Ok(ChunkRef::of(at, &chunk.head, open))
    }

    /// After this, everything appended survives our death.
    pub(crate) fn flush(&self) -> Result<(), String> {
        guard(|| self.db.flush()).map(drop)
    }

    /// Flushed up to this key.
    pub(crate) fn flushed(&self, key: u64) {
        if let Some(mark) = &self.mark {
            mark.write(key);
        }
    }

    /// Reads one chunk; nothing when it is damaged.
    pub(crate) fn get(&self, key: u64) -> Result<Option<Chunk>, String> {
        let Some(value) = guard(|| self.db.get(key.to_be_bytes()))? else { return Ok(None) };
        let Some(packed) = Packed::read(&value) else { return Ok(None) };
        let mut parts = Vec::new();
        for at in key.saturating_sub(packed.parts)..key {
            let Some(part) = guard(|| self.db.get(at.to_be_bytes()))? else { return Ok(None) };
            parts.push(part.to_vec());
        }
        Ok(packed.unpack(&parts))
    }
}

/// Once more, with a new file `conf`: sled refuses everything when a bit of its 62 bytes is wrong, and makes it as it was when
/// there is none, because we change none of what stands in it. What was there stays when that was not the reason.
fn open_without_conf(path: &Path) -> Option<sled::Db> {
    let (conf, aside) = (path.join("conf"), path.join("conf.damaged"));
    fs::rename(&conf, &aside).ok()?;
    match database::open(path, CACHE) {
        Ok(db) => {
            let _ = fs::remove_file(&aside);
            log::warn!("a damaged side file of sled was made anew; file={}", conf.display());
            Some(db)
        }
        Err(_) => {
            let _ = fs::rename(&aside, &conf);
            None
        }
    }
}

/// Writes the index of a sealed segment.
pub(crate) fn write_index(path: &Path, refs: &[ChunkRef]) -> std::io::Result<()> {
    let mut out = Out::default();
    out.var(refs.len() as u64);
    refs.iter().for_each(|chunk| chunk.write(&mut out));
    let fresh = path.join("index.new");
    owned::write(&fresh, &frame::seal(Kind::Index, &out.0))?;
    fs::rename(fresh, path.join("index"))
}

/// The index of a sealed segment; nothing when it has none that can be read.
pub(crate) fn read_index(path: &Path) -> Option<Vec<ChunkRef>> {
    let bytes = owned::read(&path.join("index")).ok()?;
    let mut body = In(frame::open(Kind::Index, &bytes)?);
    let mut refs = Vec::new();
    for _ in 0..body.var()? {
        refs.push(ChunkRef::read(&mut body)?);
    }
    Some(refs)
}

/// Bytes on the disk.
pub(crate) fn disk_bytes(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => disk_bytes(&entry.path()),
            Ok(meta) => meta.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}
