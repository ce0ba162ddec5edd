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
