//! Children that want to get away, to block us or to be lost: nobody is left behind, and no byte of theirs is lost.

use crate::{
    bench_of_one::{bench, in_time, shell},
    death::{Daemon, until},
    stop::{mark, marked},
};
use actix_process::actors::model::{ExitStatus, Phase, Stream};
use std::{collections::BTreeSet, path::Path};

/// A program of `tests/programs`.
fn hostile(name: &str) -> String {
    format!("{}/tests/programs/{name}.sh", env!("CARGO_MANIFEST_DIR"))
}

fn configure(folder: &Path, programs: &str) {
    let head =
        "version = 1\n[store]\npath = \"store\"\n[defaults]\nstop_timeout = \"500ms\"\nrestart = \"no\"\n";
    std::fs::write(folder.join("supervise.toml"), format!("{head}{programs}")).expect("written");
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

#[test]
fn a_process_that_starts_its_successor_and_ends_is_caught_by_a_stop_and_as_a_leftover() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    let chain = hostile("fork_chain");
    configure(
        folder.path(),
        &format!(
            "[program.asked]\ncommand = [\"sh\", \"-c\", \"sh {chain}; sleep 1000\"]\nenv = {{ RUNAWAY = {run:?} }}\n\
             [program.left]\ncommand = [\"sh\", {chain:?}]\nenv = {{ RUNAWAY = {run:?} }}\n"
        ),
    );
    let daemon = Daemon::up(folder.path());
    for round in 0..3 {
        daemon.cli(&["run", "asked"]);
        let before = lines(&run);
        until("the chain runs", || lines(&run) > before + 10);
        daemon.cli(&["stop", "asked"]);
        assert_still(&run, &format!("round {round}, stopped"));
        daemon.cli(&["run", "left", "--wait"]);
        until("it is emptied", || !daemon.cli(&["why", "left"]).contains("running"));
        until("the leftovers are stopped", || marked(run.to_str().expect("text")).is_empty());
        assert_still(&run, &format!("round {round}, left"));
    }
    daemon.end();
}

/// A chain makes a hundred entries a second; ten looks at all processes take longer than one.
#[track_caller]
fn assert_still(run: &Path, what: &str) {
    let before = lines(run);
    for _ in 0..10 {
        assert_eq!(marked(run.to_str().expect("text")), BTreeSet::new(), "{what}");
    }
    assert_eq!(lines(run), before, "{what}: it still runs");
}

#[test]
fn who_wipes_his_environment_and_leaves_session_and_parent_is_stopped_all_the_same() {
    let (folder, mark) = (tempfile::tempdir().expect("a folder"), mark("wiped"));
    let program = hostile("wipe_environment");
    configure(folder.path(), &format!("[program.wipe]\ncommand = [\"sh\", {program:?}, {mark:?}]\n"));
    let daemon = Daemon::up(folder.path());
    daemon.cli(&["run", "wipe"]);
    // The one that stays and the one that leaves; each has the mark as an argument.
    until("both are there", || marked(&mark).len() >= 2 && !daemon.logged("wipe").is_empty());
    daemon.cli(&["stop", "wipe"]);
    // Nothing tells whose the second one was; the keeper is its parent by now and takes it along at its end.
    until("the first is gone", || marked(&mark).len() <= 1);
    daemon.end();
    assert_eq!(marked(&mark), BTreeSet::new());
}

#[test]
fn a_storm_of_forks_that_ignores_sigterm_ends_with_one_stop_and_the_supervisor_answers_meanwhile() {
    let (folder, mark) = (tempfile::tempdir().expect("a folder"), mark("storm"));
    let program = hostile("fork_storm");
    let program =
        format!("[program.storm]\ncommand = [\"sh\", {program:?}]\nenv = {{ TREE_MARK = {mark:?} }}\n");
    configure(folder.path(), &program);
    let daemon = Daemon::up(folder.path());
    daemon.cli(&["run", "storm"]);
    until("the last generation is there", || daemon.logged("storm").len() == 256);
    assert!(daemon.cli(&["ps"]).contains("running"));
    daemon.cli(&["stop", "storm"]);
    assert_eq!(marked(&mark), BTreeSet::new());
    assert!(daemon.cli(&["ps"]).contains("stopped"));
    daemon.end();
}

