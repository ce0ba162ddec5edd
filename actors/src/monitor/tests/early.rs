//! What is told once of an attempt before its end, and only where somebody asked.

use super::*;
use crate::model::{Ready, StreamChoice};
use std::time::{Duration, SystemTime};

impl World {
    async fn watch_for_first_output(&self, attempt: AttemptId, program: &Program) {
        let (program, spool) = (Arc::new(program.clone()), self.spool(attempt));
        let watch = Watch { attempt, program, spool, secrets: Vec::new(), first_output: true, judged: false };
        self.monitor.send(watch).await.unwrap();
    }

    /// Takes in what is written; all that was told until now.
    async fn told(&self, attempt: AttemptId) -> Vec<&'static str> {
        let _ = self.all(attempt, 1_000).await;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        let heard = self.heard.lock().unwrap();
        let told = heard.iter().map(|report| match report {
            Report::Ready { .. } => "ready",
            Report::FirstOutput { .. } => "first output",
            Report::ErrorSeen { .. } => "error",
        });
        told.collect()
    }
}

fn server() -> Program {
    program().ready(Ready::pattern("listening on"))
}

#[actix::test]
async fn the_first_line_that_says_it_makes_an_attempt_ready_once() {
    let world = World::new();
    let id = attempt(1);
    world.watch(id, &server()).await;
    world.write(id, Stream::Stderr, b"starting\nlistening ");
    assert!(world.told(id).await.is_empty(), "half a line says nothing yet");
    world.write(id, Stream::Stderr, b"on 8080\n");
    assert_eq!(world.told(id).await, ["ready"]);
    world.write(id, Stream::Stdout, b"listening on 8081\nHTTP 429\n");
    assert_eq!(world.told(id).await, ["ready", "error"]);
}

#[actix::test]
async fn a_rule_for_one_stream_does_not_hear_the_other() {
    let world = World::new();
    let id = attempt(1);
    let rule = Ready::pattern("listening on").stream(StreamChoice::Stdout);
    world.watch(id, &program().ready(rule)).await;
    world.write(id, Stream::Stderr, b"listening on 1\n");
    assert!(world.told(id).await.is_empty());
    world.write(id, Stream::Stdout, b"listening on 2\n");
    assert_eq!(world.told(id).await, ["ready"]);
}

#[actix::test]
async fn first_output_is_told_where_somebody_wants_to_hear_of_it() {
    let world = World::new();
    let (asked, plain) = (attempt(1), attempt(2));
    world.watch_for_first_output(asked, &server()).await;
    world.watch(plain, &program()).await;
    assert!(world.told(asked).await.is_empty());
    for id in [plain, asked, asked] {
        world.write(id, Stream::Stdout, b"x");
        let _ = world.told(id).await;
    }
    assert_eq!(world.told(asked).await, ["first output"]);
    world.write(asked, Stream::Stdout, b"\nlistening on\n");
    world.write(plain, Stream::Stdout, b"\nlistening on\n");
    let _ = world.told(plain).await;
    assert_eq!(world.told(asked).await, ["first output", "ready"], "the other has no such rule");
}

/// What is hidden from readers is hidden from rules.
#[actix::test]
async fn a_rule_sees_what_is_stored() {
    let world = World::new();
    let id = attempt(1);
    world.watch_with(id, &server(), &["listening"]).await;
    world.write(id, Stream::Stdout, b"listening on 1\n");
    assert!(world.told(id).await.is_empty());
}

#[actix::test]
async fn a_line_that_is_read_late_was_written_when_its_spool_was() {
    let world = World::new();
    let id = attempt(1);
    world.write(id, Stream::Stdout, b"listening on 8080\n");
    let file = OpenOptions::new().append(true).open(world.spool(id).stdout).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_500)).unwrap();
    world.watch(id, &server()).await;
    assert_eq!(world.told(id).await, ["ready"]);
    let heard = world.heard.lock().unwrap();
    let [Report::Ready { at, .. }] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(at.0 / 1_000_000, 1_000_000, "not when it was read, years later");
}

#[actix::test]
async fn what_the_end_shows_is_told_after_what_came_before() {
    let world = World::new();
    let id = attempt(1);
    world.watch_for_first_output(id, &server()).await;
    world.write(id, Stream::Stdout, b"listening on 8080\n");
    let drained = world.drain(id, ExitStatus::Code(0), 18, 0).await;
    assert!(drained.complete);
    assert_eq!(world.told(id).await, ["first output", "ready"]);
}

