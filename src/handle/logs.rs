//! Asking for output.

use super::{
    LogStream, Pages,
    follow::{Follow, PAGE},
};
use crate::{ProcessManager, Result};
use actix_process_actors::{
    manager::Logs,
    model::{Cursor, Direction, Level, LogFilter, LogQuery, Page, Record, RunId, Stream, Timestamp},
};

/// Which output to read; then [`tail`](Self::tail), [`page`](Self::page), [`read`](Self::read) or
/// [`follow`](Self::follow) it. Filters are applied where the output is stored.
#[derive(Clone, Debug)]
#[must_use = "nothing is read before `tail`, `page`, `read` or `follow`"]
pub struct LogReader {
    pm: ProcessManager,
    filter: LogFilter,
    after: Option<Cursor>,
    last: Option<usize>,
    bytes: bool,
}

impl LogReader {
    pub(crate) fn new(pm: ProcessManager) -> Self {
        Self { pm, filter: LogFilter::default(), after: None, last: None, bytes: false }
    }

    #[cfg_attr(
        not(feature = "web"),
        expect(dead_code, reason = "only the HTTP API has a whole filter at hand")
    )]
    pub(crate) fn filter(mut self, filter: LogFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Pages have bytes in place of records.
    #[cfg_attr(not(feature = "web"), expect(dead_code, reason = "only the HTTP API passes bytes on"))]
    pub(crate) fn bytes(mut self) -> Self {
        self.bytes = true;
        self
    }

    /// Of the runs of this program.
    pub fn program(mut self, name: impl Into<String>) -> Self {
        self.filter.program = Some(name.into());
        self
    }

    /// Of this run.
    pub fn run(mut self, run: RunId) -> Self {
        self.filter.run = Some(run);
        self
    }

    /// Of this attempt of the run.
    pub fn attempt(mut self, number: u32) -> Self {
        self.filter.attempt = Some(number);
        self
    }

    /// Of this stream.
    pub fn stream(mut self, stream: Stream) -> Self {
        self.filter.stream = Some(stream);
        self
    }

    /// Of this level or graver. Lines that say no level are left out.
    pub fn level(mut self, level: Level) -> Self {
        self.filter.level = Some(level);
        self
    }

    /// In which a rule found this class.
    pub fn class(mut self, class: impl Into<String>) -> Self {
        self.filter.class = Some(class.into());
        self
    }

    /// That match this regular expression.
    pub fn grep(mut self, pattern: impl Into<String>) -> Self {
        self.filter.grep = Some(pattern.into());
        self
    }

    /// Not read before this time.
    pub fn since(mut self, at: Timestamp) -> Self {
        self.filter.since = Some(at);
        self
    }

    /// Read before this time.
    pub fn until(mut self, at: Timestamp) -> Self {
        self.filter.until = Some(at);
        self
    }

    /// [`read`](Self::read) and [`follow`](Self::follow) begin right after this record's cursor, without gap or repeat.
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self.last = None;
        self
    }

    /// [`read`](Self::read) and [`follow`](Self::follow) begin with the last `n` records; without it with the oldest.
    pub fn last(mut self, n: usize) -> Self {
        self.last = Some(n);
        self.after = None;
        self
    }

    /// The last `n` records, oldest first. All of them are in memory at once: use [`read`](Self::read) for many.
    ///
    /// # Errors
    /// A pattern that is none, or a store that cannot be read.
    pub async fn tail(self, n: usize) -> Result<Vec<Record>> {
        let mut newest_first = Vec::new();
        let mut missing = n;
        let mut cursor = None;
        while missing > 0 {
            let mut query = LogQuery::default();
            query.filter = self.filter.clone();
            query.direction = Direction::Back;
            query.cursor = cursor;
            query.limit = missing.min(PAGE);
            let page = self.pm.ask(Logs { query, wait_ms: 0 }).await??;
            missing = missing.saturating_sub(page.records.len());
            newest_first.push(page.records);
            cursor = page.next;
            if cursor.is_none() || !page.more {
                break;
            }
        }
        let mut records: Vec<Record> = newest_first.into_iter().rev().flatten().collect();
        records.drain(..records.len().saturating_sub(n));
        Ok(records)
    }

    /// One page as asked for. Filters of this reader replace those of the query.
    ///
    /// # Errors
    /// A pattern that is none, or a store that cannot be read.
    pub async fn page(self, mut query: LogQuery) -> Result<Page> {
        query.filter = self.filter;
        Ok(self.pm.ask(Logs { query, wait_ms: 0 }).await??)
    }

    /// Everything that matches and is written now, oldest first, and then the end. Read page by page as it is polled.
    pub fn read(self) -> LogStream {
        LogStream::new(self.pages(false, None))
    }

    /// Everything that matches, and then what is written from now on, through all attempts. Read page by page as it is
    /// polled: a slow reader slows nobody, and memory stays flat. Ends when the run is over and everything was read;
    /// without a run it ends with the supervisor.
    pub fn follow(self) -> LogStream {
        LogStream::new(self.pages(true, None))
    }

    /// The pages behind [`read`](Self::read) and [`follow`](Self::follow), at most `limit` records.
    pub(crate) fn pages(self, live: bool, limit: Option<u64>) -> Pages {
        let run = self.filter.run;
        let follow = Follow::new(self.filter, self.after, self.last, live, limit);
        Pages::new(self.pm, run, if self.bytes { follow.bytes() } else { follow })
    }
}
