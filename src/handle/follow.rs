//! Reading output on and on: pull-based, from one cursor to the next.

use crate::{Error, ProcessManager, Result};
use actix_process_actors::{
    manager::{Logs, RunError, Wait},
    model::{Cursor, Direction, LogFilter, LogQuery, Page, Record, Run, RunId},
    monitor::QueryError,
};
use futures_util::{Stream, future::BoxFuture};
use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Records asked for at once: large enough that asking costs nothing beside reading, small enough that a page of
/// ordinary lines stays under a megabyte. More lines take more pages.
pub(super) const PAGE: usize = 4_096;

/// How long one question waits for output that is not there yet: long enough that an idle follower costs nothing,
/// short enough that one whose reader is gone is soon forgotten by the Monitor too.
const WAIT_MS: u64 = 15_000;

/// Answers in a row that may bring nothing although more was written, each after 2 s: beyond them the store stands still,
/// and a reader is told so, not left with a part that looks like all.
const MOST_STALLED: u32 = 5;

/// What to ask next, and when to stop: the rules of reading on, without anybody to ask.
#[derive(Clone, Debug)]
pub(super) struct Follow {
    filter: LogFilter,
    cursor: Option<Cursor>,
    /// Places in other streams, beside the cursor.
    also: Vec<Cursor>,
    /// Bytes are wanted in place of records.
    bytes: bool,
    /// Begin with so many of the newest records.
    last: Option<usize>,
    /// Wait for more at the end of what is there. Ends with the run.
    live: bool,
    /// How many more records are wanted.
    limit: Option<u64>,
    done: bool,
}

impl Follow {
    pub(super) const fn new(
        filter: LogFilter,
        after: Option<Cursor>,
        last: Option<usize>,
        live: bool,
        limit: Option<u64>,
    ) -> Self {
        Self { filter, cursor: after, also: Vec::new(), bytes: false, last, live, limit, done: false }
    }

    /// Bytes in place of records, those of unfinished lines too.
    pub(super) const fn bytes(mut self) -> Self {
        self.bytes = true;
        self
    }

    /// The next question, and how long it waits for output; nothing when everything wanted was read.
    pub(super) fn ask(&self) -> Option<(LogQuery, u64)> {
        if self.done {
            return None;
        }
        let mut query = LogQuery::default();
        query.filter = self.filter.clone();
        query.cursor = self.cursor;
        let wanted = self.limit.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        if let Some(last) = self.last {
            query.direction = Direction::Back;
            query.limit = last.clamp(1, PAGE);
            return Some((query, 0));
        }
        query.direction = Direction::Forward;
        query.bytes = self.bytes;
        query.also.clone_from(&self.also);
        // A page of bytes is as large as the Monitor likes it.
        query.limit = if !self.bytes {
            PAGE.min(wanted)
        } else if self.limit.is_some() {
            wanted
        } else {
            0
        };
        Some((query, if self.live { WAIT_MS } else { 0 }))
    }

    /// Takes the answer in and gives out what is wanted of it.
    pub(super) fn take(&mut self, mut page: Page) -> Page {
        if let Some(last) = self.last.take() {
            return self.take_backwards(page, last);
        }
        if page.next.is_some() {
            self.cursor = page.next;
        }
        self.also = std::mem::take(&mut page.also);
        if !page.more && !page.behind && !self.live {
            self.done = true;
        }
        self.count(page)
    }

    /// Looks for the place where the last records begin. One page that has them all is given out as it is; when there
    /// are more than a page, only the place is kept and they are read again forwards, so that memory stays flat.
    fn take_backwards(&mut self, page: Page, last: usize) -> Page {
        let missing = last.saturating_sub(page.records.len());
        let one_page = self.cursor.is_none();
        if missing > 0 && page.more && page.next.is_some() {
            self.cursor = page.next;
            self.last = Some(missing);
            return Page::default();
        }
        if !one_page || self.bytes {
            self.cursor = page.next;
            return Page::default();
        }
        if let Some(record) = page.records.last() {
            self.cursor = Some(record.cursor);
        }
        self.count(page)
    }

