//! Output as seen by readers: records, cursors, queries.

use super::{AttemptId, RunId, Timestamp};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Which of a process's two outputs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output; with `stderr = "merge"` both.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How grave a line says it is.
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
    /// The attempt that wrote it.
    pub attempt: AttemptId,
    /// Which output.
    pub stream: Stream,
    /// How grave it says it is; nothing when it does not say.
    pub level: Option<Level>,
    /// The class a rule found in it.
    pub class: Option<String>,
    /// The line's bytes as the child wrote them, without the newline.
    pub bytes: Vec<u8>,
    /// Whether a newline follows: false for the pieces of an overlong line and for a last line without one.
    pub newline: bool,
    /// Whether it is a piece of a line longer than `max_line`, or of a line that was read before it was finished; the
    /// last piece has its newline.
    pub partial: bool,
    /// How many lines are missing here, when it is no line of the child's but says so: they were dropped, lost with the disk, or
    /// deleted before this reader came to them. 0 for a line.
    pub gap: u64,
}

/// A place in the output, opaque to those who hold it.
///
/// Output is ordered by the time it was taken in: `block` counts pieces of output over the store's whole life,
/// `line` the lines of the piece. `offset` is the place in the attempt's own stream, which finds the place again
/// when a crash made us cut the pieces anew.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Cursor {
    /// Number of the piece.
    pub block: u64,
    /// Lines of the piece that are behind the cursor; in an unfinished line see [`Cursor::in_line`].
    pub line: u32,
    /// The attempt the piece belongs to.
    pub attempt: AttemptId,
    /// Its stream.
    pub stream: Stream,
    /// Bytes of the attempt's stream that are behind the cursor.
    pub offset: u64,
    /// Number of the line before the cursor in that stream; 0 where it is not known, as of cursors of an earlier version. By
    /// it a reader is told how many lines were deleted before it came to them.
    pub seq: u64,
}

impl Cursor {
    /// Set in `line` for a place in an unfinished line; the rest of it is how many bytes of the line were given.
    const IN_LINE: u32 = 1 << 31;

    /// What `line` is for a place in an unfinished line of which so many bytes were given. They are counted as they are
    /// shown, which is fewer or more than they were where something in them is hidden.
    #[must_use]
    pub fn in_line(given: usize) -> u32 {
        Self::IN_LINE | u32::try_from(given).unwrap_or(u32::MAX)
    }

    /// How many bytes were given of the line that this place is in; nothing for a place between lines.
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

/// Which records a reader wants; everything left out does not narrow.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LogFilter {
    /// Runs of this program.
    pub program: Option<String>,
    /// This run.
    pub run: Option<RunId>,
    /// This attempt of the run.
    pub attempt: Option<u32>,
    /// This stream.
    pub stream: Option<Stream>,
    /// This level or graver.
    pub level: Option<Level>,
    /// This class.
    pub class: Option<String>,
    /// A regular expression that the line matches.
    pub grep: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// Which way to read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Direction {
    /// From the newest, or from before the cursor, backwards; records still come oldest first in the page.
    #[default]
    Back,
    /// From the oldest, or from after the cursor, forwards.
    Forward,
}

/// A question for stored and live output.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LogQuery {
    /// Which records.
    pub filter: LogFilter,
    /// Which way.
    pub direction: Direction,
    /// Where to begin.
    pub cursor: Option<Cursor>,
    /// At most so many records; 0 stands for 100, and with `bytes` for as many as a page holds.
    pub limit: usize,
    /// The answer is what was written, without the facts about it: [`Page::bytes`] in place of records, the unfinished
    /// lines of living attempts behind it. Only forwards.
    pub bytes: bool,
    /// With `bytes`: [`Page::also`] of the page before.
    pub also: Vec<Cursor>,
}

impl LogQuery {
    /// How far this stream was given: of the cursor and the other places the farthest that is in it.
    #[must_use]
    pub fn place_in(&self, stream: (AttemptId, Stream)) -> Option<&Cursor> {
        let places = self.cursor.iter().chain(&self.also);
        places.filter(|place| (place.attempt, place.stream) == stream).max_by_key(|place| place.offset)
    }
}

/// An answer: records, or what was written, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The records.
    pub records: Vec<Record>,
    /// What was written, with its newlines, where the query asked for that.
    pub bytes: Vec<u8>,
    /// How many lines, and parts of lines, the bytes are.
    pub lines: u64,
    /// With bytes of several streams: places in unfinished lines of the others. A cursor knows one place only.
    pub also: Vec<Cursor>,
    /// Where to read on in the same direction. Reading forwards it is there even at the end of what is written so far,
    /// unless nothing was ever written; reading backwards it is absent at the beginning of the history.
    pub next: Option<Cursor>,
    /// Whether there may be more right now.
    pub more: bool,
    /// Whether more had been written when the question came than could be taken in within the 2 s that it waits for that:
    /// the answer is what was there.
    pub behind: bool,
}

impl Page {
    /// Whether there is nothing to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.bytes.is_empty()
    }
}

/// The line that made a class, as proof.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Evidence {
    /// The class it shows.
    pub class: String,
    /// The rule that saw it: `classify[0]`, `builtin:http_429`, `exit_code`.
    pub rule: String,
    /// The line as text, at most [`Evidence::MAX_BYTES`]; empty when the exit alone decided.
    pub line: String,
    /// Which output it stood in.
    pub stream: Option<Stream>,
    /// Its number there.
    pub seq: u64,
    /// When it was read.
    pub at: Timestamp,
    /// How long the other side asks to wait.
    pub retry_after_ms: Option<u64>,
    /// Why this class is the end's and not another one that was seen too, as in `preferred to network, which was seen too:
    /// …`; nothing where no other was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred: Option<String>,
}

impl Evidence {
    /// Longer lines are cut in evidence: enough to recognise one, small enough for a journal.
    pub const MAX_BYTES: usize = 500;
}
