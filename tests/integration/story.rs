//! The scrapers' story: errors read from output change the next try, a breaker holds starts back, and `why` tells it.

use crate::bench_of_one::{Gate, bench, in_time};
use actix_process::{
    Adjust, BreakerPolicy, ClassRule, Classify, Jitter, Param, ProbeParams, Program, RetryPolicy,
    actors::model::{EndReason, Event, Phase},
};

/// Refuses more than 25 questions per interval, as shops do.
const SHOP: &str = r#"[ "$1" -le 25 ] && exit 0; echo "HTTP 429 at qpi $1" >&2; exit 1"#;

fn scraper() -> Program {
    Program::command("scraper", ["sh", "-c", SHOP, "sh", "{qpi}"])
        .param(Param::string("host").default("shop.example"))
        .param(Param::integer("qpi").default(100).range(10..=200))
        .classify(Classify::pattern("rate_limited", r"HTTP 429"))
        .class("rate_limited", ClassRule::retry().delay("50ms").adjust("qpi", Adjust::multiply(0.5)))
        .retry(RetryPolicy::exponential("50ms").min_delay("1ms").jitter(Jitter::None))
}

#[actix::test]
async fn a_rate_limited_job_is_tried_with_half_the_load_until_it_succeeds() {
    let bench = bench([scraper()]).await;
    let run = bench.run("scraper").await;
    assert_eq!(run.phase, Phase::Succeeded, "{run:?}");
    let loads: Vec<_> = run.attempts.iter().map(|attempt| attempt.params["qpi"].to_string()).collect();
    assert_eq!(loads, ["100", "50", "25"]);
    let why = bench.pm.why(run.id).await.expect("it is known");
    let story: Vec<_> = why.chain.iter().map(|sentence| sentence.text.as_str()).collect();
    for part in [
        "HTTP 429 at qpi 100",
        "HTTP 429 at qpi 50",
        "qpi 100 → 50",
        "qpi 50 → 25",
        "rate_limited",
        "classify[0]",
    ] {
        assert!(story.iter().any(|text| text.contains(part)), "`{part}` is not told: {story:#?}");
    }
    bench.end().await;
}

#[actix::test]
async fn two_failures_open_the_breaker_one_probe_closes_it_and_why_tells_both() {
    let policy =
        || BreakerPolicy::failures(2).penalty("400ms").penalty_jitter(0.0).probe_params(ProbeParams::Current);
    let folder = tempfile::tempdir().expect("a folder");
    let pm = actix_process::ProcessManager::builder()
        .store(folder.path())
        .program(scraper().shared_breaker("site:{host}"))
        .shared_breaker_policy("site:*", policy())
        .start()
        .await
        .expect("it starts");
    let bench = crate::bench_of_one::Bench { pm, folder };
    let run = bench.run("scraper").await;
    assert_eq!(run.phase, Phase::Succeeded, "{run:?}");
    assert_eq!(run.attempts.iter().map(|attempt| attempt.probe).collect::<Vec<_>>(), [false, false, true]);

    let journal = bench.journal().await;
    let place = |what: &str, fits: &dyn Fn(&Event) -> bool| {
        let found = journal.iter().find(|record| fits(&record.event));
        found.unwrap_or_else(|| panic!("the journal does not say that {what}: {journal:#?}"))
    };
    let changed = |to: &'static str| move |event: &Event| matches!(event, Event::BreakerChanged { to: now, .. } if now.name() == to);
    let opened = place("the breaker opened", &changed("open"));
    let held = place("the start was held back", &|event| matches!(event, Event::StartBlocked { .. }));
    let half = place("it let a probe through", &changed("half_open"));
    let probe =
        place("the probe started", &|event| matches!(event, Event::AttemptStarted { probe: true, .. }));
    let closed = place("it closed", &changed("closed"));
    let seqs = [opened.seq, held.seq, half.seq, probe.seq, closed.seq];
    assert!(seqs.is_sorted(), "out of order: {seqs:?}");
    assert!(half.at.since(opened.at) >= 400, "the penalty was served");

    let why = bench.pm.why(run.id).await.expect("it is known");
    let story = why.chain.iter().map(|sentence| sentence.text.as_str()).collect::<Vec<_>>().join("\n");
    for part in ["site:shop.example", "held back", "probe", "HTTP 429 at qpi 50", "→ open", "→ closed"] {
        assert!(story.contains(part), "`{part}` is not told:\n{story}");
    }
    bench.end().await;
}

