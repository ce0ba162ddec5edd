//! Stops that meet starts, other stops and each other: the last word holds, nobody is left, and every end is told once.

use crate::{
    bench_of_one::{Bench, Gate, bench, in_time, shell},
    death::{Daemon, until},
    stop::{mark, marked},
};
use actix_process::{
    BreakerPolicy, ErrorKind, Restart, RetryPolicy, RunHandle,
    actors::model::{Event, JournalRecord, Phase, RunId},
};
use futures_util::future::join_all;
use std::collections::BTreeSet;

/// Hears nothing of SIGTERM. It says so when two of it live at once: whoever is of its tree holds the lock.
const DEAF: &str =
    "trap '' TERM; exec 9>lock; flock -n 9 && echo up || echo twice; while :; do sleep 1000; done";

/// What the journal says of one run, in short words.
fn told(journal: &[JournalRecord], run: RunId) -> Vec<&'static str> {
    let word = |record: &JournalRecord| match record.event {
        Event::RunQueued { .. } => Some("queued"),
        Event::AttemptStarted { .. } => Some("started"),
        Event::AttemptSpawned { .. } => Some("spawned"),
        Event::StopRequested { .. } => Some("stop"),
        Event::AttemptEnded { .. } => Some("attempt over"),
        Event::RunEnded { .. } => Some("over"),
        _ => None,
    };
    journal.iter().filter(|record| record.run == Some(run)).filter_map(word).collect()
}

async fn up(run: &RunHandle) {
    let mut follower = run.logs().follow();
    loop {
        let record =
            in_time("it is up", follower.next_record()).await.expect("it reads").expect("it says so");
        if record.bytes == b"up" {
            return;
        }
    }
}

async fn lines(bench: &Bench, run: &RunHandle) -> String {
    let bytes = bench.output(run, actix_process::actors::model::Stream::Stdout).await;
    String::from_utf8(bytes).expect("text")
}

#[test]
fn a_stop_before_the_process_is_there_ends_what_is_being_made() {
    let (folder, mark) = (tempfile::tempdir().expect("a folder"), mark("unborn"));
    let config = format!(
        "version = 1\n[store]\npath = \"store\"\n[program.first]\ncommand = [\"true\"]\n\
         [program.job]\nmax_concurrent = 9\n\
         command = [\"sleep\", \"1000\"]\nenv = {{ TREE_MARK = {mark:?} }}\n"
    );
    std::fs::write(folder.path().join("supervise.toml"), config).expect("written");
    let daemon = Daemon::up(folder.path());
    daemon.cli(&["run", "first", "--wait"]); // The keeper is there now.
    let keeper = daemon.keeper();
    // SAFETY: the keeper is a child of the daemon, which lives and has not reaped it.
    let tell = |signal| assert_eq!(unsafe { libc::kill(keeper, signal) }, 0);
    tell(libc::SIGSTOP); // So that a start is decided and no process is made.
    for _ in 0..3 {
        daemon.cli(&["run", "job"]);
    }
    let count = |kind: &str| {
        let events = daemon.cli(&["events"]);
        let of_job = events.lines().filter(|line| line.contains("\"program\":\"job\""));
        of_job.filter(|line| line.contains(&format!("\"kind\":\"{kind}\""))).count()
    };
    until("the starts are written down", || count("attempt_started") == 3);
    std::thread::scope(|scope| {
        let stops: Vec<_> = (0..2).map(|_| scope.spawn(|| daemon.cli(&["stop", "job"]))).collect();
        until("the stops are written down", || count("stop_requested") == 3);
        assert_eq!((count("attempt_spawned"), marked(&mark)), (0, BTreeSet::new()));
        assert!(daemon.cli(&["ps"]).contains("stopping"), "it is seen meanwhile");
        tell(libc::SIGCONT);
        for stop in stops {
            assert_eq!(stop.join().expect("it answers"), "job stopped\n");
        }
    });
    assert_eq!(marked(&mark), BTreeSet::new());
    assert_eq!((count("stop_requested"), count("run_ended")), (3, 3));
    assert_eq!(count("attempt_started"), 3, "nothing is started again");
    daemon.end();
}

#[actix::test]
async fn a_stop_in_any_moment_of_a_start_is_the_end_of_it() {
    let mark = mark("moments");
    let program = shell("job", "echo up; sleep 1000").env("TREE_MARK", &mark).max_concurrent(1);
    let bench = bench([program]).await;
    for round in 0..40 {
        let run = bench.start("job").await;
        // Every round gives the start a little more room.
        for _ in 0..round {
            tokio::task::yield_now().await;
            run.status().await.expect("it is known");
        }
        let end = in_time("the stop", run.stop_and_wait()).await.expect("it stops");
        assert_eq!(end.phase, Phase::Stopped);
        assert_eq!(marked(&mark), BTreeSet::new(), "round {round}");
        let again = run.stop().await.expect_err("it is over");
        assert_eq!(again.kind(), ErrorKind::NotRunning);
        let told = told(&bench.journal().await, run.id());
        let count = |word| told.iter().filter(|told| **told == word).count();
        assert_eq!((count("stop"), count("over")), (1, 1), "{told:?}");
        assert_eq!(count("started"), count("attempt over"), "{told:?}");
        assert_eq!(told.last(), Some(&"over"), "{told:?}");
    }
    bench.end().await;
}

