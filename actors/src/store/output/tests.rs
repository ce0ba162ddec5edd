//! Segments and chunks of stored output, whole and damaged.

use super::*;
use crate::{
    model::{AttemptId, RunId, Stream},
    store::Store,
};
use std::{
    fs,
    path::Path,
    sync::{Arc, atomic::Ordering, mpsc::channel},
};
use tempfile::{TempDir, tempdir};

fn attempt() -> AttemptId {
    AttemptId { run: RunId::from_parts(1, 1), number: 1 }
}

/// Bytes that do not pack.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..length).map(step).collect()
}

pub(super) fn chunk(from: u64, bytes: &[u8]) -> Arc<Chunk> {
    let head = ChunkHead {
        attempt: attempt(),
        stream: Stream::Stdout,
        program: "p".into(),
        from,
        to: from + bytes.len() as u64,
        first_seq: from + 1,
        lines: u32::try_from(bytes.iter().filter(|b| **b == b'\n').count()).unwrap(),
        pieces: vec![Piece { number: from + 1, line: 0, at_ms: crate::clock::wall_ms() }],
        labels: vec![("rate_limited".into(), "builtin:http_429".into())],
        found: vec![Found { line: 0, label: 0 }],
        splits: Vec::new(),
        raw_lengths: Vec::new(),
        continues: false,
        gap: 0,
    };
    Arc::new(Chunk { head, bytes: bytes.to_vec() })
}

fn open(dir: &Path) -> Output {
    open_keeping(dir, Retention::default())
}

fn open_keeping(dir: &Path, retention: Retention) -> Output {
    Output::open(&Store::open(dir).unwrap(), retention).unwrap()
}

#[track_caller]
fn append(output: &Output, chunk: &Arc<Chunk>) {
    let (done, wait) = channel();
    assert!(output.append(chunk.clone(), move |result| done.send(result).unwrap()));
    wait.recv().unwrap().unwrap();
}

/// Everything that is stored, in order.
fn all(output: &Output) -> Vec<Chunk> {
    let wanted = Wanted::default();
    let mut chunks = Vec::new();
    for (segment, _, _) in output.segments(&wanted) {
        for found in output.chunks(segment, &wanted).unwrap() {
            chunks.extend(output.chunk(segment, &found).unwrap().map(Arc::unwrap_or_clone));
        }
    }
    chunks
}

/// A store with chunks of all sizes, and those chunks.
fn filled(dir: &TempDir, count: u64) -> (Output, Vec<Chunk>) {
    let output = open(dir.path());
    let (mut at, mut seq) = (0, 1);
    let mut written = Vec::new();
    for n in 0..count {
        let bytes =
            if n % 3 == 0 { noise(40_000, n + 1) } else { format!("line {n}\n").repeat(900).into_bytes() };
        let mut chunk = (*chunk(at, &bytes)).clone();
        chunk.head.first_seq = seq;
        (at, seq) = (chunk.head.to, seq + u64::from(chunk.head.lines));
        append(&output, &Arc::new(chunk.clone()));
        written.push(chunk);
    }
    (output, written)
}

#[test]
fn chunks_come_back_as_they_were_also_those_that_do_not_pack() {
    let dir = tempdir().unwrap();
    let (output, written) = filled(&dir, 12);
    assert_eq!(all(&output), written);
    drop(output);
    let output = open(dir.path());
    assert_eq!(all(&output), written);
    let position = output.position(attempt(), Stream::Stdout);
    let last = &written.last().unwrap().head;
    assert_eq!((position.to, position.next_seq), (last.to, last.first_seq + u64::from(last.lines)));
    assert_eq!(position.errors, 12);
    assert_eq!(output.last_number(), last.last_number());
}

