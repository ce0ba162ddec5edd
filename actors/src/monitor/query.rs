//! Questions: stored chunks and those in memory as one ordered stream of lines.
//!
//! Segments, chunks and pieces wait in one queue ordered by their number; the first one out is opened into what it
//! holds. So a chunk is unpacked once, and only when its turn comes, in either direction.

use super::{
    machine::{level, plain},
    messages::QueryError,
    unfinished::Unfinished,
};
use crate::{
    model::{AttemptId, Cursor, Direction, LogFilter, LogQuery, Page, Record, SpoolSizes, Stream, Timestamp},
    store::{Chunk, ChunkRef, Line, Output, Wanted},
};
use regex::bytes::{Regex, RegexBuilder};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

mod overtaken;

/// The number of records in a page when a query gives no limit.
const DEFAULT_LIMIT: usize = 100;

/// The bytes of lines in one page; a page ends there whatever its limit says, so that memory use stays bounded.
const PAGE_BYTES: usize = 8 << 20;

/// The same where bytes are asked for: a reader has one page while the next is being read. Smaller pages spend more
/// time on the way than in being read.
const BYTES_PAGE: usize = 4 << 20;

/// From this size on, in bytes, a page of bytes is given the room of a whole one: growing it piece by piece would
/// copy it again. The last chunk of a page, which may go beyond the page, has at most this size.
const LARGE_PAGE: usize = 256 << 10;

/// Largest compiled pattern of a question, in bytes; a larger one is refused.
const PATTERN_BYTES: usize = 1 << 20;

/// A question with all that memory knows, to be answered on any thread.
pub(crate) struct Search {
    pub(crate) query: LogQuery,
    pub(crate) grep: Option<Regex>,
    pub(crate) memory: Vec<Arc<Chunk>>,
    pub(crate) unfinished: Vec<Unfinished>,
    /// The place in each stream from which on memory has it: what the store has behind that is left out.
    pub(crate) floors: HashMap<(AttemptId, Stream), u64>,
    /// The newest number given to a piece.
    pub(crate) newest: u64,
    pub(crate) now: Timestamp,
}

/// Compiles `grep`.
pub(crate) fn pattern(query: &LogQuery) -> Result<Option<Regex>, QueryError> {
    let Some(grep) = &query.filter.grep else { return Ok(None) };
    let built = RegexBuilder::new(grep).size_limit(PATTERN_BYTES).build();
    built.map(Some).map_err(|error| QueryError::Pattern(error.to_string()))
}

/// The conditions that narrow segments and chunks.
pub(crate) fn wanted(query: &LogQuery) -> Wanted<'_> {
    let filter = &query.filter;
    Wanted {
        program: filter.program.as_deref(),
        run: filter.run,
        attempt: filter.attempt,
        stream: filter.stream,
        class: filter.class.as_deref(),
        since_ms: filter.since.map(|at| at.0),
        until_ms: filter.until.map(|at| at.0),
    }
}

/// How far an attempt that has written this much has to be taken in for the answer. Where bytes are asked for as they
/// are, and they come in streams in which the asker has a place, one page behind that place fills the answer. So a
/// reader of output that is written faster than it can be taken in has its pages at once.
pub(super) fn fills_page(query: &LogQuery, attempt: AttemptId, written: SpoolSizes) -> SpoolSizes {
    let LogFilter { level, class, grep, since, until, .. } = &query.filter;
    let is_narrow =
        level.is_some() || class.is_some() || grep.is_some() || since.is_some() || until.is_some();
    if !query.bytes || is_narrow {
        return written;
    }
    // Twice the page: hidden parts may make the lines shorter.
    let least = |stream, size: u64| match query.place_in((attempt, stream)) {
        Some(place) => size.min(place.offset + 2 * BYTES_PAGE as u64),
        None => size,
    };
    SpoolSizes {
        stdout: least(Stream::Stdout, written.stdout),
        stderr: least(Stream::Stderr, written.stderr),
    }
}

/// An entry of the queue.
enum Item {
    Segment(u64),
    Stored(u64, ChunkRef),
    Held(Arc<Chunk>),
    Piece(Arc<Opened>, usize),
}

/// A chunk whose lines are known.
struct Opened {
    chunk: Arc<Chunk>,
    lines: Vec<Span>,
    /// False when no line of the chunk can match.
    worth: bool,
}

/// A [`Line`] without its bytes.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
    newline: bool,
    partial: bool,
    raw_from: u64,
    raw_to: u64,
    label: Option<u32>,
}

impl Span {
    /// The beginning of the line was given when it was unfinished.
    fn skip(&mut self, cursor: Cursor) {
        let length = (self.end - self.start) as u64 + u64::from(self.newline);
        let unchanged = self.raw_to - self.raw_from == length;
        let given = if unchanged {
            usize::try_from(cursor.offset - self.raw_from).unwrap_or(0)
        } else {
            cursor.given().unwrap_or(0)
        };
        self.start = (self.start + given).min(self.end);
        self.partial = true;
    }
}

