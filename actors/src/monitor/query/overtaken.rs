//! A reader that retention overtakes is told what was deleted between two of its lines, with the number of lines.

use super::{Reader, wanted};
use crate::{
    model::{Cursor, Record, Timestamp},
    store::{Chunk, Missed, Read},
};

impl Reader<'_> {
    /// A reader that goes on from a cursor has read everything up to there.
    pub(super) fn go_on_from_cursor(&mut self) {
        if let Some(cursor) = self.search.query.cursor {
            self.at = Some(cursor.block);
            if cursor.seq > 0 {
                self.loaded.insert((cursor.attempt, cursor.stream), cursor.seq + 1);
            }
        }
    }

    /// Records that these lines are loaded, whatever is deleted from now on.
    pub(super) fn note_loaded(&mut self, chunk: &Chunk) {
        let head = &chunk.head;
        let next = head.first_seq + if head.gap > 0 { head.gap } else { u64::from(head.lines) };
        let loaded = self.loaded.entry((head.attempt, head.stream)).or_default();
        *loaded = next.max(*loaded);
    }

    /// Reports what was deleted since the last line, up to the line with this number; `None`: there are no more
    /// lines.
    pub(super) fn tell_missed(&mut self, number: Option<u64>) {
        let (Some(output), Some(after)) = (self.output, self.at) else { return };
        let gone_to = output.gone_to();
        if gone_to <= self.told_to.max(after) {
            return;
        }
        self.told_to = gone_to;
        let missed = output.missed(&wanted(&self.search.query), after, |attempt, stream| Read {
            next_seq: self.loaded.get(&(attempt, stream)).copied(),
            held_from: self.search.floors.get(&(attempt, stream)).copied(),
        });
        let Some(missed) = missed else { return };
        let Missed { lines, exact, attempt, stream, program, to, next_seq, at_ms } = missed;
        self.loaded.insert((attempt, stream), next_seq);
        // Lines that are still there have numbers from here on.
        let block = number.map_or(gone_to, |number| number.saturating_sub(1).min(gone_to)).max(after);
        let cursor =
            Cursor { block, line: u32::MAX, attempt, stream, offset: to, seq: next_seq.saturating_sub(1) };
        let (plural, verb) = if lines == 1 { ("", "was") } else { ("s", "were") };
        let least = if exact { "" } else { "at least " };
        let text = format!(
            "[{least}{lines} line{plural} {verb} deleted before this reader came to them: they were beyond what is kept]"
        );
        self.seen = Some(cursor);
        self.emit(Record {
            cursor,
            seq: next_seq.saturating_sub(1),
            at: Timestamp(at_ms),
            program: program.to_string(),
            attempt,
            stream,
            level: None,
            class: None,
            bytes: text.into_bytes(),
            newline: true,
            partial: false,
            gap: lines,
        });
    }
}
