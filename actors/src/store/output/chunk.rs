//! A chunk: many lines of one stream of one attempt, the unit of storage, the same in memory and in sled.

use super::part::{self, Parts};
use crate::{
    model::{AttemptId, RunId, Stream},
    store::{
        codec::{In, Out},
        frame::{self, Kind},
        packing::{compress, decompress},
    },
};
use std::sync::Arc;

/// Largest packed value: sled copies and splits larger ones at a price.
const MAX_PACKED: usize = 13 << 10;

/// Largest raw chunk that is believed when it is read.
const MAX_RAW: u64 = 64 << 20;

/// Lines that were taken in together: one number, one observed time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Piece {
    /// Its place in the order of all output.
    pub number: u64,
    /// The first of its lines in the chunk.
    pub line: u32,
    /// When it was read, in milliseconds.
    pub at_ms: u64,
}

/// A line that a rule classified.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Found {
    /// Which line of the chunk.
    pub line: u32,
    /// Its class and rule in [`ChunkHead::labels`].
    pub label: u32,
}

/// The facts about a chunk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChunkHead {
    /// Who wrote it.
    pub attempt: AttemptId,
    /// Where.
    pub stream: Stream,
    /// The program's name.
    pub program: Arc<str>,
    /// The first byte of the spool that it holds …
    pub from: u64,
    /// … and the first that it does not: where taking in goes on after a crash.
    pub to: u64,
    /// Number of the first line in its stream, from 1.
    pub first_seq: u64,
    /// How many lines.
    pub lines: u32,
    /// In ascending order; never empty.
    pub pieces: Vec<Piece>,
    /// Classes and rules that were found.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// Which lines have them, ascending.
    pub found: Vec<Found>,
    /// Ends (in the bytes) of parts of overlong lines that go on after them, ascending.
    pub splits: Vec<u32>,
    /// Lines that are not as long as they were in the spool, with their length there.
    pub raw_lengths: Vec<(u32, u64)>,
    /// Whether the first line continues an overlong one.
    pub continues: bool,
    /// Lines that are lost here; the chunk's one line says so.
    pub gap: u64,
}

/// Lines and the facts about them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chunk {
    /// The facts.
    pub head: ChunkHead,
    /// The lines with their newlines, as they may be shown.
    pub bytes: Vec<u8>,
}

/// One line of a chunk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Line<'a> {
    /// Its place in the chunk, from 0.
    pub index: u32,
    /// Which piece of the chunk it belongs to.
    pub piece: usize,
    /// Its bytes without the newline.
    pub bytes: &'a [u8],
    /// Whether a newline follows.
    pub newline: bool,
    /// Whether it is a part of an overlong line.
    pub partial: bool,
    /// The first byte in the spool …
    pub raw_from: u64,
    /// … and the first after it.
    pub raw_to: u64,
    /// Its label.
    pub label: Option<u32>,
}

impl ChunkHead {
    /// The number of its first piece.
    #[must_use]
    pub fn first_number(&self) -> u64 {
        self.pieces.first().map_or(0, |piece| piece.number)
    }

    /// The number of its last piece.
    #[must_use]
    pub fn last_number(&self) -> u64 {
        self.pieces.last().map_or(0, |piece| piece.number)
    }
}

impl Chunk {
    /// Its lines, in order.
    #[must_use]
    pub fn lines(&self) -> Lines<'_> {
        Lines {
            chunk: self,
            at: 0,
            index: 0,
            raw: self.head.from,
            piece: 0,
            found: 0,
            split: 0,
            length: 0,
            open: self.head.continues,
        }
    }

    /// The key under which it is stored needs so many values before its own; all of them, packed.
    pub(crate) fn pack(&self) -> (Vec<Vec<u8>>, Vec<u8>) {
        let packed = compress(&self.bytes);
        let (mut parts, mut rest) = (Vec::new(), packed.as_deref().unwrap_or(&self.bytes));
        while rest.len() > MAX_PACKED {
            let (part, tail) = rest.split_at(MAX_PACKED);
            parts.push(part::seal(self.head.first_number(), parts.len() as u64, part));
            rest = tail;
        }
        let mut out = Out::default();
        self.head.write(&mut out);
        out.var(self.bytes.len() as u64);
        out.u8(u8::from(packed.is_some()));
        out.var(parts.len() as u64);
        out.bytes(rest);
        let last = frame::seal(Kind::Chunk, &out.0);
        (parts, last)
    }
}

