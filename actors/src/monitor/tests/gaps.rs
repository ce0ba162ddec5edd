//! A line of ours where output is missing, with how much it was.

use super::*;
use crate::{
    model::{Backlog, Loss, Timestamp},
    monitor::{attempt::Watched, rulebook::Rulebook},
};

fn lose(id: AttemptId, at: u64, length: u64, bytes: u64, lines: u64) -> Lose {
    Lose { attempt: id, stream: Stream::Stdout, at, length, loss: Loss { bytes, lines } }
}

#[actix::test]
async fn a_loss_amid_the_output_has_its_line_there_and_the_cut_line_goes_with_it() {
    let world = World::new();
    let id = attempt(1);
    world.watch(id, &program()).await;
    world.write(id, Stream::Stdout, b"one\ntw");
    world.monitor.send(lose(id, 6, 8, 100, 3)).await.unwrap();
    world.write(id, Stream::Stdout, b"\n[stand]six\n");
    let expected = ["one", "[3 lines (102 bytes) are lost: the disk took none of them]", "six"];
    assert_eq!(text(&world.all(id, 10).await), expected);
    world.close(id).await;
    assert_eq!(text(&world.all(id, 1).await), expected, "page by page, from the store");
    assert_eq!(text(&world.backward(query_of(id, 1)).await), expected);
}

#[actix::test]
async fn a_loss_that_is_told_too_late_leaves_the_line_that_stands_for_it() {
    let world = World::new();
    let id = attempt(1);
    world.watch(id, &program()).await;
    world.write(id, Stream::Stdout, b"one\n[stands here]\nsix\n");
    assert_eq!(world.all(id, 10).await.len(), 3);
    world.monitor.send(lose(id, 4, 14, 100, 3)).await.unwrap();
    world.close(id).await;
    assert_eq!(text(&world.all(id, 10).await), ["one", "[stands here]", "six"]);
}

#[actix::test]
async fn a_loss_at_the_end_has_its_line_there_and_ends_an_unfinished_one() {
    let world = World::new();
    let id = attempt(1);
    world.watch(id, &program()).await;
    world.write(id, Stream::Stdout, b"one\ntw");
    world.monitor.send(lose(id, 6, 0, 9, 2)).await.unwrap();
    world.close(id).await;
    let expected = ["one", "[2 lines (11 bytes) are lost: the disk took none of them]"];
    assert_eq!(text(&world.all(id, 1).await), expected);
}

#[actix::test]
async fn a_spool_that_somebody_removed_is_counted_at_the_end() {
    let world = World::new();
    let id = attempt(1);
    world.watch(id, &program()).await;
    let drained = world.drain(id, ExitStatus::Code(0), 100, 0).await;
    assert!(!drained.complete);
    let sizes = SpoolSizes { stdout: 100, stderr: 0 };
    world.monitor.send(Close { attempt: id, sizes }).await.unwrap();
    let said = text(&world.all(id, 10).await);
    assert_eq!(said, ["[100 bytes are lost: their spool was removed or cannot be read]"]);
}

#[actix::test]
async fn nothing_follows_from_what_was_not_there_to_be_read() {
    let world = World::new();
    let id = attempt(1);
    let mut job = program();
    job.success_min_lines = 3;
    world.watch(id, &job).await;
    world.write(id, Stream::Stdout, b"one\n");
    let drain = |more| Drain {
        attempt: id,
        exit: ExitStatus::Code(0),
        up_to: SpoolSizes { stdout: 4, stderr: 0 },
        more,
    };
    let told = world.monitor.send(drain(false)).await.unwrap();
    assert!(told.complete && told.evidence.is_some(), "one line is too little");
    let told = world.monitor.send(drain(true)).await.unwrap();
    assert!(!told.complete && told.evidence.is_none(), "who knows how many lines it wrote");
    assert!(drain(true).of_silence(&job, Timestamp(0)).is_none(), "that is no silence");
}

#[test]
fn who_waits_drops_when_the_store_stood_still_for_long_enough() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let output = Output::open(&store, Retention::default()).unwrap();
    let now = crate::clock::now();
    for (policy, still_ms, drops) in [
        (Backlog::Drop, 0, true),
        (Backlog::Wait, 6_999, false),
        (Backlog::Wait, 7_000, true),
        (Backlog::Block, u64::MAX, false),
    ] {
        let mut program = program();
        program.output = program.output.backlog("20KiB").on_backlog(policy).stall("7s");
        // What is dropped is given back.
        let stdout = dir.path().join(format!("{policy:?}{still_ms}"));
        append(&stdout, "line\n".repeat(10_000).as_bytes());
        let spool = Spool { token: 1, stdout, stderr: dir.path().join("err") };
        let (program, secrets) = (Arc::new(program), Vec::new());
        let (attempt, first_output, judged) = (attempt(1), false, false);
        let watch = Watch { attempt, program, spool, secrets, first_output, judged };
        let mut watched = Watched::new(watch, &mut Rulebook::default(), &output, now);
        watched.drop_backlog(now, still_ms, &mut 0, &output);
        assert_eq!(watched.counts().gaps > 7_000, drops, "{policy:?} after {still_ms} ms");
        let words: Vec<_> = watched.progress().collect();
        assert_eq!(!words.is_empty(), drops, "the keeper hears that there is room again");
    }
}

#[actix::test]
async fn an_answer_says_when_more_was_written_than_could_be_taken_in() {
    let world = World::new();
    let id = attempt(1);
    world.watch(id, &program()).await;
    let (let_go, held) = std::sync::mpsc::channel::<()>();
    world.output.as_ref().unwrap().flush(move |_| held.recv().unwrap());
    world.write(id, Stream::Stdout, &b"a line of the flood\n".repeat(1 << 19));
    let mut query = query_of(id, 1);
    query.direction = Direction::Forward;
    let page = world.query(query.clone()).await;
    assert!(page.behind && !page.is_empty(), "the store stands still, and most of it is in the spool");
    let_go.send(()).unwrap();
    query.cursor = page.next;
    while world.query(query.clone()).await.behind {}
}
