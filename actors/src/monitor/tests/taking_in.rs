//! From spool to store: nothing lost, nothing doubled, nothing secret, whatever dies in between.

use super::*;
use crate::{
    model::{Class, ClassifyRule, Matcher, StreamChoice},
    monitor::{Close, LastOutput, machine::Items, recount::stored_items},
};

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..length).map(step).collect()
}

#[actix::test]
async fn a_line_is_seen_as_soon_as_it_is_in_the_spool_and_without_a_wake() {
    let world = World::new();
    world.watch(attempt(1), &program()).await;
    assert!(world.all(attempt(1), 10).await.is_empty());
    world.write(attempt(1), Stream::Stdout, b"one\ntwo\n");
    let records = world.all(attempt(1), 10).await;
    assert_eq!(text(&records), ["one", "two"]);
    assert_eq!(records[1].seq, 2);
    assert!(records.iter().all(|r| r.newline && !r.partial && r.program == "scraper"));
}

#[actix::test]
async fn an_unfinished_line_is_shown_and_joined_when_it_is_complete() {
    let world = World::new();
    let id = attempt(1);
    world.watch(id, &program()).await;
    world.write(id, Stream::Stdout, b"one\nhalf");
    let page = world.query(query_of(id, 10)).await;
    assert_eq!(text(&page.records), ["one", "half"]);
    assert!(page.records[1].partial && !page.records[1].newline);
    world.write(id, Stream::Stdout, b" and whole\nnext\n");
    let mut on = query_of(id, 10);
    on.cursor = Some(page.records[1].cursor);
    assert_eq!(text(&world.forward(on).await), [" and whole", "next"]);
    assert_eq!(text(&world.all(id, 10).await), ["one", "half and whole", "next"]);
}

#[actix::test]
async fn binary_output_overlong_lines_and_a_missing_last_newline_come_back_unchanged() {
    let world = World::new();
    let id = attempt(1);
    world.watch(id, &program()).await;
    let mut out = noise(3 << 20, 7);
    out.extend_from_slice(&vec![b'x'; 1 << 20]);
    out.extend_from_slice(b"\nlast");
    let err = b"a\n\n\nb\r\n".repeat(2_000);
    world.write(id, Stream::Stdout, &out);
    world.write(id, Stream::Stderr, &err);
    let live = world.all(id, 5_000).await;
    assert_same(&bytes(&live, Stream::Stdout), &out);
    assert_same(&bytes(&live, Stream::Stderr), &err);
    world.close(id).await;
    assert!(!world.spool(id).stdout.exists() && !world.spool(id).stderr.exists());
    let stored = world.all(id, 5_000).await;
    assert_same(&bytes(&stored, Stream::Stdout), &out);
    assert_same(&bytes(&stored, Stream::Stderr), &err);
    let piece = stored.iter().find(|r| r.bytes.len() == 64 << 10).unwrap();
    assert!(piece.partial && !piece.newline);
    assert_same(&bytes(&world.backward(query_of(id, 700)).await, Stream::Stdout), &out);
}

#[actix::test]
async fn after_a_crash_every_byte_is_there_once() {
    let id = attempt(1);
    let mut expected = Vec::new();
    let mut world = World::new();
    for round in 0..3_u32 {
        world.watch(id, &program()).await;
        let lines: String =
            (0..20_000).map(|n| format!("round {round} line {n} with some words in it\n")).collect();
        let (now, later) = lines.split_at(lines.len() / 2 + 7);
        world.write(id, Stream::Stdout, now.as_bytes());
        world.all(id, 10_000).await;
        world.write(id, Stream::Stdout, later.as_bytes());
        expected.extend_from_slice(lines.as_bytes());
        // What is stored by now is some part of it.
        world.monitor.send(LastOutput { attempt: id }).await.unwrap();
        let dir = world.crash().await;
        world = World::in_dir(dir);
    }
    world.watch(id, &program()).await;
    let records = world.all(id, 3_000).await;
    assert_same(&bytes(&records, Stream::Stdout), &expected);
    let seqs: Vec<_> = records.iter().map(|r| r.seq).collect();
    assert_eq!(seqs, (1..=60_000).collect::<Vec<u64>>());
    world.close(id).await;
    assert_same(&bytes(&world.all(id, 3_000).await, Stream::Stdout), &expected);
}

#[actix::test]
async fn items_are_counted_in_both_streams_also_by_the_one_that_goes_on_after_a_crash() {
    let id = attempt(1);
    // With a capture the largest total counts, without one each line.
    for (expression, told) in [(r"scraped (\d+) items", 900), ("scraped", 6_006)] {
        let program = program().success_items(expression, told + 1);
        let mut world = World::new();
        let (mut stdout, mut stderr) = (0, 0);
        for round in 0..3_u64 {
            world.watch(id, &program).await;
            let lines: String =
                (0..2_000).map(|n| format!("round {round}: scraped {} items\n", n % 901)).collect();
            world.write(id, Stream::Stdout, lines.as_bytes());
            world.write(id, Stream::Stderr, b"and one more: scraped x items\nnothing\nscraped 3 items");
            world.write(id, Stream::Stderr, if round < 2 { b"\n" } else { b"" });
            (stdout, stderr) = (stdout + lines.len() as u64, stderr + 53 + u64::from(round < 2));
            world.all(id, 10_000).await;
            if round < 2 {
                assert!(world.monitor.send(Flush).await.unwrap());
                let dir = world.crash().await;
                world = World::in_dir(dir);
            }
        }
        let drained = world.drain(id, ExitStatus::Code(0), stdout, stderr).await;
        assert_eq!((drained.items, drained.complete), (Some(u64::from(told)), true), "{expression}");
        assert_eq!(drained.evidence.map(|evidence| evidence.class).as_deref(), Some("empty_result"));
    }
}