#[actix::test]
async fn while_one_probe_is_out_its_siblings_wait_and_follow_when_it_succeeds() {
    // The first two fail at once; the next one to start (the probe) waits for a line on which it may succeed.
    let folder = tempfile::tempdir().expect("a folder");
    let gate = Gate::new(folder.path());
    let line = format!(r#"[ "$1" = bad ] && {{{{ echo HTTP 429; exit 1; }}}}; {}"#, gate.wait());
    let program = |name: &str| {
        Program::command(name, ["sh", "-c", &line, "sh", "{kind}"])
            .param(Param::string("kind").required())
            .classify(Classify::pattern("rate_limited", "HTTP 429"))
            .retry(RetryPolicy::exponential("1s").max_retries(0))
            .shared_breaker("site:shop")
    };
    let pm = actix_process::ProcessManager::builder()
        .store(folder.path().join("store"))
        .programs([program("one"), program("two")])
        .shared_breaker_policy("site:*", BreakerPolicy::failures(2).penalty("300ms").penalty_jitter(0.0))
        .start()
        .await
        .expect("it starts");
    let bench = crate::bench_of_one::Bench { pm, folder };
    for name in ["one", "two"] {
        let run = bench.pm.start(name).param("kind", "bad").send().await.expect("it fits");
        run.wait().await.expect("it fails");
    }
    let first = bench.pm.start("one").param("kind", "good").send().await.expect("it waits");
    let second = bench.pm.start("two").param("kind", "good").send().await.expect("it waits");
    bench.phase(&first, Phase::Running).await;
    assert_eq!(second.status().await.expect("known").phase, Phase::Blocked, "one probe at a time");
    gate.open();
    assert!(in_time("the probe's end", first.wait()).await.expect("it ends").is_success());
    bench.phase(&second, Phase::Running).await;
    gate.open();
    assert!(in_time("the sibling's end", second.wait()).await.expect("it ends").is_success());
    bench.end().await;
}

#[actix::test]
async fn a_run_that_a_breaker_holds_back_gives_up_at_its_max_failing() {
    let job = Program::command("job", ["sh", "-c", "echo HTTP 429; exit 1"])
        .class("rate_limited", ClassRule::retry().delay("10ms"))
        .retry(RetryPolicy::exponential("10ms").min_delay("1ms").jitter(Jitter::None).max_failing("1s"))
        .shared_breaker("site:x");
    let folder = tempfile::tempdir().expect("a folder");
    let pm = actix_process::ProcessManager::builder()
        .store(folder.path())
        .program(job)
        .shared_breaker_policy("site:*", BreakerPolicy::failures(1).penalty("1h"))
        .start()
        .await
        .expect("it starts");
    let bench = crate::bench_of_one::Bench { pm, folder };
    let run = bench.run("job").await;
    assert_eq!((run.phase, run.end_reason), (Phase::Failed, Some(EndReason::Deadline)), "{run:?}");
    assert_eq!(run.attempts.len(), 1, "the breaker let no other start through");
    let why = bench.pm.why(run.id).await.expect("it is known");
    let last = why.chain.last().map(|sentence| sentence.text.as_str());
    let told = "failed: it was still held back by site:x when max_failing = 1s was over";
    assert_eq!(last, Some(told));
    bench.end().await;
}

#[actix::test]
async fn why_tells_that_a_sibling_changed_a_parameter_that_both_share() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = Gate::new(folder.path());
    let line = format!(
        r#"[ "$2" = patient ] && {{{{ {}; exit 0; }}}}; [ "$1" -le 50 ] && exit 0; echo HTTP 429; exit 1"#,
        gate.wait()
    );
    let program = |name: &str| {
        Program::command(name, ["sh", "-c", &line, "sh", "{qpi}", "{kind}"])
            .param(Param::string("kind").default("hasty"))
            .param(Param::integer("qpi").default(100).adjust_scope("site:shop"))
            .class("rate_limited", ClassRule::retry().delay("10ms").adjust("qpi", Adjust::multiply(0.5)))
            .retry(RetryPolicy::exponential("10ms").min_delay("1ms").jitter(Jitter::None))
    };
    let bench = bench([program("one"), program("two")]).await;
    let patient = bench.pm.start("one").param("kind", "patient").send().await.expect("it fits");
    bench.phase(&patient, Phase::Running).await;
    let hasty = bench.run("two").await;
    assert_eq!((hasty.phase, hasty.attempt), (Phase::Succeeded, 2), "{hasty:?}");

    let told = format!("two run {} failed and changed it for all: qpi 100 → 50", hasty.id.short());
    let chain = bench.pm.why(patient.id()).await.expect("known").chain;
    assert!(chain.iter().any(|sentence| sentence.text.starts_with(&told)), "`{told}` is not in {chain:#?}");
    let own = bench.pm.why(hasty.id).await.expect("known").chain;
    assert!(own.iter().any(|sentence| sentence.text.starts_with("qpi 100 → 50")), "{own:#?}");
    assert!(own.iter().all(|sentence| !sentence.text.contains("for all")), "{own:#?}");

    gate.open();
    assert!(in_time("its end", patient.wait()).await.expect("it ends").is_success());
    bench.end().await;
}
