//! What retention deleted lately: a reader that it overtook is told how many lines are missing.

use super::{segment::ChunkRef, wanted::Wanted};
use crate::model::{AttemptId, Stream};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Chunks that are remembered: some 4 MB of memory, a gigabyte of output. Of what is older only the newest number is known.
const REMEMBERED: usize = 20_000;

/// What was deleted.
#[derive(Debug, Default)]
pub(super) struct Gone {
    segments: VecDeque<Vec<ChunkRef>>,
    chunks: usize,
    /// The number of the newest piece that was deleted and is not remembered.
    forgotten: u64,
    /// The number of the newest piece that was deleted.
    newest: u64,
}

impl Gone {
    pub(super) fn add(&mut self, chunks: Vec<ChunkRef>) {
        let newest = chunks.iter().map(|chunk| chunk.last_number).max().unwrap_or(0);
        self.newest = self.newest.max(newest);
        self.chunks += chunks.len();
        self.segments.push_back(chunks);
        while self.chunks > REMEMBERED
            && let Some(oldest) = self.segments.pop_front()
        {
            self.chunks -= oldest.len();
            self.forgotten = oldest.iter().map(|c| c.last_number).max().unwrap_or(0).max(self.forgotten);
        }
    }

    pub(super) const fn newest(&self) -> u64 {
        self.newest
    }

    /// What of this a reader has missed who has read everything up to a number, and of some streams further: `read` says up
    /// to which line, and from which place on memory has a stream still.
    pub(super) fn missed(
        &self,
        wanted: &Wanted<'_>,
        after: u64,
        read: impl Fn(AttemptId, Stream) -> Read,
    ) -> Option<Missed> {
        let mut by_feed: BTreeMap<(AttemptId, Stream), Missed> = BTreeMap::new();
        let mut exact = self.forgotten <= after;
        for chunk in self.segments.iter().flatten().filter(|chunk| wanted.chunk(chunk)) {
            let Read { next_seq, held_from } = read(chunk.attempt, chunk.stream);
            if held_from.is_some_and(|from| chunk.from >= from) {
                continue;
            }
            let lines = chunk.lines.max(chunk.gaps);
            let lines = match next_seq {
                Some(next) => lines.min(chunk.next_seq.saturating_sub(next)),
                None if chunk.first_number > after => lines,
                // Partly read, and how far nobody knows.
                None => {
                    exact &= chunk.last_number <= after;
                    0
                }
            };
            if lines == 0 {
                continue;
            }
            let missed = by_feed.entry((chunk.attempt, chunk.stream)).or_insert_with(|| Missed::of(chunk));
            missed.lines += lines;
            if chunk.to >= missed.to {
                (missed.to, missed.next_seq) = (chunk.to, chunk.next_seq);
            }
        }
        let lines = by_feed.values().map(|missed| missed.lines).sum();
        let most = by_feed.into_values().max_by_key(|missed| missed.lines)?;
        Some(Missed { lines, exact, ..most })
    }
}

/// How far a stream is known to a reader.
#[derive(Clone, Copy, Debug, Default)]
pub struct Read {
    /// The first line that was not read, where that is known.
    pub next_seq: Option<u64>,
    /// From where on it is at hand all the same.
    pub held_from: Option<u64>,
}

/// Lines that were deleted before they could be read.
#[derive(Clone, Debug)]
pub struct Missed {
    /// How many.
    pub lines: u64,
    /// Whether there are no more than these.
    pub exact: bool,
    /// Whose most of them were.
    pub attempt: AttemptId,
    /// Likewise.
    pub stream: Stream,
    /// Likewise.
    pub program: Arc<str>,
    /// Of that stream: the first byte behind them …
    pub to: u64,
    /// … and the first line.
    pub next_seq: u64,
    /// When the first of them was read, in milliseconds.
    pub at_ms: u64,
}

impl Missed {
    fn of(chunk: &ChunkRef) -> Self {
        Self {
            lines: 0,
            exact: true,
            attempt: chunk.attempt,
            stream: chunk.stream,
            program: chunk.program.clone(),
            to: 0,
            next_seq: 0,
            at_ms: chunk.first_at_ms,
        }
    }
}