    fn count(&mut self, mut page: Page) -> Page {
        if let Some(left) = &mut self.limit {
            page.records.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left = left.saturating_sub(page.records.len() as u64 + page.lines);
            self.done |= *left == 0;
        }
        page
    }

    /// The run is over: read what is there and end. Says whether a question that waits must be asked anew.
    pub(super) const fn run_over(&mut self) -> bool {
        std::mem::replace(&mut self.live, false)
    }

    const fn stop(&mut self) {
        self.done = true;
    }
}

type Answer = BoxFuture<'static, Result<Result<Page, QueryError>>>;
type End = BoxFuture<'static, Result<Result<Run, RunError>>>;

/// Output, a page at a time; never an empty one.
pub(crate) struct Pages {
    pm: ProcessManager,
    follow: Follow,
    /// The end of the run, when there is one to wait for.
    end: Option<End>,
    answer: Option<Answer>,
    /// Answers in a row that brought nothing, although more was written.
    stalled: u32,
}

impl Pages {
    pub(super) fn new(pm: ProcessManager, run: Option<RunId>, follow: Follow) -> Self {
        let end = run.filter(|_| follow.live).map(|run| -> End { Box::pin(pm.ask(Wait { run })) });
        let mut pages = Self { pm, follow, end, answer: None, stalled: 0 };
        pages.send();
        pages
    }

    /// Asks for the next page. The question is on its way before anybody polls, so that the store reads the next page
    /// while the last one is being written to a socket.
    fn send(&mut self) {
        self.answer = self
            .follow
            .ask()
            .map(|(query, wait_ms)| -> Answer { Box::pin(self.pm.ask(Logs { query, wait_ms })) });
    }

    fn poll_end(&mut self, context: &mut Context<'_>) -> Result<()> {
        if let Some(end) = &mut self.end
            && let Poll::Ready(run) = end.as_mut().poll(context)
        {
            self.end = None;
            run??;
            if self.follow.run_over() {
                self.send();
            }
        }
        Ok(())
    }

    fn poll_page(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Page>>> {
        loop {
            if let Err(error) = self.poll_end(context) {
                return Poll::Ready(Some(Err(error)));
            }
            let Some(answer) = &mut self.answer else { return Poll::Ready(None) };
            let page = match ready!(answer.as_mut().poll(context)).and_then(|page| page.map_err(Error::from))
            {
                Ok(page) => page,
                Err(error) => return Poll::Ready(Some(Err(error))),
            };
            self.stalled = if page.behind && page.is_empty() { self.stalled + 1 } else { 0 };
            if self.stalled > MOST_STALLED {
                let why = "more was written than the store takes in; what it lacks is told by the status";
                return Poll::Ready(Some(Err(QueryError::Store(why.to_owned()).into())));
            }
            let page = self.follow.take(page);
            self.send();
            if !page.is_empty() {
                return Poll::Ready(Some(Ok(page)));
            }
        }
    }
}

impl Stream for Pages {
    type Item = Result<Page>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let page = ready!(self.poll_page(context));
        if matches!(page, Some(Err(_))) {
            self.follow.stop();
            self.answer = None;
            self.end = None;
        }
        Poll::Ready(page)
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("follow", &self.follow).finish_non_exhaustive()
    }
}

/// Output as a stream of records. An error is its last item.
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct LogStream {
    pages: Pages,
    records: VecDeque<Record>,
}

impl LogStream {
    pub(super) const fn new(pages: Pages) -> Self {
        Self { pages, records: VecDeque::new() }
    }

    /// The next record; nothing at the end. The same as `StreamExt::next`, for those who have no such trait at hand.
    ///
    /// # Errors
    /// A pattern that is none, a store that cannot be read, a run that is unknown, a supervisor that is gone. Then the
    /// stream has ended.
    pub async fn next_record(&mut self) -> Result<Option<Record>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await.transpose()
    }
}

impl Stream for LogStream {
    type Item = Result<Record>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(record) = self.records.pop_front() {
                return Poll::Ready(Some(Ok(record)));
            }
            match ready!(Pin::new(&mut self.pages).poll_next(context)) {
                Some(Ok(page)) => self.records = page.records.into(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}
