//! `on_open = "stop"`: what lives in a scope that opens is stopped, with its reason, and goes on later.

use crate::bench_of_one::{Bench, in_time, shell};
use actix_process::{
    BreakerPolicy, OnOpen, ProcessManager, RetryPolicy,
    actors::{
        breaker::OperatorAct,
        model::{BreakerState, Event, Phase, StopAct},
    },
};

#[actix::test]
async fn a_running_sibling_is_stopped_when_their_breaker_opens_and_goes_on_when_it_is_reset() {
    let folder = tempfile::tempdir().expect("a folder");
    let policy = BreakerPolicy::failures(2).penalty("1h").on_open(OnOpen::Stop);
    let pm = ProcessManager::builder()
        .store(folder.path().join("store"))
        .program(shell("lives", "echo alive; exec sleep 1000").shared_breaker("site:shop"))
        .program(shell("apart", "exec sleep 1000"))
        .program(
            shell("fails", "echo HTTP 503 >&2; exit 1")
                .shared_breaker("site:shop")
                .class("upstream", actix_process::ClassRule::retry().weight(1.0))
                .retry(RetryPolicy::exponential("1s").max_retries(0)),
        )
        .shared_breaker_policy("site:*", policy)
        .start()
        .await
        .expect("it starts");
    let bench = Bench { pm, folder };
    let (lives, apart) = (bench.start("lives").await, bench.start("apart").await);
    let status = bench.phase(&lives, Phase::Running).await;
    let pid = status.attempts[0].pid.expect("it lives");
    bench.phase(&apart, Phase::Running).await;
    for _ in 0..2 {
        bench.run("fails").await;
    }
    let held = bench.phase(&lives, Phase::Blocked).await;
    assert_eq!(held.attempts[0].class.as_deref(), Some("breaker_stop"));
    assert_eq!(held.held.and_then(|held| held.scope).map(|scope| scope.0).as_deref(), Some("site:shop"));
    // SAFETY: a question without a pointer.
    assert_eq!(unsafe { libc::kill(pid, 0) }, -1, "its process is gone");
    assert_eq!(apart.status().await.expect("known").phase, Phase::Running, "others are left alone");

    let journal = bench.journal().await;
    let place = |what: &str, fits: &dyn Fn(&Event) -> bool| {
        let of_it =
            |event: &Event, run| run == Some(lives.id()) || matches!(event, Event::BreakerChanged { .. });
        let found = journal.iter().find(|record| of_it(&record.event, record.run) && fits(&record.event));
        found.unwrap_or_else(|| panic!("the journal does not say that {what}: {journal:#?}"))
    };
    let opened = place(
        "it opened",
        &|event| matches!(event, Event::BreakerChanged { to, .. } if *to == BreakerState::Open),
    );
    let stopped = place(
        "its run was stopped by a rule",
        &|event| matches!(event, Event::StopRequested { act: Some(StopAct::Rule), why, .. } if why.contains("on_open")),
    );
    let blocked = place("it waits", &|event| matches!(event, Event::StartBlocked { .. }));
    assert!(opened.seq < stopped.seq && stopped.seq < blocked.seq);
    assert_eq!(stopped.scope.as_ref().map(|scope| scope.0.as_str()), Some("site:shop"));
    let why = lives.why().await.expect("known");
    let story = why.chain.iter().map(|sentence| sentence.text.as_str()).collect::<Vec<_>>().join("\n");
    for part in
        ["site:shop opened, and its rules stop what lives there (on_open)", "breaker_stop", "held back"]
    {
        assert!(story.contains(part), "`{part}` is not told:\n{story}");
    }

    let reset = OperatorAct::Reset;
    bench.pm.operate_breaker("site:shop", reset, None, None).await.expect("it is known");
    let again = bench.phase(&lives, Phase::Running).await;
    assert_eq!(again.attempt, 2, "that was no failure: it uses up no retry");
    in_time("the stop", lives.stop()).await.expect("it lives");
    bench.end().await;
}