/// A stored chunk whose lines are still packed.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    pub(crate) head: ChunkHead,
    raw_length: u64,
    zstd: bool,
    /// How many values before this one hold the beginning of it.
    pub(crate) parts: u64,
    rest: Vec<u8>,
}

impl Packed {
    /// Reads a stored value; nothing when it is damaged or no chunk.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        Self::read_body(frame::open(Kind::Chunk, value)?)
    }

    pub(crate) fn read_body(body: &[u8]) -> Option<Self> {
        let mut body = In(body);
        let head = ChunkHead::read(&mut body)?;
        let raw_length = body.var().filter(|n| *n <= MAX_RAW)?;
        Some(Self {
            head,
            raw_length,
            zstd: body.u8()? == 1,
            parts: body.var()?,
            rest: body.bytes()?.to_vec(),
        })
    }

    /// Whether the lines end there.
    pub(crate) fn ends_at(&self, end: u32) -> bool {
        u64::from(end) == self.raw_length
    }

    /// The chunk, given the values that come before this one.
    pub(crate) fn unpack(self, parts: &[Vec<u8>]) -> Option<Chunk> {
        let parts: Option<Vec<_>> = parts.iter().map(|part| part::open(part)).collect();
        self.join(&parts?)
    }

    /// The chunk, its beginning taken from the parts that were found by their names.
    pub(super) fn unpack_from(self, raw: &[u8], parts: &Parts) -> Option<Chunk> {
        let number = self.head.first_number();
        let found: Option<Vec<_>> = (0..self.parts).map(|place| parts.get(raw, number, place)).collect();
        self.join(&found?)
    }

    fn join(self, parts: &[&[u8]]) -> Option<Chunk> {
        let mut packed = parts.concat();
        packed.extend_from_slice(&self.rest);
        let bytes = decompress(&packed, usize::try_from(self.raw_length).ok()?, self.zstd)?;
        Some(Chunk { head: self.head, bytes })
    }
}

impl ChunkHead {
    pub(crate) fn write(&self, out: &mut Out) {
        write_attempt(out, self.attempt, self.stream);
        out.bytes(self.program.as_bytes());
        out.var(self.from);
        out.var(self.to);
        out.var(self.first_seq);
        out.var(u64::from(self.lines));
        out.var(self.pieces.len() as u64);
        let (mut number, mut at) = (0, 0);
        for piece in &self.pieces {
            out.var(piece.number.wrapping_sub(number));
            out.var(u64::from(piece.line));
            out.var(piece.at_ms.wrapping_sub(at));
            (number, at) = (piece.number, piece.at_ms);
        }
        out.var(self.labels.len() as u64);
        for (class, rule) in &self.labels {
            out.bytes(class.as_bytes());
            out.bytes(rule.as_bytes());
        }
        out.var(self.found.len() as u64);
        for found in &self.found {
            out.var(u64::from(found.line));
            out.var(u64::from(found.label));
        }
        out.var(self.splits.len() as u64);
        self.splits.iter().for_each(|end| out.var(u64::from(*end)));
        out.var(self.raw_lengths.len() as u64);
        for (line, length) in &self.raw_lengths {
            out.var(u64::from(*line));
            out.var(*length);
        }
        out.u8(u8::from(self.continues));
        out.var(self.gap);
    }

