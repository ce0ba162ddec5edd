//! Segments and chunks of stored output, whole and damaged.

use super::*;
use crate::{
    model::{AttemptId, RunId, Stream},
    store::Store,
};
use std::{fs, path::Path, sync::Arc, sync::mpsc::channel};
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

fn chunk(from: u64, bytes: &[u8]) -> Arc<Chunk> {
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
    Output::open(&Store::open(dir).unwrap()).unwrap()
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
            chunks.extend(output.chunk(segment, found.key).unwrap());
        }
    }
    chunks
}

/// A store with chunks of all sizes, and those chunks.
fn filled(dir: &TempDir, count: u64) -> (Output, Vec<Chunk>) {
    let output = open(dir.path());
    let mut at = 0;
    let mut written = Vec::new();
    for n in 0..count {
        let bytes =
            if n % 3 == 0 { noise(40_000, n + 1) } else { format!("line {n}\n").repeat(900).into_bytes() };
        let chunk = chunk(at, &bytes);
        at = chunk.head.to;
        append(&output, &chunk);
        written.push((*chunk).clone());
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
    output.flush(move || done.send(()).unwrap());
    wait.recv().unwrap();
    assert!(output.segments(&Wanted::default()).len() >= 4);
    let none = Wanted { program: Some("q"), ..Wanted::default() };
    assert!(output.segments(&none).is_empty());
    assert_eq!(all(&output), written);
    drop(output);
    let output = open(dir.path());
    assert_eq!(all(&output), written);
    output.set_retention(Retention::new(50 << 20, u64::MAX));
    let (done, wait) = channel();
    output.flush(move || done.send(()).unwrap());
    wait.recv().unwrap();
    // The answer to a flush may come before the deletion that was asked for in the same breath.
    append(&output, &chunk(at, b"more\n"));
    let left = all(&output);
    assert!(left.len() < written.len() && left.last().unwrap().bytes == b"more\n");
    assert!(segment::disk_bytes(&dir.path().join("output")) < 70 << 20);
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
        let saved = all(&output);
        // Chunks in one value are found by their magic; of thirty, twenty are such.
        assert!(saved.len() >= 17, "{} saved, {damage}", saved.len());
        assert!(saved.iter().all(|chunk| written.contains(chunk)));
        append(&output, &chunk(1 << 40, b"goes on\n"));
    }
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