#[test]
fn segments_are_sealed_found_again_and_deleted_oldest_first() {
    let dir = tempdir().unwrap();
    let output = open(dir.path());
    let mut at = 0;
    let mut written = Vec::new();
    for n in 0..1_500 {
        let chunk = chunk(at, &noise(47_000, n + 1));
        at = chunk.head.to;
        while !output.append(chunk.clone(), |result| result.unwrap()) {
            std::thread::yield_now();
        }
        written.push((*chunk).clone());
    }
    let (done, wait) = channel();
    output.flush(move |stored| done.send(stored).unwrap());
    assert!(wait.recv().unwrap());
    assert!(output.segments(&Wanted::default()).len() >= 4);
    let none = Wanted { program: Some("q"), ..Wanted::default() };
    assert!(output.segments(&none).is_empty());
    assert_eq!(all(&output), written);
    drop(output);
    let output = open(dir.path());
    assert_eq!(all(&output), written);
    output.set_retention(Retention::new(50 << 20, u64::MAX));
    let (done, wait) = channel();
    output.flush(move |stored| done.send(stored).unwrap());
    assert!(wait.recv().unwrap());
    append(&output, &chunk(at, b"more\n"));
    let left = all(&output);
    assert!(left.len() < written.len() && left.last().unwrap().bytes == b"more\n");
    assert!(segment::disk_bytes(&dir.path().join("output")) <= 50 << 20);
}

#[test]
fn a_damaged_segment_is_moved_aside_and_its_chunks_are_saved() {
    for at in [0, 3_000, 60_000] {
        let dir = tempdir().unwrap();
        let (output, written) = filled(&dir, 30);
        drop(output);
        let db = dir.path().join("output/00000001/db");
        let mut bytes = fs::read(&db).unwrap();
        bytes[at..at + 50].fill(0xa5);
        fs::write(&db, bytes).unwrap();
        let output = open(dir.path());
        let damage = output.damage().unwrap().to_owned();
        assert!(damage.contains("damaged-1"), "{damage}");
        let (told, saved): (Vec<_>, Vec<_>) = all(&output).into_iter().partition(|c| c.head.gap > 0);
        // Fifty bytes touch two values at most.
        assert!(saved.len() >= 28, "{} saved, {damage}", saved.len());
        assert!(saved.iter().all(|chunk| written.contains(chunk)));
        assert_complete(&written, &saved, &told);
        append(&output, &chunk(1 << 40, b"goes on\n"));
    }
}

/// What is not there is told of, byte for byte and line for line, up to the last chunk that was saved.
#[track_caller]
fn assert_complete(written: &[Chunk], saved: &[Chunk], told: &[Chunk]) {
    let last = saved.last().map_or(0, |chunk| chunk.head.to);
    let missing = || written.iter().filter(|chunk| chunk.head.to <= last && !saved.contains(chunk));
    let bytes: u64 = told.iter().map(|chunk| chunk.head.to - chunk.head.from).sum();
    assert_eq!(bytes, missing().map(|chunk| chunk.head.to - chunk.head.from).sum::<u64>());
    let lines: u64 = told.iter().map(|chunk| chunk.head.gap).sum();
    let holes: u64 = missing().map(|chunk| u64::from(chunk.head.lines)).sum();
    assert!(lines >= holes && lines <= holes + told.len() as u64, "{lines} told, {holes} lost");
}

#[test]
fn of_a_sealed_segment_that_is_damaged_what_can_be_read_is_and_the_rest_is_told() {
    let (dir, mut at, mut written) = (tempdir().unwrap(), 0, Vec::new());
    let output = open(dir.path());
    for n in 0..1_100 {
        let bytes = if n % 4 == 0 { noise(40_000, n + 1) } else { noise(11_000, n + 1) };
        let chunk = chunk(at, &bytes);
        at = chunk.head.to;
        append(&output, &chunk);
        written.push((*chunk).clone());
    }
    drop(output);
    let db = dir.path().join("output/00000001/db");
    assert!(dir.path().join("output/00000001/index").exists(), "it is sealed");
    let good = fs::read(&db).unwrap();
    for (first, step) in [(0, usize::MAX), (100_000, 500_000), (7, 100_003), (good.len() - 5_000, 1_000)] {
        let mut bytes = good.clone();
        (first..bytes.len()).step_by(step).for_each(|at| bytes[at] ^= 0x10);
        fs::write(&db, bytes).unwrap();
        let output = open(dir.path());
        let (told, saved): (Vec<_>, Vec<_>) = all(&output).into_iter().partition(|c| c.head.gap > 0);
        assert!(saved.iter().all(|chunk| written.contains(chunk)), "{first}/{step}");
        assert_complete(&written, &saved, &told);
        assert!(saved.len() >= 250, "{first}/{step}: {} saved", saved.len());
        drop(output);
        fs::write(&db, &good).unwrap();
    }
    assert_eq!(all(&open(dir.path())), written, "whole again, it is read as it was");
}

