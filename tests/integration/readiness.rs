//! From a line that a real process writes to a breaker that goes by it.

use crate::bench_of_one::{Bench, bench, in_time, shell};
use actix_process::{
    BreakerPolicy, Jitter, ProbeSuccess, Program, Ready, RetryPolicy, RunHandle, StreamChoice,
    actors::model::Event,
};

/// Fails at its first start; the next one writes this line and lives on.
fn second_time(folder: &std::path::Path, line: &str) -> Program {
    let marker = folder.join("marker");
    let retry = RetryPolicy::constant("10ms").min_delay("1ms").jitter(Jitter::None);
    let line =
        format!("if [ ! -e {0} ]; then touch {0}; exit 1; fi; {line}; exec sleep 1000", marker.display());
    shell("server", &line).retry(retry)
}

/// What breakers did, until one of them has closed.
async fn until_closed(bench: &Bench, run: &RunHandle) -> Vec<String> {
    let closed = async {
        loop {
            let journal = bench.journal().await;
            let told: Vec<_> = journal
                .iter()
                .filter_map(|record| match &record.event {
                    Event::BreakerChanged { to, .. } => Some(to.to_string()),
                    Event::AttemptReady { .. } => Some("ready".to_owned()),
                    _ => None,
                })
                .collect();
            if told.contains(&"closed".to_owned()) {
                return told;
            }
            tokio::task::yield_now().await;
        }
    };
    let told = in_time("a breaker that closes", closed).await;
    run.stop_and_wait().await.expect("it lives");
    told
}

#[actix::test]
async fn a_probe_is_proved_by_a_line_and_the_attempt_shows_when_it_was_ready() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = BreakerPolicy::failures(1).penalty("100ms").probe_success(ProbeSuccess::Ready);
    let server = second_time(folder.path(), "echo starting; echo listening on 8080 >&2")
        .ready(Ready::pattern("^listening on").stream(StreamChoice::Stderr))
        .breaker(rules.slow_ready("1h", 0.5));
    let bench = bench([server]).await;
    let run = bench.start("server").await;
    assert_eq!(until_closed(&bench, &run).await, ["open", "half_open", "ready", "closed"]);
    let attempts = run.attempts(0, 9).await.expect("they are known");
    assert_eq!(attempts[0].ready_at, None);
    assert!(attempts[1].ready_at.is_some_and(|at| at >= attempts[1].started_at), "{attempts:#?}");
    let why = run.why().await.expect("it is known");
    assert!(why.chain.iter().any(|step| step.text.starts_with("attempt 2 was ready after")), "{why:#?}");
    bench.end().await;
}

#[actix::test]
async fn a_probe_is_proved_by_its_first_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = BreakerPolicy::failures(1).penalty("100ms").probe_success(ProbeSuccess::FirstOutput);
    let server = second_time(folder.path(), "printf x").breaker(rules);
    let bench = bench([server]).await;
    let run = bench.start("server").await;
    assert_eq!(until_closed(&bench, &run).await, ["open", "half_open", "closed"]);
    bench.end().await;
}