pub(super) struct Reader<'a> {
    pub(super) search: &'a Search,
    output: Option<&'a Output>,
    limit: usize,
    grep_block: Option<Regex>,
    queue: BTreeMap<(u64, u64), Item>,
    ticket: u64,
    pub(super) records: VecDeque<Record>,
    /// The bytes as written, where these are asked for.
    pub(super) written: Vec<u8>,
    pub(super) lines: u64,
    bytes: usize,
    /// The last line that was looked at, whether it matched or not.
    pub(super) seen: Option<Cursor>,
    /// The place before the oldest record that was given.
    pub(super) before: Option<Cursor>,
    pub(super) full: bool,
    pub(super) also: Vec<Cursor>,
    /// How far lines of a stream were given: what was stored twice is given once.
    pub(super) given: HashMap<(AttemptId, Stream), u64>,
    /// The number up to which everything was given.
    at: Option<u64>,
    /// For each stream, the first line that is not loaded.
    loaded: HashMap<(AttemptId, Stream), u64>,
    /// The number up to which missing lines were reported.
    told_to: u64,
}

/// Answers a question. Without `output` only memory is looked at. The answer is then `None` when it would have to go
/// on at numbers up to `floor`, which memory no longer has all of.
pub(crate) fn page(search: &Search, output: Option<&Output>, floor: u64) -> Result<Option<Page>, QueryError> {
    let forward = search.query.direction == Direction::Forward;
    let limit = match search.query.limit {
        0 if search.query.bytes => usize::MAX,
        0 => DEFAULT_LIMIT,
        limit => limit,
    };
    // Anchors of the text would have another meaning in a block.
    let block = search
        .query
        .filter
        .grep
        .as_ref()
        .filter(|p| !p.contains(r"\A") && !p.contains(r"\z") && !p.contains("-m"));
    let grep_block =
        block.and_then(|p| RegexBuilder::new(p).multi_line(true).size_limit(PATTERN_BYTES).build().ok());
    let mut reader = Reader {
        search,
        output,
        limit,
        grep_block,
        queue: BTreeMap::new(),
        ticket: 0,
        records: VecDeque::new(),
        written: Vec::new(),
        lines: 0,
        bytes: 0,
        seen: None,
        before: None,
        full: false,
        also: Vec::new(),
        given: HashMap::new(),
        at: None,
        loaded: HashMap::new(),
        told_to: 0,
    };
    reader.go_on_from_cursor();
    reader.begin();
    if !forward && search.query.cursor.is_none() {
        reader.unfinished_back();
    }
    while !reader.full {
        let item = if forward { reader.queue.pop_first() } else { reader.queue.pop_last() };
        let Some(((number, _), item)) = item else { break };
        if output.is_none() && !forward && number <= floor {
            return Ok(None);
        }
        if forward && matches!(item, Item::Segment(_) | Item::Stored(..)) {
            reader.tell_missed(Some(number));
            if reader.full {
                break;
            }
        }
        if matches!(item, Item::Piece(..)) {
            reader.at = Some(number);
        }
        reader.open(item)?;
    }
    if forward && !reader.full {
        reader.tell_missed(None);
    }
    if output.is_none() && !forward && !reader.full && floor > 0 {
        return Ok(None);
    }
    if forward && !reader.full {
        reader.unfinished_forward();
    }
    Ok(Some(reader.finish(forward)))
}

