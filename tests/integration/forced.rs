//! A start that somebody forces past a breaker: it runs, the breaker hears nothing, and both are written down.

use crate::bench_of_one::{Bench, in_time, shell};
use actix_process::{
    BreakerPolicy, ProcessManager, RetryPolicy,
    actors::{
        breaker::OperatorAct,
        model::{Event, Phase},
    },
};

#[actix::test]
async fn a_forced_start_runs_while_its_breaker_is_held_open_and_its_end_moves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let pm = ProcessManager::builder()
        .store(folder.path().join("store"))
        .program(
            shell("fails", "exit 1")
                .breaker(BreakerPolicy::failures(1).penalty("30m"))
                .retry(RetryPolicy::exponential("1s").max_retries(0)),
        )
        .start()
        .await
        .expect("it starts");
    let bench = Bench { pm, folder };
    let hold = OperatorAct::ForceOpen { ttl_ms: None };
    bench.pm.operate_breaker("program:fails", hold, None, None).await.expect("it is told");
    let waits = bench.start("fails").await;
    bench.phase(&waits, Phase::Blocked).await;
    let state = async || {
        let all = bench.pm.breakers().await.expect("known");
        all.first().map(|status| (status.state.to_string(), status.level))
    };
    let before = state().await;

    waits.force_start().await.expect("it waits");
    let ended = in_time("its end", waits.wait()).await.expect("known");
    assert!(!ended.is_success());
    let asked = bench.pm.start("fails").requested_by("alice").refuse_if_blocked().force();
    let forced = in_time("the start", asked.send()).await.expect("force is not refused");
    in_time("its end", forced.wait()).await.expect("known");
    assert_eq!(state().await, before);

    let status = forced.status().await.expect("known");
    assert_eq!(status.attempts.iter().map(|attempt| attempt.forced).collect::<Vec<_>>(), [true]);
    let journal = bench.journal().await;
    let of_it = |event: &Event| match event {
        Event::RunQueued { requested_by, forced: true, .. } => requested_by.clone(),
        _ => None,
    };
    assert_eq!(journal.iter().find_map(|record| of_it(&record.event)).as_deref(), Some("alice"));
    let why = forced.why().await.expect("known");
    let story = why.chain.iter().map(|sentence| sentence.text.as_str()).collect::<Vec<_>>().join("\n");
    for part in ["asked for by alice, past the breakers", "attempt 1 started, forced past the breakers"] {
        assert!(story.contains(part), "`{part}` is not told:\n{story}");
    }
    bench.end().await;
}
