//! Reading pages back: forwards, backwards, filtered, and following.

use super::*;
use crate::model::{Cursor, Level};
use std::time::Duration;

/// Two attempts of one program that write in turns, the first one over.
async fn history(world: &World) -> (AttemptId, AttemptId) {
    let (a, b) = (attempt(1), attempt(2));
    world.watch(a, &program()).await;
    world.watch(b, &program()).await;
    for round in 0..40 {
        for (id, stream) in [(a, Stream::Stdout), (b, Stream::Stdout), (a, Stream::Stderr)] {
            let lines: String = (0..50).map(|n| format!("{id} {stream:?} {}\n", round * 50 + n)).collect();
            world.write(id, stream, lines.as_bytes());
            world.query(query_of(id, 1)).await;
        }
        if round == 20 {
            assert!(world.monitor.send(Flush).await.unwrap());
        }
    }
    world.close(a).await;
    (a, b)
}

#[track_caller]
fn assert_records(found: &[Record], expected: &[Record]) {
    for (n, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found, expected, "record {n}");
    }
    assert_eq!(found.len(), expected.len());
}

fn everything(limit: usize) -> LogQuery {
    let mut query = LogQuery { limit, ..LogQuery::default() };
    query.filter.program = Some("scraper".into());
    query
}

#[actix::test]
async fn pages_of_any_size_add_up_to_the_whole_in_both_directions() {
    let world = World::new();
    history(&world).await;
    let whole = world.forward(everything(1_000_000)).await;
    assert_eq!(whole.len(), 6_000);
    assert!(whole.windows(2).all(|pair| pair[0].cursor < pair[1].cursor));
    for limit in [7, 100, 333] {
        assert_records(&world.forward(everything(limit)).await, &whole);
        assert_records(&world.backward(everything(limit)).await, &whole);
    }
}

#[actix::test]
async fn reading_on_from_any_record_neither_repeats_nor_skips() {
    let world = World::new();
    let (a, _) = history(&world).await;
    for mut query in [everything(50), query_of(a, 50)] {
        let whole = world.forward(query.clone()).await;
        for at in [0, 1, 49, 50, 51, whole.len() / 2, whole.len() - 1] {
            let cursor: Cursor = whole[at].cursor.to_string().parse().unwrap();
            query.cursor = Some(cursor);
            query.direction = Direction::Forward;
            let page = world.query(query.clone()).await;
            assert_records(&page.records, &whole[at + 1..(at + 51).min(whole.len())]);
            assert!(page.next.is_some());
            query.direction = Direction::Back;
            let page = world.query(query.clone()).await;
            assert_records(&page.records, &whole[(at + 1).saturating_sub(50)..=at]);
        }
    }
}

#[actix::test]
async fn a_cursor_from_before_a_crash_reads_on_where_it_was() {
    let world = World::new();
    let id = attempt(1);
    world.watch(id, &program()).await;
    let lines: String = (0..3_000).map(|n| format!("line {n}\n")).collect();
    world.write(id, Stream::Stdout, lines.as_bytes());
    let whole = world.all(id, 10_000).await;
    let world = World::in_dir(world.crash().await);
    world.watch(id, &program()).await;
    for at in [0, 10, 1_500, 2_998] {
        let mut query = query_of(id, 10_000);
        query.cursor = Some(whole[at].cursor);
        let on = text(&world.forward(query.clone()).await);
        assert_eq!(on, text(&whole[at + 1..]), "after {at}");
        query.direction = Direction::Back;
        assert_eq!(text(&world.query(query).await.records), text(&whole[..=at]), "before {at}");
    }
}

