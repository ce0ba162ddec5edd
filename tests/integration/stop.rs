//! Stopped means that nobody of the tree is left.

use crate::bench_of_one::{bench, in_time, shell};
use actix_process::{
    Leftovers, RetryPolicy,
    actors::model::{Phase, Stream},
};
use std::collections::BTreeSet;

/// Living processes (no zombies) whose environment or command line holds this mark.
pub(crate) fn marked(mark: &str) -> BTreeSet<i32> {
    let holds = |file: &str, pid: i32| {
        let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        bytes.windows(mark.len()).any(|window| window == mark.as_bytes())
    };
    let dead = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
    };
    let pids = std::fs::read_dir("/proc")
        .expect("proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let own = std::process::id() as i32;
    pids.filter(|pid| *pid != own && (holds("environ", *pid) || holds("cmdline", *pid)) && !dead(*pid))
        .collect()
}

/// Ends of a program's name that no other test uses.
pub(crate) fn mark(name: &str) -> String {
    format!("mark-{name}-{}", std::process::id())
}

#[actix::test]
async fn every_kind_of_tree_is_gone_when_stop_ends() {
    for (name, line) in [
        ("plain", "echo up; exec sleep 1000"),
        ("deaf", "trap '' TERM INT HUP; echo up; while :; do sleep 1000; done"),
        ("group", "sleep 1000 & sleep 1000 & echo up; wait"),
        (
            "setsid",
            "setsid sleep 1000 & setsid sh -c 'trap \"\" TERM; sleep 1000; sleep 1000' & sleep 0.2; echo up; wait",
        ),
        ("double-fork", "(setsid sh -c 'sleep 1000 & exit 0' &); sleep 0.2; echo up; exec sleep 1000"),
        ("stopped", "sleep 1000 & kill -STOP $!; echo up; wait"),
        ("forker", "f() {{ sleep 1000 & }}; for i in 1 2 3 4 5 6 7 8 9; do f; done; echo up; wait"),
    ] {
        let mark = mark(name);
        let bench = bench([shell("tree", line).env("TREE_MARK", &mark).stop_timeout("300ms")]).await;
        let run = bench.start("tree").await;
        let mut follower = run.logs().stream(Stream::Stdout).follow();
        in_time("the tree is up", follower.next_record()).await.expect("it reads").expect("it says so");
        assert!(!marked(&mark).is_empty(), "{name}: the mark is seen");
        in_time("the stop", run.stop_and_wait()).await.expect("it stops");
        assert_eq!(marked(&mark), BTreeSet::new(), "{name}");
        assert_eq!(run.status().await.expect("known").phase, Phase::Stopped);
        bench.end().await;
    }
}

#[actix::test]
async fn what_outlives_its_leader_is_stopped_before_the_next_attempt_or_kept_when_told_so() {
    for (leftovers, left) in [(Leftovers::Stop, 0), (Leftovers::Keep, 1)] {
        let mark = mark(&format!("leftover-{left}"));
        let program = shell("leaver", "sleep 1000 & echo gone; exit 0")
            .env("TREE_MARK", &mark)
            .leftovers(leftovers)
            .stop_timeout("300ms")
            .retry(RetryPolicy::exponential("1s"));
        let bench = bench([program]).await;
        let run = bench.run("leaver").await;
        assert_eq!(run.phase, Phase::Succeeded);
        assert_eq!(marked(&mark).len(), left);
        for pid in marked(&mark) {
            // SAFETY: a signal to a process that carries our mark.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        bench.end().await;
    }
}

#[actix::test]
async fn a_shutdown_leaves_nobody() {
    let mark = mark("shutdown");
    let programs = ["a", "b", "c"]
        .map(|name| shell(name, "sleep 1000 & setsid sleep 1000 & wait").env("TREE_MARK", &mark));
    let bench = bench(programs).await;
    for name in ["a", "b", "c"] {
        let run = bench.start(name).await;
        bench.phase(&run, Phase::Running).await;
    }
    bench.end().await;
    assert_eq!(marked(&mark), BTreeSet::new());
}

#[actix::test]
async fn what_is_kept_ends_with_the_shutdown_and_a_second_shutdown_is_the_first_one() {
    let mark = mark("kept");
    let program = shell("leaver", "sleep 1000 & echo gone; exit 0")
        .env("TREE_MARK", &mark)
        .leftovers(Leftovers::Keep)
        .stop_timeout("300ms");
    let bench = bench([program]).await;
    assert_eq!(bench.run("leaver").await.phase, Phase::Succeeded);
    assert_eq!(marked(&mark).len(), 1);
    let clone = bench.pm.clone();
    let (one, other) = in_time("both", async { tokio::join!(bench.pm.shutdown(), clone.shutdown()) }).await;
    assert!(one.is_ok() && other.is_ok());
    in_time("a third", clone.shutdown()).await.expect("it is down already");
    assert_eq!(marked(&mark), BTreeSet::new());
}

#[actix::test]
async fn exit_codes_and_signals_are_told_as_they_were() {
    use actix_process::actors::model::ExitStatus;
    let once =
        |name: &str, line: &str| shell(name, line).retry(RetryPolicy::exponential("1s").max_retries(0));
    let bench =
        bench([once("seven", "exit 7"), once("killed", "kill -KILL $$"), once("fine", "exit 0")]).await;
    for (name, expected) in [
        ("seven", ExitStatus::Code(7)),
        ("killed", ExitStatus::Signal { number: 9, core: false }),
        ("fine", ExitStatus::Code(0)),
    ] {
        let run = bench.run(name).await;
        assert_eq!(run.current().and_then(|attempt| attempt.exit), Some(expected), "{name}");
    }
    bench.end().await;
}
