//! A reader that retention overtakes.

use super::*;
use crate::{
    clock,
    model::Cursor,
    monitor::query::{Search, page},
    store::{Chunk, ChunkHead, Output, Piece, Retention, Store},
};
use std::sync::mpsc::channel;

const LINES: u64 = 300;

/// Lines of both streams in turn, which hardly pack.
fn chunk(n: u64) -> Chunk {
    let (stream, turn) = if n.is_multiple_of(2) { (Stream::Stdout, n / 2) } else { (Stream::Stderr, n / 2) };
    let mut state = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = Vec::new();
    for _ in 0..LINES {
        for _ in 0..160 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.push(b'0' + (state >> 40) as u8 % 64);
        }
        bytes.push(b'\n');
    }
    let from = turn * bytes.len() as u64;
    let head = ChunkHead {
        attempt: attempt(1),
        stream,
        program: "p".into(),
        from,
        to: from + bytes.len() as u64,
        first_seq: turn * LINES + 1,
        lines: LINES as u32,
        pieces: vec![Piece { number: n + 1, line: 0, at_ms: clock::wall_ms() }],
        labels: Vec::new(),
        found: Vec::new(),
        splits: Vec::new(),
        raw_lengths: Vec::new(),
        continues: false,
        gap: 0,
    };
    Chunk { head, bytes }
}

fn read(output: &Output, cursor: Option<Cursor>) -> Page {
    let query = LogQuery { direction: Direction::Forward, cursor, limit: 1_000, ..LogQuery::default() };
    let search = Search {
        query,
        grep: None,
        memory: Vec::new(),
        unfinished: Vec::new(),
        floors: Default::default(),
        newest: 0,
        now: clock::now(),
    };
    page(&search, Some(output), 0).unwrap().unwrap()
}

#[test]
fn a_reader_whom_retention_overtakes_is_told_how_many_lines_it_missed() {
    const CHUNKS: u64 = 700;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let output = Output::open(&store, Retention::new(8 << 20, u64::MAX)).unwrap();
    let (mut cursor, mut lines, mut missed, mut gaps) = (None, 0, 0, 0);
    let mut read_on = |output: &Output| {
        let page = read(output, cursor);
        for record in &page.records {
            let told = String::from_utf8_lossy(&record.bytes).into_owned();
            assert_eq!(record.cursor.to_string().parse::<Cursor>().unwrap(), record.cursor);
            if record.gap > 0 {
                let says = format!("[{} lines were deleted before this reader came to them", record.gap);
                assert!(told.starts_with(&says), "{told}");
                (missed, gaps) = (missed + record.gap, gaps + 1);
            } else {
                lines += 1;
            }
        }
        cursor = page.next;
        (lines, missed, gaps, page.more)
    };
    for n in 0..CHUNKS {
        let (done, wait) = channel();
        assert!(output.append(Arc::new(chunk(n)), move |result| done.send(result).unwrap()));
        wait.recv().unwrap().unwrap();
        // A third of what is written.
        if n % 10 == 9 {
            read_on(&output);
        }
    }
    let (lines, missed, gaps) = loop {
        let (lines, missed, gaps, more) = read_on(&output);
        if !more {
            break (lines, missed, gaps);
        }
    };
    assert!(gaps > 1 && missed > LINES, "it was overtaken: {gaps}");
    assert_eq!(lines + missed, CHUNKS * LINES, "every line was read or counted");
}

#[test]
fn who_begins_at_the_oldest_line_that_is_kept_misses_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let output = Output::open(&store, Retention::new(8 << 20, u64::MAX)).unwrap();
    for n in 0..300 {
        let (done, wait) = channel();
        assert!(output.append(Arc::new(chunk(n)), move |result| done.send(result).unwrap()));
        wait.recv().unwrap().unwrap();
    }
    assert!(output.gone_to() > 0);
    let mut page = read(&output, None);
    assert!(page.records.first().is_some_and(|record| record.seq > LINES));
    while page.more {
        assert!(page.records.iter().all(|record| record.gap == 0));
        page = read(&output, page.next);
    }
}
