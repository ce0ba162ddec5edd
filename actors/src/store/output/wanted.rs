//! What readers look for.

use super::segment::{ChunkRef, Summary};
use crate::model::{AttemptId, Stream};

/// What a reader looks for, as far as it narrows segments and chunks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Runs of this program.
    pub program: Option<&'a str>,
    /// This run.
    pub run: Option<crate::model::RunId>,
    /// This attempt of the run.
    pub attempt: Option<u32>,
    /// This stream.
    pub stream: Option<Stream>,
    /// This class.
    pub class: Option<&'a str>,
    /// Not before.
    pub since_ms: Option<u64>,
    /// Before.
    pub until_ms: Option<u64>,
}

impl Wanted<'_> {
    pub(super) fn segment(&self, summary: &Summary) -> bool {
        self.since_ms.is_none_or(|since| summary.last_at_ms >= since)
            && self.until_ms.is_none_or(|until| summary.first_at_ms < until)
            && self.program.is_none_or(|program| summary.programs.contains(program))
            && self.run.is_none_or(|_| summary.positions.keys().any(|(id, stream)| self.writer(*id, *stream)))
    }

    pub(super) fn chunk(&self, chunk: &ChunkRef) -> bool {
        self.writer(chunk.attempt, chunk.stream)
            && self.program.is_none_or(|program| &*chunk.program == program)
            && self.since_ms.is_none_or(|since| chunk.last_at_ms >= since)
            && self.until_ms.is_none_or(|until| chunk.first_at_ms < until)
            && self.class.is_none_or(|class| chunk.classes.iter().any(|have| &**have == class))
    }

    /// Whether this stream is looked for.
    #[must_use]
    pub fn writer(&self, attempt: AttemptId, stream: Stream) -> bool {
        self.run.is_none_or(|run| run == attempt.run)
            && self.attempt.is_none_or(|number| number == attempt.number)
            && self.stream.is_none_or(|wanted| wanted == stream)
    }
}
