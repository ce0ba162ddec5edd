//! More starts at once than there is room for.

use crate::bench_of_one::{Gate, bench, in_time, shell};
use actix_process::{ErrorKind, Program, actors::manager::GetRuns};
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

const PLACES: u32 = 20;
const QUEUE: u32 = 300;
const ROOM: usize = (PLACES + QUEUE) as usize;

/// Children that end when they are let go, so that the room is full whatever the machine is doing.
fn held_back(folder: &std::path::Path) -> (Gate, Program) {
    let gate = Gate::new(folder);
    let job = shell("job", &gate.wait()).max_concurrent(PLACES).queue(QUEUE);
    (gate, job)
}

#[actix::test]
async fn of_ten_thousand_starts_at_once_each_is_a_run_that_ends_or_a_refusal_with_its_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let (gate, job) = held_back(folder.path());
    let bench = bench([job]).await;
    let starts = join_all((0..10_000).map(|_| bench.pm.start("job").send()));
    let (mut runs, mut reasons) = (Vec::new(), BTreeMap::<String, usize>::new());
    for answer in in_time("an answer to each", starts).await {
        match answer {
            Ok(run) => runs.push(run),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::QueueFull, "{error}");
                assert!(error.help().is_some(), "{error}");
                *reasons.entry(error.to_string()).or_default() += 1;
            }
        }
    }
    assert_eq!(runs.len(), ROOM);
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    let (reason, refused) = reasons.first_key_value().expect("most are refused");
    assert!(reason.contains(&QUEUE.to_string()), "{reason}");
    assert_eq!(*refused, 10_000 - ROOM);

    (0..ROOM).for_each(|_| gate.open());
    for end in in_time("every end", join_all(runs.iter().map(|run| run.wait()))).await {
        assert!(end.expect("the run ends").is_success());
    }
    let mut all = GetRuns::default();
    all.limit = 20_000;
    let known: BTreeSet<_> = bench.pm.runs(all).await.expect("it answers").iter().map(|run| run.id).collect();
    assert_eq!(known, runs.iter().map(|run| run.id()).collect(), "no run but those that were accepted");
    bench.end().await;
}