#[actix::test]
async fn a_start_or_restart_while_a_stop_lasts_begins_when_the_old_tree_is_gone() {
    for restart in [false, true] {
        let mark = mark(&format!("taken-back-{restart}"));
        let folder = tempfile::tempdir().expect("a folder");
        let program = shell("deaf", DEAF).cwd(folder.path()).env("TREE_MARK", &mark).stop_timeout("400ms");
        let bench = bench([program.restart(Restart::Always)]).await;
        let run = bench.start("deaf").await;
        up(&run).await;
        assert_eq!(run.stop().await.expect("it runs").phase, Phase::Stopping);
        let new = bench.pm.start("deaf").send().await.expect_err("one daemon at a time");
        assert_eq!(new.kind(), ErrorKind::AlreadyRunning);
        let back = if restart { run.restart().await } else { run.start().await };
        assert_eq!(back.expect("it is taken back").phase, Phase::Stopping, "what goes down goes down first");
        let second = async {
            let mut seen = 0;
            let mut follower = run.logs().follow();
            while seen < 2 {
                let record = follower.next_record().await.expect("it reads").expect("there is one");
                assert_eq!(record.bytes, b"up");
                seen += 1;
            }
        };
        in_time("the second attempt", second).await;
        let expected =
            ["queued", "started", "spawned", "stop", "queued", "attempt over", "started", "spawned"];
        assert_eq!(told(&bench.journal().await, run.id()), expected);
        in_time("the stop", run.stop_and_wait()).await.expect("it stops");
        assert_eq!(marked(&mark), BTreeSet::new());
        let end = told(&bench.journal().await, run.id()).split_off(expected.len());
        assert_eq!(end, ["stop", "attempt over", "over"]);
        bench.end().await;
    }
}

#[actix::test]
async fn a_run_started_while_another_is_being_stopped_waits_for_its_place() {
    let mark = mark("place");
    let folder = tempfile::tempdir().expect("a folder");
    let program = shell("deaf", DEAF).cwd(folder.path()).env("TREE_MARK", &mark).stop_timeout("400ms");
    let bench = bench([program.max_concurrent(1)]).await;
    let first = bench.start("deaf").await;
    up(&first).await;
    first.stop().await.expect("it runs");
    let second = bench.start("deaf").await;
    assert_eq!(second.status().await.expect("known").phase, Phase::Queued);
    up(&second).await;
    assert_eq!(first.status().await.expect("known").phase, Phase::Stopped);
    assert_eq!(lines(&bench, &second).await, "up\n", "nobody held the lock");
    in_time("the stop", second.stop_and_wait()).await.expect("it stops");
    assert_eq!(marked(&mark), BTreeSet::new());
    bench.end().await;
}

#[actix::test]
async fn two_stops_are_one_and_who_cannot_wait_kills() {
    let mark = mark("two-stops");
    let folder = tempfile::tempdir().expect("a folder");
    let program = shell("deaf", DEAF).cwd(folder.path()).env("TREE_MARK", &mark).stop_timeout("1h");
    let bench = bench([program]).await;
    let run = bench.start("deaf").await;
    up(&run).await;
    let (one, other) = tokio::join!(run.stop(), run.stop());
    for stop in [one, other, run.stop().await] {
        assert_eq!(stop.expect("it is being stopped").phase, Phase::Stopping);
    }
    assert!(!marked(&mark).is_empty(), "it has an hour");
    run.signal(libc::SIGKILL).await.expect("it has a process");
    let end = in_time("the end", run.wait()).await.expect("it ends");
    assert_eq!((end.phase, end.exit_code()), (Phase::Stopped, 137));
    assert_eq!(marked(&mark), BTreeSet::new());
    let late = run.stop().await.expect_err("it is over");
    assert_eq!(late.kind(), ErrorKind::NotRunning);
    assert_eq!(run.signal(libc::SIGKILL).await.expect_err("it is over").kind(), ErrorKind::NotRunning);
    let expected = ["queued", "started", "spawned", "stop", "attempt over", "over"];
    assert_eq!(told(&bench.journal().await, run.id()), expected);
    bench.end().await;
}

