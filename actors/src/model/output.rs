//! Output as readers see it: records, cursors, queries.

use super::{AttemptId, RunId, Timestamp};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// One of the two outputs of a process.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output; with `stderr = "merge"` both.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How severe a line says that it is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// `TRACE`.
    Trace,
    /// `DEBUG`.
    Debug,
    /// `INFO`, `NOTICE`.
    Info,
    /// `WARN`, `WARNING`.
    Warn,
    /// `ERROR`, `FATAL`, `CRITICAL`, `panic`, `Traceback`.
    Error,
}

/// One line of output and its facts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// The place right after this record: reading on from it neither repeats nor skips.
    pub cursor: Cursor,
    /// The line's number in its attempt and stream, from 1.
    pub seq: u64,
    /// When it was read.
    pub at: Timestamp,
    /// The program's name.
    pub program: String,
    /// The attempt that wrote the line.
    pub attempt: AttemptId,
    /// The stream in which the line was written.
    pub stream: Stream,
    /// How severe the line says that it is; `None` when it does not say.
    pub level: Option<Level>,
    /// The class that a rule found in the line; `None` when no rule did.
    pub class: Option<String>,
    /// The line's bytes as the child wrote them, without the newline.
    pub bytes: Vec<u8>,
    /// Whether a newline follows: false for the pieces of an overlong line and for a last line without one.
    pub newline: bool,
    /// Whether it is a piece of a line longer than `max_line`, or of a line that was read before it was finished; the
    /// last piece has its newline.
    pub partial: bool,
    /// How many lines are missing here, when the record is not a line of the child but says so: they were dropped,
    /// lost with the disk, or deleted before this reader came to them. 0 for a line.
    pub gap: u64,
}

/// A place in the output, opaque to its holders.
///
/// Output is ordered by the time it was taken in: `block` counts pieces of output over the store's whole life, `line`
/// the lines of the piece. `offset` is the place in the attempt's own stream, by which the place is found again when
/// pieces were cut anew after a crash.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Cursor {
    /// The number of the piece.
    pub block: u64,
    /// The number of lines of the piece that are behind the cursor; in an unfinished line see [`Cursor::in_line`].
    pub line: u32,
    /// The attempt the piece belongs to.
    pub attempt: AttemptId,
    /// The stream of the piece.
    pub stream: Stream,
    /// The number of bytes of the attempt's stream that are behind the cursor.
    pub offset: u64,
    /// The number of the line before the cursor in that stream; 0 where it is not known, as for cursors of an earlier
    /// version. It tells a reader how many lines were deleted before it came to them.
    pub seq: u64,
}

impl Cursor {
    /// Set in `line` for a place in an unfinished line; the remaining bits are how many bytes of the line were given.
    const IN_LINE: u32 = 1 << 31;

    /// The value of `line` for a place in an unfinished line of which this many bytes were given. They are counted as
    /// they are shown, which is fewer or more than they were where a part of them is hidden.
    #[must_use]
    pub fn in_line(given: usize) -> u32 {
        Self::IN_LINE | u32::try_from(given).unwrap_or(u32::MAX)
    }

    /// How many bytes were given of the line that this place is in; `None` for a place between lines.
    #[must_use]
    pub fn given(&self) -> Option<usize> {
        (self.line & Self::IN_LINE != 0).then_some((self.line & !Self::IN_LINE) as usize)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stream = match self.stream {
            Stream::Stdout => 'o',
            Stream::Stderr => 'e',
        };
        write!(
            f,
            "{:x}.{:x}.{}.{:x}.{stream}.{:x}.{:x}",
            self.block, self.line, self.attempt.run, self.attempt.number, self.offset, self.seq
        )
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a cursor of ours");
        let parts: Vec<_> = text.split('.').collect();
        let [block, line, run, number, stream, offset, more @ ..] = parts.as_slice() else {
            return Err(bad());
        };
        let seq = match more {
            [] => "0",
            [seq] => seq,
            _ => return Err(bad()),
        };
        let hex = |s: &str| u64::from_str_radix(s, 16).map_err(|_| bad());
        let hex32 = |s: &str| u32::from_str_radix(s, 16).map_err(|_| bad());
        Ok(Self {
            block: hex(block)?,
            line: hex32(line)?,
            attempt: AttemptId { run: run.parse::<RunId>().map_err(|_| bad())?, number: hex32(number)? },
            stream: match *stream {
                "o" => Stream::Stdout,
                "e" => Stream::Stderr,
                _ => return Err(bad()),
            },
            offset: hex(offset)?,
            seq: hex(seq)?,
        })
    }
}