#[test]
fn lines_are_what_the_head_says() {
    let mut chunk = (*chunk(100, b"ab\ncdefgh\nij")).clone();
    chunk.head.splits = vec![6];
    chunk.head.raw_lengths = vec![(2, 9)];
    chunk.head.continues = true;
    let lines: Vec<_> =
        chunk.lines().map(|l| (l.bytes, l.newline, l.partial, l.raw_from, l.raw_to)).collect();
    assert_eq!(
        lines,
        [
            (&b"ab"[..], true, true, 100, 103),
            (b"cde", false, true, 103, 106),
            (b"fgh", true, true, 106, 115),
            (b"ij", false, false, 115, 117),
        ]
    );
}

/// Everything that was asked for is done.
fn flushed(output: &Output) {
    let (done, wait) = channel();
    output.flush(move |stored| done.send(stored).unwrap());
    assert!(wait.recv().unwrap());
}

fn chunk_of(from: u64, bytes: &[u8], at_ms: u64) -> Arc<Chunk> {
    let mut chunk = (*chunk(from, bytes)).clone();
    chunk.head.pieces[0].at_ms = at_ms;
    Arc::new(chunk)
}

/// Waits for what the writer's thread does by itself.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = crate::clock::now().plus(60_000);
    while !holds() {
        assert!(crate::clock::now() < until, "{what} did not come to be");
        crate::clock::pause(std::time::Duration::from_millis(20));
    }
}

#[test]
fn the_limit_of_bytes_holds_at_every_moment() {
    const LIMIT: u64 = 16 << 20;
    let (dir, mut at) = (tempdir().unwrap(), 0);
    let retention = Retention::new(LIMIT, u64::MAX);
    let output = open_keeping(dir.path(), retention);
    let root = dir.path().join("output");
    let mut most = 0;
    for n in 0..900 {
        let chunk = chunk(at, &noise(47_000, n + 1));
        at = chunk.head.to;
        append(&output, &chunk);
        let used = segment::disk_bytes(&root);
        assert!(used <= LIMIT, "after {n} chunks: {used}");
        most = most.max(used);
    }
    assert!(most > LIMIT / 2, "the room is used, too: {most}");
    drop(output);
    let output = open_keeping(dir.path(), retention);
    let used = segment::disk_bytes(&root);
    assert!(used <= LIMIT, "opened: {used}");
    // A reader opens what was sealed, and sled may write then.
    let left = all(&output);
    assert!(left.len() > 30 && left.last().unwrap().head.to == at);
    until("room for what sled wrote", || segment::disk_bytes(&root) <= LIMIT);
}

#[test]
fn output_that_is_too_old_goes_by_itself_when_nobody_writes() {
    let dir = tempdir().unwrap();
    let output = open_keeping(dir.path(), Retention::new(2 << 30, 100));
    append(&output, &chunk(0, b"a line of a quiet program\n"));
    until("the end of an old line", || output.segments(&Wanted::default()).is_empty());
    let folders = || fs::read_dir(dir.path().join("output")).unwrap().flatten().filter(|e| e.path().is_dir());
    until("its folder's end", || folders().count() == 1);
}

#[test]
fn output_that_became_too_old_while_nobody_ran_goes_at_the_next_start() {
    let dir = tempdir().unwrap();
    let output = open(dir.path());
    let now = crate::clock::wall_ms();
    append(&output, &chunk_of(0, b"old\n", now - 3_600_000));
    drop(output);
    let output = open_keeping(dir.path(), Retention::new(2 << 30, 600_000));
    flushed(&output);
    assert!(output.segments(&Wanted::default()).is_empty());
    append(&output, &chunk_of(4, b"new\n", now));
    assert_eq!(all(&output).len(), 1);
}