#[actix::test]
async fn everything_is_stopped_at_once_whatever_it_is_doing() {
    let mark = mark("everything");
    let folder = tempfile::tempdir().expect("a folder");
    let gate = Gate::new(folder.path());
    let hour = || RetryPolicy::exponential("1h").max_delay("2h");
    let programs = [
        shell("plain", "echo up; exec sleep 1000").max_concurrent(10),
        shell("deaf", "trap '' TERM; echo up; while :; do sleep 1000; done")
            .max_concurrent(10)
            .stop_timeout("500ms"),
        shell("waits", "exit 1").max_concurrent(10).retry(hour()).no_breaker(),
        shell("blocked", &format!("{}; exit 1", gate.wait()))
            .max_concurrent(20)
            .retry(hour())
            .breaker(BreakerPolicy::failures(1).penalty("20m")),
        shell("queued", "echo up; exec sleep 1000").max_concurrent(1).queue(20),
    ];
    let bench = bench(programs.map(|program| program.env("TREE_MARK", &mark))).await;
    let trips = bench.start("blocked").await;
    gate.open();
    bench.phase(&trips, Phase::Backoff).await;
    let mut runs = vec![trips];
    for (program, phase) in [
        ("plain", Phase::Running),
        ("deaf", Phase::Running),
        ("waits", Phase::Backoff),
        ("blocked", Phase::Blocked),
        ("queued", Phase::Queued),
    ] {
        let mut those = Vec::new();
        for _ in 0..10 {
            those.push(bench.start(program).await);
        }
        for (index, run) in those.iter().enumerate() {
            let first_of_queue = program == "queued" && index == 0;
            bench.phase(run, if first_of_queue { Phase::Running } else { phase }).await;
            if phase == Phase::Running {
                up(run).await;
            }
        }
        runs.extend(those);
    }
    let stops = join_all(runs.iter().map(RunHandle::stop_and_wait));
    for end in in_time("the end of all", stops).await {
        assert_eq!(end.expect("it stops").phase, Phase::Stopped);
    }
    assert_eq!(marked(&mark), BTreeSet::new());
    let journal = bench.journal().await;
    for run in &runs {
        let told = told(&journal, run.id());
        let count = |word| told.iter().filter(|told| **told == word).count();
        assert_eq!((count("stop"), count("over")), (1, 1), "{told:?}");
        assert_eq!(count("started"), count("attempt over"), "{told:?}");
        assert!(!told.iter().skip_while(|word| **word != "stop").any(|word| *word == "started"), "{told:?}");
        assert_eq!(told.last(), Some(&"over"), "{told:?}");
    }
    let living: usize = bench.pm.programs().await.expect("it answers").iter().map(|p| p.living.len()).sum();
    assert_eq!(living, 0);
    let next = bench.start("plain").await;
    up(&next).await;
    bench.end().await;
    assert_eq!(marked(&mark), BTreeSet::new());
}

#[actix::test]
async fn whatever_the_order_of_words_the_last_one_holds() {
    let mark = mark("words");
    let program = shell("daemon", "echo up; exec sleep 1000").restart(Restart::Always);
    let bench = bench([program.env("TREE_MARK", &mark)]).await;
    let run = bench.start("daemon").await;
    // All orders of four words, each without waiting for what the one before leads to.
    for order in 0..81_u32 {
        for place in 0..4 {
            let said = match order / 3_u32.pow(place) % 3 {
                0 => run.stop().await.map(drop),
                1 => run.start().await.map(drop),
                _ => run.restart().await.map(drop),
            };
            let wrong = said.err().filter(|error| error.kind() != ErrorKind::NotRunning);
            assert!(wrong.is_none(), "{wrong:?}");
        }
        match order % 2 {
            0 => {
                // It may be over already, by the words before.
                let _ = run.stop().await;
                assert_eq!(in_time("the end", run.wait()).await.expect("it ends").phase, Phase::Stopped);
                assert_eq!(marked(&mark), BTreeSet::new(), "{order}");
            }
            _ => {
                run.start().await.expect("it starts");
                bench.phase(&run, Phase::Running).await;
                let seen = in_time("one process", async {
                    loop {
                        let status = run.status().await.expect("known");
                        if status.phase == Phase::Running {
                            return marked(&mark).len();
                        }
                    }
                });
                assert!(seen.await <= 1, "{order}");
            }
        }
    }
    let _ = run.stop().await;
    in_time("the end", run.wait()).await.expect("it ends");
    let told = told(&bench.journal().await, run.id());
    // Between two ends there is a request for more, and no attempt is under way at an end.
    let mut under_way = 0;
    for pair in told.windows(2) {
        under_way += i32::from(pair[0] == "started") - i32::from(pair[0] == "attempt over");
        assert!((0..=1).contains(&under_way), "{told:?}");
        assert!(pair[0] != "over" || pair[1] == "queued", "after an end somebody asks for more: {told:?}");
        assert!(pair[1] != "over" || under_way == i32::from(pair[0] == "started"), "{told:?}");
    }
    assert_eq!(marked(&mark), BTreeSet::new());
    bench.end().await;
}
