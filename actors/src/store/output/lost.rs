//! What damage took: a line in its place says how much it was, so that a reader never takes a hole for silence.

use super::{
    chunk::{Chunk, ChunkHead, Packed, Piece},
    part::Parts,
    segment::{ChunkRef, Position},
};
use crate::{
    model::{AttemptId, Stream},
    owned,
    store::frame::{self, Kind},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::Arc,
};

/// How far each stream is stored in older segments.
#[derive(Debug, Default)]
pub(super) struct Before {
    pub(super) positions: BTreeMap<(AttemptId, Stream), Position>,
    /// Whether all of them are there: what retention has deleted is no loss.
    pub(super) whole: bool,
}

impl Chunk {
    /// The lines from one place of a stream to another, which cannot be read any more.
    fn lost(like: &ChunkHead, from: u64, to: u64, first_seq: u64, lines: u64, piece: Piece) -> Self {
        let (plural, verb) = if lines == 1 { ("", "is") } else { ("s", "are") };
        let bytes = to.saturating_sub(from);
        let text =
            format!("[{lines} line{plural} ({bytes} bytes) {verb} lost: the store was damaged here]\n");
        let head = ChunkHead {
            attempt: like.attempt,
            stream: like.stream,
            program: like.program.clone(),
            from,
            to,
            first_seq,
            lines: 1,
            pieces: vec![piece],
            labels: Vec::new(),
            found: Vec::new(),
            splits: Vec::new(),
            raw_lengths: vec![(0, bytes)],
            continues: false,
            gap: lines.max(1),
        };
        Self { head, bytes: text.into_bytes() }
    }

    /// In place of a chunk that is known and cannot be read.
    pub(super) fn lost_of(chunk: &ChunkRef) -> Self {
        let lines = chunk.lines.max(chunk.gaps);
        let piece = Piece { number: chunk.first_number, line: 0, at_ms: chunk.first_at_ms };
        let like = ChunkHead {
            attempt: chunk.attempt,
            stream: chunk.stream,
            program: chunk.program.clone(),
            from: chunk.from,
            to: chunk.to,
            first_seq: chunk.next_seq.saturating_sub(lines),
            lines: 1,
            pieces: Vec::new(),
            labels: Vec::new(),
            found: Vec::new(),
            splits: Vec::new(),
            raw_lengths: Vec::new(),
            continues: false,
            gap: lines,
        };
        Self::lost(&like, like.from, like.to, like.first_seq, lines, piece)
    }
}

/// Fills the holes between chunks that were saved, which are in the order of their numbers. What is missing at the end of
/// a stream nobody can count.
pub(super) fn fill_holes(saved: Vec<Chunk>, before: &Before) -> Vec<Chunk> {
    let mut used: BTreeSet<u64> =
        saved.iter().flat_map(|chunk| chunk.head.pieces.iter().map(|piece| piece.number)).collect();
    let mut ends: HashMap<(AttemptId, Stream), (u64, u64, u64)> = before
        .positions
        .iter()
        .map(|(feed, position)| (*feed, (position.to, position.next_seq, 0)))
        .collect();
    let mut out: Vec<Chunk> = Vec::with_capacity(saved.len());
    for chunk in saved {
        let head = &chunk.head;
        let known = ends.get(&(head.attempt, head.stream)).copied();
        let begun = if before.whole { (0, 1, 0) } else { (head.from, head.first_seq, 0) };
        let (to, seq, number) = known.unwrap_or(begun);
        if head.from > to {
            // Numbers of the lost are free; a reader that goes on after another stream's must not pass it over.
            let free = (number + 1..head.first_number()).rev().find(|number| !used.contains(number));
            let number = free.unwrap_or_else(|| head.first_number());
            used.insert(number);
            let at_ms = head.pieces.first().map_or(0, |piece| piece.at_ms);
            let piece = Piece { number, line: 0, at_ms };
            out.push(Chunk::lost(head, to, head.from, seq, head.first_seq.saturating_sub(seq), piece));
        }
        let next = head.first_seq + if head.gap > 0 { head.gap } else { u64::from(head.lines) };
        ends.insert((head.attempt, head.stream), (head.to.max(to), next.max(seq), head.last_number()));
        out.push(chunk);
    }
    out
}

/// What can be read from the raw bytes of a sealed segment whose database does not give it any more.
#[derive(Debug, Default)]
pub(super) struct Rescued {
    raw: Vec<u8>,
    parts: Parts,
    chunks: HashMap<(AttemptId, Stream, u64), Packed>,
}

impl Rescued {
    pub(super) fn of(path: &Path) -> Arc<Self> {
        let raw = owned::read(&path.join("db")).unwrap_or_default();
        let chunks = frame::salvage(Kind::Chunk, &raw).filter_map(Packed::read_body);
        let named = chunks.map(|chunk| ((chunk.head.attempt, chunk.head.stream, chunk.head.from), chunk));
        let chunks: HashMap<_, _> = named.collect();
        let parts = Parts::of(&raw);
        Arc::new(Self { raw, parts, chunks })
    }

    /// The chunk, or the line that tells of its loss.
    pub(super) fn chunk(&self, wanted: &ChunkRef) -> Chunk {
        self.find(wanted).unwrap_or_else(|| Chunk::lost_of(wanted))
    }

    fn find(&self, wanted: &ChunkRef) -> Option<Chunk> {
        let found = self.chunks.get(&(wanted.attempt, wanted.stream, wanted.from));
        let packed = found.filter(|packed| packed.head.to == wanted.to)?.clone();
        packed.unpack_from(&self.raw, &self.parts)
    }

    /// How many of these lines cannot be read any more.
    pub(super) fn lines_lost(&self, all: &[ChunkRef]) -> u64 {
        all.iter().filter(|chunk| self.find(chunk).is_none()).map(|chunk| chunk.lines.max(chunk.gaps)).sum()
    }
}