#[actix::test]
async fn a_drain_of_nothing_answers_with_the_class_by_exit() {
    let world = World::new();
    let id = attempt(1);
    world.watch(id, &program()).await;
    for (exit, class) in [
        (ExitStatus::Code(0), None),
        (ExitStatus::Code(1), Some(Class::EXIT_NONZERO)),
        (ExitStatus::Code(78), Some(Class::CONFIG)),
        (ExitStatus::Signal { number: libc::SIGSEGV, core: false }, Some(Class::CRASH)),
    ] {
        let drained = world.drain(id, exit, 0, 0).await;
        assert!(drained.complete);
        assert_eq!(drained.evidence.map(|e| e.class).as_deref(), class);
    }
}

#[actix::test]
async fn an_end_has_the_class_of_the_output_before_it() {
    let world = World::new();
    let id = attempt(1);
    let mut program = program();
    program.classify = vec![ClassifyRule {
        class: "rate_limited".into(),
        matcher: Matcher::Pattern {
            pattern: "slow down".into(),
            stream: StreamChoice::Any,
            retry_after: Some(r"retry-after:\s*(\d+)".into()),
        },
    }];
    world.watch(id, &program).await;
    let out = b"fine\nplease slow down, retry-after: 7";
    world.write(id, Stream::Stderr, out);
    let drained = world.drain(id, ExitStatus::Code(1), 0, out.len() as u64).await;
    let evidence = drained.evidence.unwrap();
    assert_eq!((evidence.class.as_str(), evidence.rule.as_str()), ("rate_limited", "classify[0]"));
    assert_eq!(
        (evidence.retry_after_ms, evidence.seq, evidence.stream),
        (Some(7_000), 2, Some(Stream::Stderr))
    );
    assert_eq!(evidence.line, "please slow down, retry-after: 7");
    assert!(drained.complete);
}

#[actix::test]
async fn errors_are_reported_once_for_each_piece_and_class() {
    let world = World::new();
    let id = attempt(1);
    world.watch(id, &program()).await;
    world.write(id, Stream::Stdout, b"HTTP 429\nok\nHTTP 429\nconnection refused\n");
    world.wakes.send(&2_u64.to_le_bytes()).unwrap();
    while world.heard.lock().unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    let heard = world.heard.lock().unwrap().clone();
    let seen: Vec<_> = heard
        .into_iter()
        .filter_map(|report| match report {
            Report::ErrorSeen { evidence, count, .. } => Some((evidence.class, evidence.seq, count)),
            Report::Ready { .. } | Report::FirstOutput { .. } => None,
        })
        .collect();
    assert_eq!(seen, [("rate_limited".to_owned(), 1, 2), ("network".to_owned(), 4, 1)]);
}

#[actix::test]
async fn a_wake_up_for_one_stream_reads_that_stream_alone() {
    let world = World::new();
    let id = attempt(1);
    world.watch(id, &program()).await;
    world.write(id, Stream::Stdout, b"HTTP 429\n");
    world.write(id, Stream::Stderr, b"HTTP 429\n");
    for (name, expected) in [(2_u64, &[Stream::Stdout][..]), (3, &[Stream::Stdout, Stream::Stderr])] {
        world.wakes.send(&name.to_le_bytes()).unwrap();
        while world.heard.lock().unwrap().len() < expected.len() {
            tokio::task::yield_now().await;
        }
        let heard = world.heard.lock().unwrap().clone();
        let streams: Vec<_> = heard
            .into_iter()
            .filter_map(|report| match report {
                Report::ErrorSeen { evidence, .. } => evidence.stream,
                Report::Ready { .. } | Report::FirstOutput { .. } => None,
            })
            .collect();
        assert_eq!(streams, expected, "after {name}");
    }
}

#[actix::test]
async fn secrets_are_neither_shown_nor_stored_wherever_they_stand() {
    let world = World::new();
    let id = attempt(1);
    let mut program = program();
    program.output.redact = vec![r"(?i)password=\S+".into()];
    program.output.max_line = 100;
    world.watch_with(id, &program, &["hunter22"]).await;
    let out = format!("key hunter22!\nPassword=abc def\n{}hunter22 tail\nopen hunt", "x".repeat(95));
    world.write(id, Stream::Stdout, out.as_bytes());
    let page = world.query(query_of(id, 10)).await;
    let shown = text(&page.records).concat();
    assert!(!shown.contains("hunt") && !shown.contains("abc"), "{shown}");
    world.close(id).await;
    let stored = text(&world.all(id, 10).await);
    assert_eq!(stored[..2], ["key ***!", "*** def"]);
    assert_eq!(stored[2..4].concat(), format!("{}*** tail", "x".repeat(95)));
}

