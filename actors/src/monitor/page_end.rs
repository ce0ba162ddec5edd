//! What stands at the end of a page: lines that are not finished, and the places to go on from.

use super::{
    machine::{level, plain},
    query::Reader,
    unfinished::Unfinished,
};
use crate::model::{Cursor, Page, Record};

/// The number of places in unfinished lines that a page remembers beside its cursor. A reader of more streams than
/// this at once, each with an unfinished line, may see the beginning of one again when it is finished.
/// which has an unfinished line, may see the beginning of one again when it is finished.
const MOST_PLACES: usize = 16;

impl Reader<'_> {
    fn unfinished(&mut self, line: &Unfinished) {
        let query = &self.search.query;
        let filter = &query.filter;
        let place = query.place_in((line.attempt, line.stream));
        let skip = place.map_or(0, |place| place.offset.saturating_sub(line.from));
        let unchanged = line.bytes.len() as u64 == line.to - line.from;
        let from = match place.and_then(Cursor::given).filter(|_| skip > 0) {
            Some(given) => given,
            None if unchanged => usize::try_from(skip).unwrap_or(usize::MAX),
            None => 0,
        };
        let bytes = line.bytes.get(from..).unwrap_or_default();
        let level = level(&plain(&line.bytes));
        if line.from + skip >= line.to
            || filter.class.is_some()
            || filter.since.is_some_and(|since| self.search.now < since)
            || filter.until.is_some_and(|until| self.search.now >= until)
            || filter.level.is_some_and(|least| level.is_none_or(|have| have < least))
            || self.search.grep.as_ref().is_some_and(|grep| !grep.is_match(&plain(&line.bytes)))
        {
            return;
        }
        let cursor = Cursor {
            block: self.search.newest,
            line: Cursor::in_line(line.bytes.len()),
            attempt: line.attempt,
            stream: line.stream,
            offset: line.to,
            seq: line.seq.saturating_sub(1),
        };
        if query.bytes {
            self.also.push(cursor);
            return self.write(bytes, false);
        }
        self.seen = Some(cursor);
        self.before = Some(Cursor { block: self.search.newest + 1, line: 0, offset: line.from, ..cursor });
        self.emit(Record {
            cursor,
            seq: line.seq,
            at: self.search.now,
            program: line.program.to_string(),
            attempt: line.attempt,
            stream: line.stream,
            level,
            class: None,
            bytes: bytes.to_vec(),
            newline: false,
            partial: true,
            gap: 0,
        });
    }

    pub(super) fn unfinished_back(&mut self) {
        for line in &self.search.unfinished {
            if !self.full {
                self.unfinished(line);
            }
        }
    }

    /// A cursor knows the place in one stream only: with several unfinished lines, reading on would repeat the others.
    /// So several are given only to an asker that remembers more places than the cursor.
    pub(super) fn unfinished_forward(&mut self) {
        if self.search.query.bytes {
            return self.search.unfinished.iter().for_each(|line| self.unfinished(line));
        }
        if let [line] = self.search.unfinished.as_slice() {
            self.unfinished(line);
        }
    }

    pub(super) fn finish(mut self, forward: bool) -> Page {
        let (query, mut also) = (&self.search.query, std::mem::take(&mut self.also));
        if query.bytes {
            let known = |place: &Cursor, list: &[Cursor]| {
                list.iter().any(|one| (one.attempt, one.stream) == (place.attempt, place.stream))
            };
            // Earlier places hold until their lines are finished and given.
            let given = |place: &Cursor| {
                self.given.get(&(place.attempt, place.stream)).is_some_and(|to| *to > place.offset)
            };
            let mut before: Vec<_> = query.cursor.iter().chain(&query.also).copied().collect();
            before.retain(|place| place.given().is_some() && !given(place));
            // The farthest place in a stream is the one that holds.
            before.sort_by_key(|place| std::cmp::Reverse(place.offset));
            for place in before {
                if !known(&place, &also) && also.len() < MOST_PLACES {
                    also.push(place);
                }
            }
            if self.seen.is_none() && query.cursor.is_none() {
                // Only unfinished lines: one of them is where to go on.
                self.seen = also.pop();
            }
        }
        let next = match (forward, self.full) {
            (true, _) => self.seen.or(self.search.query.cursor),
            (false, true) => self.before,
            (false, false) => None,
        };
        let (bytes, lines) = (self.written, self.lines);
        Page { records: self.records.into(), bytes, lines, also, next, more: self.full, behind: false }
    }
}