impl Reader<'_> {
    fn forward(&self) -> bool {
        self.search.query.direction == Direction::Forward
    }

    fn push(&mut self, number: u64, item: Item) {
        self.ticket += 1;
        // Backwards, of equal entries the one that was put in first must come out first.
        let ticket = if self.forward() { self.ticket } else { u64::MAX - self.ticket };
        self.queue.insert((number, ticket), item);
    }

    fn key(&self, first: u64, last: u64) -> u64 {
        if self.forward() { first } else { last }
    }

    /// Whether a line between these numbers of this stream can lie on the wanted side of the cursor.
    fn beyond(&self, first: u64, last: u64, own: Option<(AttemptId, Stream, u64, u64)>) -> bool {
        let Some(cursor) = self.search.query.cursor else { return true };
        let own =
            own.filter(|(attempt, stream, _, _)| (*attempt, *stream) == (cursor.attempt, cursor.stream));
        match (self.forward(), own) {
            (true, Some((_, _, _, to))) => to > cursor.offset,
            (false, Some((_, _, from, _))) => from < cursor.offset,
            (true, None) => last >= cursor.block,
            (false, None) => first <= cursor.block,
        }
    }

    fn begin(&mut self) {
        let wanted = wanted(&self.search.query);
        for chunk in &self.search.memory {
            let head = &chunk.head;
            let own = Some((head.attempt, head.stream, head.from, head.to));
            if self.beyond(head.first_number(), head.last_number(), own) {
                self.push(self.key(head.first_number(), head.last_number()), Item::Held(chunk.clone()));
            }
        }
        let Some(output) = self.output else { return };
        for (segment, first, last) in output.segments(&wanted) {
            if self.beyond(first, last, None) {
                self.push(self.key(first, last), Item::Segment(segment));
            }
        }
    }

    fn open(&mut self, item: Item) -> Result<(), QueryError> {
        let failed = |error: crate::store::StoreError| QueryError::Store(error.to_string());
        match item {
            Item::Segment(segment) => {
                let Some(output) = self.output else { return Ok(()) };
                for chunk in output.chunks(segment, &wanted(&self.search.query)).map_err(failed)? {
                    let held = self.search.floors.get(&(chunk.attempt, chunk.stream));
                    let own = Some((chunk.attempt, chunk.stream, chunk.from, chunk.to));
                    if held.is_none_or(|floor| chunk.from < *floor)
                        && self.beyond(chunk.first_number, chunk.last_number, own)
                    {
                        let key = self.key(chunk.first_number, chunk.last_number);
                        self.push(key, Item::Stored(segment, chunk));
                    }
                }
            }
            Item::Stored(segment, chunk) => {
                let Some(output) = self.output else { return Ok(()) };
                if let Some(chunk) = output.chunk(segment, &chunk).map_err(failed)? {
                    self.pieces(chunk);
                }
            }
            Item::Held(chunk) => self.pieces(chunk),
            Item::Piece(opened, piece) => self.lines(&opened, piece),
        }
        Ok(())
    }

    fn pieces(&mut self, chunk: Arc<Chunk>) {
        self.note_loaded(&chunk);
        if self.is_given_whole(&chunk) {
            return self.give_whole(&chunk);
        }
        // Where an escape was cut in two, only the line itself has its halves in the text.
        let matches = |grep: &Regex| grep.is_match(&plain(&chunk.bytes)) || grep.is_match(&chunk.bytes);
        let worth = self.grep_block.as_ref().is_none_or(matches);
        let base = chunk.bytes.as_ptr() as usize;
        let span = |line: Line<'_>| {
            let start = line.bytes.as_ptr() as usize - base;
            Span {
                start,
                end: start + line.bytes.len(),
                newline: line.newline,
                partial: line.partial,
                raw_from: line.raw_from,
                raw_to: line.raw_to,
                label: line.label,
            }
        };
        let lines = chunk.lines().map(span).collect();
        let numbers: Vec<_> = chunk.head.pieces.iter().map(|piece| piece.number).collect();
        let opened = Arc::new(Opened { chunk, lines, worth });
        for (piece, number) in numbers.into_iter().enumerate() {
            self.push(number, Item::Piece(opened.clone(), piece));
        }
    }

    /// Whether all of the chunk comes next, and as it was written: then its lines need not be known.
    fn is_given_whole(&self, chunk: &Chunk) -> bool {
        let (head, query) = (&chunk.head, &self.search.query);
        let feed = (head.attempt, head.stream);
        let is_next = self.queue.first_key_value().is_none_or(|((first, _), _)| *first > head.last_number());
        let is_new = query.cursor.is_none_or(|cursor| cursor.block < head.first_number())
            && query.place_in(feed).is_none_or(|place| place.offset <= head.from)
            && self.given.get(&feed).is_none_or(|to| *to <= head.from);
        let LogFilter { program, level, class, grep, since, until, .. } = &query.filter;
        let is_wanted = program.as_ref().is_none_or(|program| **program == *head.program)
            && level.is_none()
            && class.is_none()
            && grep.is_none()
            && since.is_none()
            && until.is_none();
        query.bytes && self.forward() && self.limit == usize::MAX && is_next && is_new && is_wanted
    }

    fn give_whole(&mut self, chunk: &Chunk) {
        let head = &chunk.head;
        let Some(last) = head.pieces.last() else { return }; // A chunk has pieces.
        self.at = Some(last.number);
        self.seen = Some(Cursor {
            block: last.number,
            line: head.lines.saturating_sub(last.line),
            attempt: head.attempt,
            stream: head.stream,
            offset: head.to,
            seq: head.first_seq + if head.gap > 0 { head.gap } else { u64::from(head.lines) } - 1,
        });
        self.given.insert((head.attempt, head.stream), head.to);
        if self.written.len() > LARGE_PAGE {
            self.written.reserve_exact((BYTES_PAGE + LARGE_PAGE).saturating_sub(self.written.len()));
        }
        self.written.extend_from_slice(&chunk.bytes);
        self.lines += u64::from(head.lines);
        self.full = self.written.len() >= BYTES_PAGE;
    }

    fn lines(&mut self, opened: &Opened, place: usize) {
        let head = &opened.chunk.head;
        let Some(piece) = head.pieces.get(place) else { return };
        let first = piece.line as usize;
        let last = head.pieces.get(place + 1).map_or(opened.lines.len(), |next| next.line as usize);
        let (forward, count) = (self.forward(), last.saturating_sub(first));
        let feed = (head.attempt, head.stream);
        let given = self.given.get(&feed).copied();
        let mut edge = None;
        for step in 0..count {
            let index = if forward { first + step } else { last - 1 - step };
            let Some(span) = opened.lines.get(index) else { continue };
            let Some(span) = self.side(*span, piece.number, feed, given) else { continue };
            if self.full {
                return;
            }
            edge = Some(if forward { span.raw_to } else { span.raw_from });
            let line = u32::try_from(index - first).unwrap_or(u32::MAX);
            let cursor = Cursor {
                block: piece.number,
                line: line + 1,
                attempt: head.attempt,
                stream: head.stream,
                offset: span.raw_to,
                seq: head.first_seq + if head.gap > 0 { head.gap - 1 } else { index as u64 },
            };
            self.seen = Some(cursor);
            if opened.worth {
                self.offer(opened, span, cursor, piece.at_ms, head.first_seq + index as u64);
            }
        }
        if let Some(edge) = edge {
            self.given.insert(feed, edge);
        }
    }

    /// The line, as far as it lies on the wanted side of the cursor.
    fn side(
        &self,
        mut span: Span,
        number: u64,
        feed: (AttemptId, Stream),
        given: Option<u64>,
    ) -> Option<Span> {
        let (forward, query) = (self.forward(), &self.search.query);
        if let Some(cursor) = query.cursor {
            let own = feed == (cursor.attempt, cursor.stream);
            match (forward, own) {
                (false, true) if span.raw_to > cursor.offset => return None,
                (true, false) if number <= cursor.block => return None,
                (false, false) if number >= cursor.block => return None,
                _ => {}
            }
        }
        if let Some(place) = query.place_in(feed).filter(|place| forward && span.raw_from < place.offset) {
            if span.raw_to <= place.offset {
                return None;
            }
            span.skip(*place);
        }
        let repeated = given.is_some_and(|at| if forward { span.raw_to <= at } else { span.raw_from >= at });
        if repeated {
            return None;
        }
        Some(span)
    }

    fn offer(&mut self, opened: &Opened, span: Span, cursor: Cursor, at_ms: u64, seq: u64) {
        let head = &opened.chunk.head;
        let filter = &self.search.query.filter;
        let bytes = opened.chunk.bytes.get(span.start..span.end).unwrap_or_default();
        let label = span.label.and_then(|label| head.labels.get(label as usize));
        if filter.since.is_some_and(|since| at_ms < since.0)
            || filter.until.is_some_and(|until| at_ms >= until.0)
            || filter.program.as_ref().is_some_and(|program| **program != *head.program)
            || filter.class.as_ref().is_some_and(|class| label.is_none_or(|(have, _)| **have != **class))
            || self.search.grep.as_ref().is_some_and(|grep| !grep.is_match(&plain(bytes)))
        {
            return;
        }
        if self.search.query.bytes && filter.level.is_none() {
            return self.write(bytes, span.newline);
        }
        let level = level(&plain(bytes));
        if filter.level.is_some_and(|least| level.is_none_or(|have| have < least)) {
            return;
        }
        if self.search.query.bytes {
            return self.write(bytes, span.newline);
        }
        self.before = Some(Cursor { line: cursor.line - 1, offset: span.raw_from, ..cursor });
        self.emit(Record {
            cursor,
            seq,
            at: Timestamp(at_ms),
            program: head.program.to_string(),
            attempt: head.attempt,
            stream: head.stream,
            level,
            class: label.map(|(class, _)| class.to_string()),
            bytes: bytes.to_vec(),
            newline: span.newline,
            partial: span.partial,
            gap: head.gap,
        });
    }

    pub(super) fn write(&mut self, bytes: &[u8], newline: bool) {
        self.written.extend_from_slice(bytes);
        if newline {
            self.written.push(b'\n');
        }
        self.lines += 1;
        self.full = self.lines >= self.limit as u64 || self.written.len() >= BYTES_PAGE;
    }

    pub(super) fn emit(&mut self, record: Record) {
        if self.search.query.bytes {
            return self.write(&record.bytes, record.newline);
        }
        self.bytes += record.bytes.len();
        if self.forward() {
            self.records.push_back(record);
        } else {
            self.records.push_front(record);
        }
        self.full = self.records.len() >= self.limit || self.bytes >= PAGE_BYTES;
    }
}