/// Which records a reader wants; a field that is left out does not narrow.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LogFilter {
    /// Only runs of this program.
    pub program: Option<String>,
    /// Only this run.
    pub run: Option<RunId>,
    /// Only this attempt of the run.
    pub attempt: Option<u32>,
    /// Only this stream.
    pub stream: Option<Stream>,
    /// Only lines of this level or a more severe one. Lines without a recognised level are skipped.
    pub level: Option<Level>,
    /// Only lines of this class.
    pub class: Option<String>,
    /// A regular expression that the line matches.
    pub grep: Option<String>,
    /// Only records read at or after this time.
    pub since: Option<Timestamp>,
    /// Only records read before this time.
    pub until: Option<Timestamp>,
}

/// The direction in which to read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Direction {
    /// From the newest, or from before the cursor, backwards; records still come oldest first in the page.
    #[default]
    Back,
    /// From the oldest, or from after the cursor, forwards.
    Forward,
}

/// A query for stored and live output.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LogQuery {
    /// Which records are wanted.
    pub filter: LogFilter,
    /// The direction in which to read. Default backwards.
    pub direction: Direction,
    /// Where to begin; `None`: at the newest or the oldest record, depending on the direction.
    pub cursor: Option<Cursor>,
    /// The largest number of records; 0 stands for 100, and with `bytes` for as many as a page holds.
    pub limit: usize,
    /// Whether the answer is what was written, without the facts about it: [`Page::bytes`] in place of records, with
    /// the unfinished lines of living attempts behind it. Only forwards.
    pub bytes: bool,
    /// With `bytes`: [`Page::also`] of the previous page.
    pub also: Vec<Cursor>,
}

impl LogQuery {
    /// How far this stream was given: of the cursor and the other places, the farthest that is in the stream.
    #[must_use]
    pub fn place_in(&self, stream: (AttemptId, Stream)) -> Option<&Cursor> {
        let places = self.cursor.iter().chain(&self.also);
        places.filter(|place| (place.attempt, place.stream) == stream).max_by_key(|place| place.offset)
    }
}

/// An answer: records, or what was written, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The records, empty where the query asked for bytes.
    pub records: Vec<Record>,
    /// What was written, with its newlines, where the query asked for that.
    pub bytes: Vec<u8>,
    /// The number of lines, and parts of lines, in the bytes.
    pub lines: u64,
    /// With bytes of several streams: places in unfinished lines of the others. A cursor knows one place only.
    pub also: Vec<Cursor>,
    /// Where to read on in the same direction. Reading forwards it is set even at the end of what is written so far,
    /// unless no output was ever written; reading backwards it is `None` at the beginning of the history.
    pub next: Option<Cursor>,
    /// Whether there may be more right now.
    pub more: bool,
    /// Whether more had been written when the question came than could be taken in within the 2 s that it waits for
    /// that: the answer is what was there.
    pub behind: bool,
}

impl Page {
    /// Whether the page has nothing to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.bytes.is_empty()
    }
}

/// The line that shows a class, as proof.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Evidence {
    /// The class that the line shows.
    pub class: String,
    /// The rule that found it: `classify[0]`, `builtin:http_429`, `exit_code`.
    pub rule: String,
    /// The line as text, at most [`Evidence::MAX_BYTES`]; empty when the exit alone decided.
    pub line: String,
    /// The stream of the line; `None` when the exit alone decided.
    pub stream: Option<Stream>,
    /// The number of the line in its stream.
    pub seq: u64,
    /// When the line was read.
    pub at: Timestamp,
    /// How long the other side asks to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// Why the end has this class and not another one that was seen too, as in `preferred to network, which was seen
    /// too: …`; `None` where no other was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred: Option<String>,
}

impl Evidence {
    /// The longest line in evidence, in bytes; longer ones are cut. Enough to recognise a line, small enough for a
    /// journal.
    pub const MAX_BYTES: usize = 500;
}
