//! A start that goes before others: in the line for a place, in what is told of it, and decided again from the journal.

use crate::bench_of_one::{Bench, Gate, in_time, shell};
use actix_process::{
    ErrorKind, ProcessManager,
    actors::model::{Event, Phase},
};

#[actix::test]
async fn a_start_of_a_higher_priority_gets_the_next_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = Gate::new(folder.path());
    let pm = ProcessManager::builder()
        .store(folder.path().join("store"))
        .program(shell("one", &gate.wait()).max_concurrent(1).priority(-3))
        .start()
        .await
        .expect("it starts");
    let bench = Bench { pm, folder };
    let lives = bench.start("one").await;
    bench.phase(&lives, Phase::Running).await;
    let early = bench.start("one").await;
    let late = bench.pm.start("one").priority(5).send().await.expect("it waits");
    let why = late.why().await.expect("known");
    assert!(why.chain[0].text.ends_with("at priority 5"), "{}", why.chain[0].text);
    assert!(
        why.holds.as_ref().is_some_and(|holds| holds.contains("it is 1st of 2 in line")),
        "{:?}",
        why.holds
    );

    for run in [&lives, &late, &early] {
        gate.open();
        in_time("its end", run.wait()).await.expect("known");
    }
    let started = bench.journal().await.into_iter().filter_map(|record| match record.event {
        Event::AttemptStarted { .. } => record.run,
        _ => None,
    });
    let order: Vec<_> = started.collect();
    assert_eq!(order, [lives.id(), late.id(), early.id()]);
    let priorities = [late.status().await, early.status().await].map(|run| run.expect("known").priority);
    assert_eq!(priorities, [5, -3]);
    // A run like it has what was asked for, and not what its program said then.
    let again = late.retry().send().await.expect("it starts");
    assert_eq!(again.status().await.expect("known").own_priority, Some(5));

    let refused = bench.pm.start("one").priority(-1_001).send().await.expect_err("out of range");
    assert_eq!(refused.kind(), ErrorKind::InvalidParams);
    assert_eq!(refused.to_string(), "a priority is a whole number from -1000 to 1000, and -1001 is none");
    bench.end().await;
}
