//! The rules of reading on, table by table.

use super::follow::{Follow, PAGE};
use actix_process_actors::model::{
    AttemptId, Cursor, Direction, LogFilter, Page, Record, RunId, Stream, Timestamp,
};

fn cursor(line: u32) -> Cursor {
    let attempt = AttemptId { run: RunId::from_parts(1, 1), number: 1 };
    Cursor { block: 0, line, attempt, stream: Stream::Stdout, offset: u64::from(line), seq: 0 }
}

fn record(line: u32) -> Record {
    Record {
        cursor: cursor(line),
        seq: line.into(),
        at: Timestamp(0),
        program: "p".into(),
        attempt: cursor(line).attempt,
        stream: Stream::Stdout,
        level: None,
        class: None,
        bytes: b"x".to_vec(),
        newline: true,
        partial: false,
        gap: 0,
    }
}

fn page(lines: std::ops::RangeInclusive<u32>, next: Option<u32>, more: bool) -> Page {
    Page { records: lines.map(record).collect(), next: next.map(cursor), more, ..Page::default() }
}

#[expect(clippy::reversed_empty_ranges, reason = "that is how a page without records is written")]
fn empty(next: Option<u32>, more: bool) -> Page {
    page(1..=0, next, more)
}

fn follow(last: Option<usize>, live: bool, limit: Option<u64>) -> Follow {
    Follow::new(LogFilter::default(), None, last, live, limit)
}

#[track_caller]
fn asks(follow: &Follow, direction: Direction, from: Option<u32>, waits: bool) {
    let (query, wait_ms) = follow.ask().expect("a question");
    assert_eq!((query.direction, query.cursor, wait_ms > 0), (direction, from.map(cursor), waits));
}

fn lines(page: &Page) -> Vec<u64> {
    page.records.iter().map(|record| record.seq).collect()
}

#[test]
fn reading_ends_where_nothing_more_is_written() {
    let mut read = follow(None, false, None);
    asks(&read, Direction::Forward, None, false);
    assert_eq!(lines(&read.take(page(1..=2, Some(2), true))), [1, 2]);
    asks(&read, Direction::Forward, Some(2), false);
    assert_eq!(lines(&read.take(page(3..=3, Some(3), false))), [3]);
    assert!(read.ask().is_none());
}

#[test]
fn following_waits_at_the_end_and_ends_with_the_run_after_one_more_look() {
    let mut live = follow(None, true, None);
    assert!(live.take(empty(None, false)).is_empty());
    asks(&live, Direction::Forward, None, true);
    live.take(page(1..=1, Some(1), false));
    assert!(live.run_over(), "a question that waits is asked anew");
    assert!(!live.run_over());
    asks(&live, Direction::Forward, Some(1), false);
    assert_eq!(lines(&live.take(page(2..=2, Some(2), true))), [2]);
    live.take(empty(Some(2), false));
    assert!(live.ask().is_none());
}

#[test]
fn a_page_without_a_place_does_not_lose_the_place() {
    let mut live = follow(None, true, None);
    live.take(page(1..=1, Some(1), false));
    live.take(empty(None, false));
    asks(&live, Direction::Forward, Some(1), true);
}

#[test]
fn the_last_records_come_in_one_page_and_then_what_follows() {
    let mut live = follow(Some(2), true, None);
    asks(&live, Direction::Back, None, false);
    assert_eq!(live.ask().map(|(query, _)| query.limit), Some(2));
    assert_eq!(lines(&live.take(page(8..=9, Some(7), true))), [8, 9]);
    asks(&live, Direction::Forward, Some(9), true);
}

#[test]
fn more_last_records_than_a_page_are_counted_backwards_and_read_forwards() {
    let mut read = follow(Some(PAGE + 1), false, None);
    assert_eq!(read.ask().map(|(query, _)| query.limit), Some(PAGE));
    let pages = u32::try_from(PAGE).unwrap();
    assert!(read.take(page(11..=pages + 10, Some(10), true)).is_empty());
    asks(&read, Direction::Back, Some(10), false);
    assert_eq!(read.ask().map(|(query, _)| query.limit), Some(1));
    assert!(read.take(page(10..=10, Some(9), true)).is_empty());
    asks(&read, Direction::Forward, Some(9), false);
}

#[test]
fn fewer_records_than_asked_for_are_all_there_are() {
    let mut read = follow(Some(100), false, None);
    assert_eq!(lines(&read.take(page(1..=3, None, false))), [1, 2, 3]);
    asks(&read, Direction::Forward, Some(3), false);
    assert!(read.take(empty(Some(3), false)).is_empty());
    assert!(read.ask().is_none());
}

#[test]
fn a_limit_cuts_the_last_page() {
    let mut read = follow(None, true, Some(3));
    assert_eq!(lines(&read.take(page(1..=2, Some(2), true))), [1, 2]);
    assert_eq!(read.ask().map(|(query, _)| query.limit), Some(1));
    assert_eq!(lines(&read.take(page(3..=4, Some(4), true))), [3]);
    assert!(read.ask().is_none());
}