#[actix::test]
async fn filters_narrow() {
    let world = World::new();
    let id = attempt(1);
    world.watch(id, &program()).await;
    world.write(id, Stream::Stdout, b"INFO fine\nERROR HTTP 429\nplain\n");
    world.write(id, Stream::Stderr, b"WARN careful\n");
    for stored in [false, true] {
        if stored {
            world.close(id).await;
        }
        let ask = async |change: &dyn Fn(&mut LogQuery)| {
            let mut query = query_of(id, 10);
            change(&mut query);
            text(&world.query(query).await.records)
        };
        assert_eq!(ask(&|q| q.filter.level = Some(Level::Warn)).await, ["ERROR HTTP 429", "WARN careful"]);
        assert_eq!(ask(&|q| q.filter.class = Some("rate_limited".into())).await, ["ERROR HTTP 429"]);
        assert_eq!(ask(&|q| q.filter.grep = Some("^p.*n$".into())).await, ["plain"]);
        assert_eq!(ask(&|q| q.filter.stream = Some(Stream::Stderr)).await, ["WARN careful"]);
        assert_eq!(ask(&|q| q.filter.attempt = Some(2)).await, [""; 0]);
        assert_eq!(ask(&|q| q.filter.since = Some(crate::model::Timestamp::NEVER)).await, [""; 0]);
        assert_eq!(ask(&|q| q.filter.until = Some(crate::model::Timestamp(5))).await, [""; 0]);
        assert_eq!(ask(&|q| q.limit = 1).await, ["WARN careful"]);
    }
    let mut query = query_of(id, 10);
    query.filter.grep = Some("(".into());
    let answer = world.monitor.send(Query { query, wait_ms: 0 }).await.unwrap();
    assert!(matches!(answer, Err(QueryError::Pattern(_))));
}

#[actix::test]
async fn a_follower_waits_for_the_next_line_and_for_no_longer_than_it_said() {
    let world = World::new();
    let id = attempt(1);
    world.watch(id, &program()).await;
    world.write(id, Stream::Stdout, b"one\n");
    let mut query = query_of(id, 10);
    query.direction = Direction::Forward;
    let first = world.query(query.clone()).await;
    query.cursor = first.next;
    let waiting = world.monitor.send(Query { query: query.clone(), wait_ms: 60_000 });
    let waiting = actix::spawn(waiting);
    tokio::task::yield_now().await;
    world.write(id, Stream::Stdout, b"two\n");
    world.wakes.send(&u64::MAX.to_le_bytes()).unwrap();
    let page =
        tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap().unwrap().unwrap();
    assert_eq!(text(&page.records), ["two"]);
    query.cursor = page.next;
    let page = world.monitor.send(Query { query, wait_ms: 20 }).await.unwrap().unwrap();
    assert!(page.records.is_empty() && page.next.is_some());
}

/// Asks on and on for bytes, as somebody does who has a page's places.
struct Bytes {
    query: LogQuery,
    out: Vec<u8>,
}

impl Bytes {
    fn of(attempt: AttemptId, stream: Option<Stream>, limit: usize) -> Self {
        let mut query = query_of(attempt, limit);
        (query.direction, query.bytes, query.filter.stream) = (Direction::Forward, true, stream);
        Self { query, out: Vec::new() }
    }

    async fn read(&mut self, world: &World) {
        loop {
            let page = world.query(self.query.clone()).await;
            assert!(page.records.is_empty());
            (self.query.cursor, self.query.also) = (page.next.or(self.query.cursor), page.also);
            if page.bytes.is_empty() {
                return;
            }
            self.out.extend(page.bytes);
        }
    }
}

#[actix::test]
async fn pages_of_bytes_are_what_was_written_with_its_unfinished_lines() {
    for seed in 1..=12 {
        read_bytes_of(seed).await;
    }
}