#[actix::test]
async fn a_hundred_megabytes_without_a_newline_are_kept_and_block_nobody() {
    let size = 100 << 20;
    let line = format!("head -c {size} /dev/zero | tr '\\0' x; echo done >&2");
    let bench = bench([shell("long", &line), shell("other", "echo here")]).await;
    let long = bench.start("long").await;
    let other = bench.run("other").await;
    assert_eq!(other.phase, Phase::Succeeded, "the other one goes on meanwhile");
    assert!(in_time("the end", long.wait()).await.expect("it ends").is_success());
    let mut reader = long.logs().stream(Stream::Stdout).read();
    let (mut bytes, mut longest, mut newlines) = (0, 0, 0);
    while let Some(record) = in_time("a record", reader.next_record()).await.expect("it reads") {
        assert!(record.bytes.iter().all(|byte| *byte == b'x'));
        bytes += record.bytes.len();
        longest = longest.max(record.bytes.len());
        newlines += usize::from(record.newline);
    }
    assert_eq!((bytes, newlines), (size, 0));
    assert!(longest <= 64 << 10, "a line is split at 64 KiB: {longest}");
    assert_eq!(bench.output(&long, Stream::Stderr).await, b"done\n");
    bench.end().await;
}

#[actix::test]
async fn random_bytes_come_back_as_they_were_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("copy");
    let bench =
        bench([shell("binary", &format!("head -c 1000000 /dev/urandom | tee {}", copy.display()))]).await;
    let run = bench.start("binary").await;
    assert!(in_time("the end", run.wait()).await.expect("it ends").is_success());
    let found = bench.output(&run, Stream::Stdout).await;
    assert!(found == std::fs::read(&copy).expect("the copy"), "{} bytes came back", found.len());
    bench.end().await;
}

#[actix::test]
async fn who_closes_his_outputs_is_still_seen_and_his_end_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = crate::bench_of_one::Gate::new(folder.path());
    let line = format!("echo out; echo err >&2; exec >&- 2>&-; {}; exit 7", gate.wait());
    let bench = bench([shell("closer", &line).restart(actix_process::Restart::No)]).await;
    let run = bench.start("closer").await;
    bench.phase(&run, Phase::Running).await;
    let mut follower = run.logs().stream(Stream::Stderr).follow();
    in_time("its last line", follower.next_record()).await.expect("it reads").expect("there is one");
    assert_eq!(run.status().await.expect("known").phase, Phase::Running, "silence is no end");
    gate.open();
    in_time("the end", run.wait()).await.expect("it ends");
    let status = run.status().await.expect("known");
    assert_eq!(status.current().and_then(|attempt| attempt.exit), Some(ExitStatus::Code(7)));
    assert_eq!(bench.output(&run, Stream::Stdout).await, b"out\n");
    bench.end().await;
}

#[actix::test]
async fn the_end_of_a_leader_is_told_though_a_grandchild_holds_its_outputs() {
    let mark = mark("holder");
    let program = shell("holder", "setsid sleep 1000 & echo out; exit 3")
        .env("TREE_MARK", &mark)
        .stop_timeout("300ms")
        .restart(actix_process::Restart::No);
    let bench = bench([program]).await;
    let run = bench.run("holder").await;
    assert_eq!(run.current().and_then(|attempt| attempt.exit), Some(ExitStatus::Code(3)));
    assert_eq!(run.phase, Phase::Failed);
    assert_eq!(marked(&mark), BTreeSet::new(), "and the grandchild is stopped before the run is over");
    let told = bench.journal().await;
    let left = |event: &actix_process::actors::model::Event| format!("{event:?}").contains("Leftovers");
    assert!(told.iter().any(|record| left(&record.event)), "the journal tells of it: {told:#?}");
    bench.end().await;
}

#[actix::test]
async fn a_child_that_pauses_itself_is_stopped_and_has_its_say_first() {
    let line = "trap 'echo heard; exit 0' TERM; echo up; kill -STOP $$; echo woken; while :; do sleep 1000 & wait; done";
    let bench = bench([shell("paused", line).stop_timeout("30s")]).await;
    let run = bench.start("paused").await;
    let mut follower = run.logs().follow();
    in_time("it is up", follower.next_record()).await.expect("it reads").expect("there is one");
    in_time("the stop", run.stop_and_wait()).await.expect("it stops");
    let said = String::from_utf8(bench.output(&run, Stream::Stdout).await).expect("text");
    assert!(said.ends_with("heard\n"), "it got SIGTERM and time to act on it: {said:?}");
    assert_eq!(run.status().await.expect("known").phase, Phase::Stopped);
    bench.end().await;
}