/// Wakes the Monitor and waits until it has told so much; nobody asks for output.
async fn hear(world: &World, id: AttemptId, stream: Stream, reports: usize) -> Vec<Report> {
    let name = u64::from(id.number) * 2 + u64::from(stream == Stream::Stderr);
    world.wakes.send(&name.to_le_bytes()).unwrap();
    while world.heard.lock().unwrap().len() < reports {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    world.heard.lock().unwrap().clone()
}

#[actix::test]
async fn a_line_without_an_end_makes_an_attempt_ready_after_some_silence() {
    let world = World::new();
    let id = attempt(1);
    world.watch(id, &server()).await;
    world.write(id, Stream::Stderr, b"starting\nlistening on 8080");
    let heard = hear(&world, id, Stream::Stderr, 1).await;
    assert!(matches!(heard[..], [Report::Ready { .. }]), "{heard:?}");
    world.write(id, Stream::Stderr, b"\n");
    assert_eq!(world.told(id).await, ["ready"]);
}

#[actix::test]
async fn an_unfinished_line_shows_its_class_once() {
    let world = World::new();
    let id = attempt(1);
    world.watch_with(id, &program(), &["s3cret"]).await;
    world.write(id, Stream::Stdout, b"HTTP 429 too many s3c");
    let heard = hear(&world, id, Stream::Stdout, 1).await;
    let [Report::ErrorSeen { evidence, count: 1, .. }] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((evidence.class.as_str(), evidence.line.as_str()), ("rate_limited", "HTTP 429 too many "));
    // It is finished, and another one comes.
    let more = b"ret, retry-after: 7\nHTTP 429\nconnection refused";
    world.write(id, Stream::Stdout, more);
    let heard = hear(&world, id, Stream::Stdout, 3).await;
    let seen = heard.iter().map(|report| match report {
        Report::ErrorSeen { evidence, count, .. } => (evidence.seq, *count),
        other => panic!("{other:?}"),
    });
    assert_eq!(seen.collect::<Vec<_>>(), [(1, 1), (2, 1), (3, 1)]);
    let drained = world.drain(id, ExitStatus::Code(1), 21 + more.len() as u64, 0).await;
    assert_eq!(drained.counts.errors, 2, "each line is counted when it is whole");
    world.close(id).await;
    assert_eq!(world.heard.lock().unwrap().len(), 3, "nor is it told again at the end");
}

#[actix::test]
async fn what_an_unfinished_line_asked_for_later_is_the_evidence_of_the_end() {
    let world = World::new();
    let id = attempt(1);
    world.watch(id, &program()).await;
    world.write(id, Stream::Stdout, b"HTTP 429 ");
    hear(&world, id, Stream::Stdout, 1).await;
    world.write(id, Stream::Stdout, b"retry-after: 7\n");
    let drained = world.drain(id, ExitStatus::Code(1), 24, 0).await;
    let evidence = drained.evidence.unwrap();
    assert_eq!((evidence.line.as_str(), evidence.retry_after_ms), ("HTTP 429 retry-after: 7", Some(7_000)));
}

#[actix::test]
async fn rules_ready_items_and_grep_look_through_colours() {
    let world = World::new();
    let id = attempt(1);
    let program = server().success_items(r"^scraped (\d+) items$", 9);
    world.watch(id, &program).await;
    let lines: [&[u8]; 4] = [
        b"\x1b[1mlistening\x1b[0m on 8080\n",
        b"\x1b[31mHTTP\x1b[0m \x1b[1m429\x1b[0m too fast\n",
        b"\x1b[32mscraped 7 items\x1b[0m\n",
        b"plain\n",
    ];
    let out = lines.concat();
    world.write(id, Stream::Stdout, &out);
    assert_eq!(world.told(id).await, ["ready", "error"]);
    let drained = world.drain(id, ExitStatus::Code(0), out.len() as u64, 0).await;
    assert_eq!(drained.items, Some(7));
    for stored in [false, true] {
        let records = world.all(id, 10).await;
        assert_same(&bytes(&records, Stream::Stdout), &out);
        assert_eq!(records[1].class.as_deref(), Some("rate_limited"));
        let mut grep = query_of(id, 10);
        grep.filter.grep = Some("^HTTP 429".to_owned());
        assert_eq!(world.forward(grep).await.len(), 1, "stored: {stored}");
        assert!(world.monitor.send(Flush).await.unwrap());
    }
}