#[actix::test]
async fn a_drain_of_output_that_is_not_there_is_incomplete_and_does_not_wait() {
    let world = World::new();
    let id = attempt(1);
    world.watch(id, &program()).await;
    let drained = world.drain(id, ExitStatus::Code(1), 100, 0).await;
    assert!(!drained.complete);
    assert_eq!(drained.evidence.unwrap().class, Class::EXIT_NONZERO);
    world.monitor.send(Close { attempt: id, sizes: SpoolSizes::default() }).await.unwrap();
    assert!(world.monitor.send(LastOutput { attempt: id }).await.unwrap().is_none());
}

#[test]
fn a_dropped_backlog_is_counted_line_by_line() {
    use crate::monitor::{
        feed::{Feed, Reading},
        intake::Intake,
        machine::{Redactor, Rules},
    };
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let output = Output::open(&store, Retention::default()).unwrap();
    let path = dir.path().join("out");
    let lines: String = (1..=10_000).map(|n| format!("line {n}\n")).collect();
    append(&path, lines.as_bytes());
    let mut feed = Feed::resume(attempt(1), Stream::Stdout, "p".into(), path, None, &output);
    let (rules, redactor, mut number) = (Rules::of(&program()), Redactor::default(), 0);
    let mut intake = Intake {
        items: None,
        early: None,
        rules: &rules,
        redactor: &redactor,
        max_line: 1_000,
        now: crate::clock::now(),
        number: &mut number,
    };
    feed.drop_backlog(20_000, &mut intake, &output);
    let mut block = Vec::new();
    while let (Reading::More | Reading::Some, length) = feed.read(u64::MAX, &mut block) {
        feed.take(&mut intake, false, &block[..length]);
    }
    assert!(feed.gaps > 8_000 && feed.lines > 500);
    assert_eq!(feed.lines + feed.gaps, 10_000);
    let chunks: Vec<_> = feed.chunks().collect();
    assert_eq!(chunks[0].head.gap, feed.gaps);
    assert_eq!(chunks[1].head.first_seq, feed.gaps + 1);
    assert!(chunks[1].bytes.starts_with(format!("line {}\n", feed.gaps + 1).as_bytes()));
}

#[test]
fn lines_that_are_too_old_leave_memory_and_spool_of_a_living_program() {
    use crate::monitor::{
        feed::Feed,
        intake::Intake,
        machine::{Redactor, Rules},
    };
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let output = Output::open(&store, Retention::default()).unwrap();
    let path = dir.path().join("out");
    append(&path, b"a private line\nunfinished");
    let mut feed = Feed::resume(attempt(1), Stream::Stdout, "p".into(), path.clone(), None, &output);
    let (rules, redactor, mut number) = (Rules::of(&program()), Redactor::default(), 0);
    let now = crate::clock::now();
    let mut intake = Intake {
        items: None,
        early: None,
        rules: &rules,
        redactor: &redactor,
        max_line: 1_000,
        now,
        number: &mut number,
    };
    let mut block = Vec::new();
    let (_, length) = feed.read(u64::MAX, &mut block);
    feed.take(&mut intake, false, &block[..length]);
    feed.seal();
    feed.send(&output, &Arc::default(), &|| {});
    let (done, wait) = std::sync::mpsc::channel();
    output.flush(move |stored| done.send(stored).unwrap());
    assert!(wait.recv().unwrap());
    assert_eq!(feed.expire(now.plus(1), &output), (0, Some(now)), "what is not known to be stored stays");
    feed.stored_to(15, usize::MAX, &output);
    assert_eq!(
        feed.expire(crate::model::Timestamp(now.0 - 1), &output),
        (0, Some(now)),
        "what is younger stays"
    );
    let (gone, left) = feed.expire(now, &output);
    assert!(gone > 0 && left.is_none() && feed.chunks().next().is_none());
    let until = crate::clock::now().plus(60_000);
    while std::fs::read(&path).unwrap() != b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0unfinished" {
        assert!(crate::clock::now() < until, "the spool is given back");
        std::thread::yield_now();
    }
}

#[actix::test]
async fn items_of_output_that_is_gone_are_not_taken_for_none() {
    let id = attempt(1);
    let program = program().success_items("scraped", 3);
    let items = Items::of(&program).unwrap();
    let world = World::new();
    world.watch(id, &program).await;
    world.write(id, Stream::Stdout, b"scraped a\nscraped b\n");
    world.all(id, 10).await;
    assert!(world.monitor.send(Flush).await.unwrap());
    let output = world.output.as_ref().unwrap();
    let found = |stream, to| stored_items(&items, (id, stream), to, output);
    assert_eq!(found(Stream::Stdout, 20), (2, true));
    assert_eq!(found(Stream::Stdout, 31), (2, false), "the last bytes are gone");
    assert_eq!(found(Stream::Stderr, 20), (0, false), "all is gone");
}