async fn read_bytes_of(seed: usize) {
    let world = World::new();
    let id = attempt(1);
    let mut program = program();
    program.output.redact = vec![r"(?i)token=\S+".into()];
    program.output.max_line = 64;
    world.watch(id, &program).await;
    let mut readers: Vec<_> = [(None, 0), (None, 1), (Some(Stream::Stdout), 0), (Some(Stream::Stderr), 3)]
        .map(|(stream, limit)| Bytes::of(id, stream, limit))
        .into();
    // Standard error has the same in capitals, so that what belongs to which is seen.
    let words = [
        "one ",
        "two\n",
        "token=",
        "abc",
        "def ",
        "x\n",
        "tok",
        "ing \n\n",
        "\r50%",
        "\r100%\n",
        "-----------------------",
    ];
    let mut state = seed;
    let (mut out, mut err) = (String::new(), String::new());
    for _ in 0..seed * 12 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = words[(state >> 33) % words.len()];
        if (state >> 40).is_multiple_of(3) {
            world.write(id, Stream::Stderr, word.to_uppercase().as_bytes());
            err.push_str(word);
        } else {
            world.write(id, Stream::Stdout, word.as_bytes());
            out.push_str(word);
        }
        for (n, reader) in readers.iter_mut().enumerate() {
            if (state >> (45 + n)) & 1 == 0 {
                reader.read(&world).await;
            }
        }
        if (state >> 50).is_multiple_of(40) {
            assert!(world.monitor.send(Flush).await.unwrap());
        }
    }
    world.close(id).await;
    let hidden = |text: &str| regex::Regex::new(r"token=\S+").unwrap().replace_all(text, "***").into_owned();
    let (out, err) = (hidden(&out), hidden(&err).to_uppercase());
    let letters = |text: &[u8], low: bool| -> String {
        let of = |c: &char| if low { c.is_ascii_lowercase() } else { c.is_ascii_uppercase() };
        String::from_utf8_lossy(text).chars().filter(of).collect()
    };
    for (n, reader) in readers.iter_mut().enumerate() {
        reader.read(&world).await;
        let read = String::from_utf8_lossy(&reader.out).into_owned();
        match n {
            0 | 1 => {
                assert_eq!(letters(&reader.out, true), letters(out.as_bytes(), true));
                assert_eq!(letters(&reader.out, false), letters(err.as_bytes(), false));
                assert_eq!(read.len(), out.len() + err.len());
            }
            2 => assert_eq!(read, out),
            _ => assert_eq!(read, err),
        }
    }
}

#[actix::test]
async fn who_waits_for_bytes_gets_a_line_that_is_not_finished() {
    let world = World::new();
    let id = attempt(1);
    world.watch(id, &program()).await;
    world.write(id, Stream::Stdout, b"price \xe2\x82");
    let mut query = query_of(id, 0);
    (query.direction, query.bytes) = (Direction::Forward, true);
    let page = world.monitor.send(Query { query: query.clone(), wait_ms: 600_000 }).await.unwrap().unwrap();
    assert_eq!(page.bytes, b"price ");
    (query.cursor, query.also) = (page.next, page.also);
    let waits = world.monitor.send(Query { query, wait_ms: 600_000 });
    world.write(id, Stream::Stdout, b"\xac end\n");
    world.wakes.send(&2_u64.to_le_bytes()).unwrap();
    assert_eq!(waits.await.unwrap().unwrap().bytes, "€ end\n".as_bytes());
}

#[actix::test]
async fn the_place_behind_a_page_of_whole_chunks_is_a_line() {
    let world = World::new();
    let id = attempt(1);
    world.watch(id, &program()).await;
    let lines: String = (1..=500_000).fold(String::new(), |all, n| all + &format!("line {n}\n"));
    world.write(id, Stream::Stdout, lines.as_bytes());
    let mut reader = Bytes::of(id, None, 0);
    let page = world.query(reader.query.clone()).await;
    let given = page.bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    assert!(given < 500_000 && page.lines == given, "a page is not all of it");
    let mut query = query_of(id, 1);
    (query.direction, query.cursor) = (Direction::Forward, page.next);
    let next = world.query(query).await;
    assert_eq!((next.records[0].seq, text(&next.records)), (given + 1, vec![format!("line {}", given + 1)]));
    reader.read(&world).await;
    assert!(reader.out == lines.as_bytes(), "all pages together are what was written");
}