    fn read(body: &mut In<'_>) -> Option<Self> {
        let (attempt, stream) = read_attempt(body)?;
        let program = body.text()?.into();
        let (from, to, first_seq, lines) = (body.var()?, body.var()?, body.var()?, var32(body)?);
        let mut pieces = Vec::new();
        let (mut number, mut at_ms) = (0_u64, 0_u64);
        for _ in 0..body.var()? {
            number = number.wrapping_add(body.var()?);
            let line = var32(body)?;
            at_ms = at_ms.wrapping_add(body.var()?);
            pieces.push(Piece { number, line, at_ms });
        }
        let mut labels = Vec::new();
        for _ in 0..body.var()? {
            labels.push((body.text()?.into(), body.text()?.into()));
        }
        let mut found = Vec::new();
        for _ in 0..body.var()? {
            found.push(Found { line: var32(body)?, label: var32(body)? });
        }
        let mut splits = Vec::new();
        for _ in 0..body.var()? {
            splits.push(var32(body)?);
        }
        let mut raw_lengths = Vec::new();
        for _ in 0..body.var()? {
            raw_lengths.push((var32(body)?, body.var()?));
        }
        let (continues, gap) = (body.u8()? == 1, body.var()?);
        Some(Self {
            attempt,
            stream,
            program,
            from,
            to,
            first_seq,
            lines,
            pieces,
            labels,
            found,
            splits,
            raw_lengths,
            continues,
            gap,
        })
    }
}

pub(crate) fn write_attempt(out: &mut Out, attempt: AttemptId, stream: Stream) {
    out.0.extend_from_slice(&attempt.run.to_bytes());
    out.var(u64::from(attempt.number));
    out.u8(match stream {
        Stream::Stdout => 1,
        Stream::Stderr => 2,
    });
}

pub(crate) fn read_attempt(body: &mut In<'_>) -> Option<(AttemptId, Stream)> {
    let run = RunId::from_bytes(body.take(16)?.try_into().ok()?);
    let number = var32(body)?;
    let stream = match body.u8()? {
        1 => Stream::Stdout,
        2 => Stream::Stderr,
        _ => return None,
    };
    Some((AttemptId { run, number }, stream))
}

fn var32(body: &mut In<'_>) -> Option<u32> {
    body.var().and_then(|value| u32::try_from(value).ok())
}

/// Walks over the lines of a chunk.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    chunk: &'a Chunk,
    at: usize,
    index: u32,
    raw: u64,
    piece: usize,
    found: usize,
    split: usize,
    length: usize,
    open: bool,
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let head = &self.chunk.head;
        let rest = self.chunk.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let line_end = memchr::memchr(b'\n', rest).map_or(self.chunk.bytes.len(), |n| self.at + n + 1);
        let split = head.splits.get(self.split).map(|end| *end as usize).filter(|end| *end <= line_end);
        let end = split.unwrap_or(line_end).max(self.at + 1);
        let whole = self.chunk.bytes.get(self.at..end)?;
        let newline = split.is_none() && whole.ends_with(b"\n");
        let raw_length = match head.raw_lengths.get(self.length) {
            Some((line, length)) if *line == self.index => {
                self.length += 1;
                *length
            }
            _ => whole.len() as u64,
        };
        while head.pieces.get(self.piece + 1).is_some_and(|next| next.line <= self.index) {
            self.piece += 1;
        }
        let label = head.found.get(self.found).filter(|found| found.line == self.index).map(|f| f.label);
        let line = Line {
            index: self.index,
            piece: self.piece,
            bytes: if newline { whole.split_last().map_or(whole, |(_, line)| line) } else { whole },
            newline,
            partial: self.open || split.is_some(),
            raw_from: self.raw,
            raw_to: self.raw + raw_length,
            label,
        };
        self.found += usize::from(label.is_some());
        self.split += usize::from(split.is_some());
        self.open = split.is_some();
        self.raw = line.raw_to;
        self.at = end;
        self.index += 1;
        Some(line)
    }
}