#[test]
fn a_stream_goes_on_where_it_was_though_its_output_was_deleted() {
    let dir = tempdir().unwrap();
    let store = || Store::open(dir.path()).unwrap();
    let spool = dir.path().join("spool");
    let name = crate::model::Spool::file_name(attempt(), Stream::Stdout);
    fs::create_dir(&spool).unwrap();
    fs::write(spool.join(&name), "not given back yet").unwrap();
    let output = Output::open(&store(), Retention::default()).unwrap();
    let before = chunk_of(0, b"one\ntwo\n", 1_000);
    append(&output, &before);
    let place = output.position(attempt(), Stream::Stdout);
    assert_eq!((place.to, place.lines), (8, 2));
    drop(output);
    for _ in 0..2 {
        let output = Output::open(&store(), Retention::new(2 << 30, 60_000)).unwrap();
        flushed(&output);
        assert!(output.segments(&Wanted::default()).is_empty());
        assert_eq!(output.position(attempt(), Stream::Stdout), place);
    }
    // Once the spool is gone nobody asks again, and nothing is kept.
    fs::remove_file(spool.join(name)).unwrap();
    let output = Output::open(&store(), Retention::default()).unwrap();
    append(&output, &chunk_of(8, b"three\n", 2_000));
    output.set_retention(Retention::new(2 << 30, 60_000));
    until("the deletion", || output.position(attempt(), Stream::Stdout) == Position::default());
}

/// Nothing of what was written is missing, and nothing was set aside.
#[track_caller]
fn assert_whole(dir: &TempDir, written: &[Chunk], what: &str) -> Output {
    let output = open(dir.path());
    assert_eq!(all(&output), written, "{what}");
    assert!(!dir.path().join("damaged-1").exists(), "{what}");
    output
}

#[test]
fn one_wrong_bit_in_a_side_file_loses_nothing() {
    let dir = tempdir().unwrap();
    let (output, written) = filled(&dir, 12);
    drop(output);
    let segment = dir.path().join("output/00000001");
    for name in ["mark", "conf"] {
        let good = fs::read(segment.join(name)).unwrap();
        for place in (0..good.len()).step_by(if name == "mark" { 1 } else { 5 }) {
            let mut bad = good.clone();
            bad[place] ^= 0x10;
            fs::write(segment.join(name), bad).unwrap();
            let output = assert_whole(&dir, &written, &format!("{name}, byte {place}"));
            let said = output.shared.store.take_notices();
            let harmless =
                |n: &crate::store::Notice| matches!(n, crate::store::Notice::Damaged { lost: false, .. });
            assert!(said.iter().all(harmless), "{name}, byte {place}: {said:?}");
            // sled does not look at each byte of its file.
            assert!(said.len() == 1 || name == "conf", "{name}, byte {place}: {said:?}");
        }
        assert!(assert_whole(&dir, &written, name).damage().is_none(), "made anew");
        fs::remove_file(segment.join(name)).unwrap();
        assert_whole(&dir, &written, name);
    }
    // By the word of an earlier version there should be more; the raw bytes have no more.
    fs::write(segment.join("mark"), 5_000_u64.to_be_bytes()).unwrap();
    assert_whole(&dir, &written, "a mark without a checksum");
}

#[test]
fn one_wrong_bit_beside_a_sealed_segment_loses_nothing() {
    let dir = tempdir().unwrap();
    let (output, written) = filled(&dir, 12);
    let number = output.shared.catalog().number;
    writer::seal(&output.shared, number);
    drop(output);
    let segment = dir.path().join("output/00000001");
    for name in ["conf", "index", "mark"] {
        let good = fs::read(segment.join(name)).unwrap();
        for place in (0..good.len()).step_by(good.len() / 6 + 1) {
            let mut bad = good.clone();
            bad[place] ^= 0x10;
            fs::write(segment.join(name), bad).unwrap();
            assert_whole(&dir, &written, &format!("{name}, byte {place}"));
        }
    }
}

#[test]
fn a_flush_says_when_the_disk_refused_some_of_it() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let output = Output::open(&store, Retention::default()).unwrap();
    let flush = || {
        let (tell, told) = channel();
        output.flush(move |stored| tell.send(stored).unwrap());
        told.recv().unwrap()
    };
    assert!(flush());
    output.shared.refusing.store(true, Ordering::SeqCst); // As after a chunk that was refused.
    assert!(!flush());
    output.resume();
    assert!(flush());
}
