//! What was decided live is decided again, from what the journal says the machines were told.

use crate::{
    bench_of_one::{Gate, bench, in_time, shell},
    death::{Daemon, until},
};
use actix_process::{
    Adjust, BreakerPolicy, ClassRule, Classify, Jitter, Param, ProcessManager, Program, Restart, RetryPolicy,
    actors::{
        breaker::OperatorAct,
        model::{Event, JournalRecord, RunId, ScopeKind},
    },
    simulate::{self, Compared},
};
use std::{collections::BTreeMap, path::Path};

/// Fails until its marker is there, which its third attempt makes.
fn flaky(folder: &Path) -> Program {
    let line = format!(
        "n=$(cat {0}/$1 2>/dev/null || echo 0); echo $((n + 1)) > {0}/$1; [ $n -ge 2 ] && exit 0; \
         echo 'the shop says no'; exit 1",
        folder.display()
    );
    Program::command("flaky", ["sh", "-c", &line, "sh", "{name}"])
        .param(Param::string("name").required())
        .param(Param::integer("qpi").default(64).range(1..=100).adjust_scope("site:shop"))
        .shared_breaker("site:shop")
        .classify(Classify::pattern("refused", "says no"))
        .class(
            "refused",
            ClassRule::retry().weight(1.0).scopes([ScopeKind::Shared]).adjust("qpi", Adjust::multiply(0.5)),
        )
        .retry(RetryPolicy::exponential("20ms").min_delay("1ms").max_retries(9).jitter(Jitter::Full))
}

fn missing() -> Program {
    Program::command("missing", ["there-is-no-such-program"]).retry(RetryPolicy::exponential("1ms"))
}

async fn open(folder: &Path, gate: &Gate) -> ProcessManager {
    let waits = shell("waits", &format!("echo here; {}", gate.wait()));
    let daemon = Program::command("daemon", ["sleep", "1000"]).restart(Restart::Always);
    let broken = shell("broken", "echo oops; exit 3")
        .classify(Classify::pattern("own", "oops"))
        .retry(RetryPolicy::exponential("5ms").min_delay("1ms").max_retries(2));
    ProcessManager::builder()
        .store(folder.join("store"))
        .programs([flaky(folder), missing(), waits, daemon, broken])
        .shared_breaker_policy("site:*", BreakerPolicy::failures(3).penalty("50ms").max_penalty("100ms"))
        .start()
        .await
        .expect("the manager starts")
}

/// How many decisions of each kind were made again; every one as it was made live.
#[track_caller]
fn all_agree(compared: &[Compared]) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for one in compared {
        let kind = |record: &JournalRecord| {
            let record = serde_json::to_value(record).expect("plain data");
            record["kind"].as_str().expect("a kind").to_owned()
        };
        assert!(one.agrees(), "{one:#?}");
        *kinds.entry(one.live.as_ref().map(kind).expect("it agrees")).or_default() += 1;
    }
    kinds
}

/// Everything that leads to a decision once; the decisions, and a run that is over.
async fn first_life(folder: &Path, gate: &Gate) -> (BTreeMap<String, usize>, RunId) {
    let pm = open(folder, gate).await;
    let mut runs = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        let start = pm.start("flaky").param("name", name).requested_by("alice");
        runs.push(start.send().await.expect("the start fits"));
    }
    for program in ["missing", "broken"] {
        runs.push(pm.start(program).send().await.expect("the start fits"));
    }
    for run in &runs {
        in_time("the end", run.wait()).await.expect("the run ends");
    }
    // Operators: a stop, a start of what is over, a breaker opened and closed by hand.
    let waits = pm.start("waits").send().await.expect("the start fits");
    waits.stop().await.expect("it lives");
    in_time("the end", waits.wait()).await.expect("the run ends");
    waits.restart().await.expect("it is known");
    gate.open();
    in_time("the end", waits.wait()).await.expect("the run ends");
    let act = |act| pm.operate_breaker("site:shop", act, Some("bob".into()), None);
    act(OperatorAct::ForceOpen { ttl_ms: None }).await.expect("it is known");
    let refused = pm.start("flaky").param("name", "f").refuse_if_blocked().send().await;
    refused.expect_err("the breaker is open");
    let blocked = pm.start("flaky").param("name", "f").send().await.expect("the start fits");
    act(OperatorAct::Reset).await.expect("it is known");
    in_time("the end", blocked.wait()).await.expect("the run ends");
    let daemon = pm.start("daemon").send().await.expect("the start fits");
    daemon.restart().await.expect("it lives");
    let decisions = all_agree(&simulate::decide_again(&pm).await.expect("it reads"));
    pm.shutdown().await.expect("it ends");
    (decisions, blocked.id())
}

#[actix::test]
async fn every_decision_of_two_lives_is_made_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = Gate::new(folder.path());
    let (first, over) = first_life(folder.path(), &gate).await;
    for kind in ["attempt_started", "retry_scheduled", "start_blocked", "breaker_changed", "param_changed"] {
        assert!(first.contains_key(kind), "{kind}: {first:?}");
    }
    // The next one takes the daemon up, and what was learnt; and somebody starts what is over.
    let pm = open(folder.path(), &gate).await;
    let old = pm.run(over).await.expect("it is known");
    old.restart().await.expect("it is over");
    in_time("the end", old.wait()).await.expect("the run ends");
    let both = all_agree(&simulate::decide_again(&pm).await.expect("it reads"));
    assert!(both.contains_key("supervisor_restarted"), "{both:?}");
    assert!(both["attempt_started"] > first["attempt_started"], "{first:?} {both:?}");
    pm.shutdown().await.expect("it ends");
}

/// The proof that agreement means something: with another seed, delays and penalties are others.
#[actix::test]
async fn with_another_seed_other_delays_are_drawn_and_that_shows() {
    let rules = RetryPolicy::exponential("20ms").min_delay("1ms").max_retries(2).jitter(Jitter::Full);
    let bench = bench([shell("fails", "exit 1").retry(rules)]).await;
    bench.run("fails").await;
    let page = bench.pm.recording((0, 0), 1 << 20).await.expect("it reads");
    let replay = |seed| {
        let mut replay = simulate::Replay::new(seed);
        let mut compared: Vec<_> = page.commits.iter().flat_map(|commit| replay.take(commit)).collect();
        compared.extend(replay.finish());
        compared
    };
    all_agree(&replay(page.seed));
    let other = replay(page.seed ^ 1);
    let differs: Vec<_> = other.iter().filter(|one| !one.agrees()).collect();
    let scheduled = |record: &JournalRecord| matches!(record.event, Event::RetryScheduled { .. });
    assert!(differs.first().is_some_and(|one| one.live.as_ref().is_some_and(scheduled)), "{differs:#?}");
    bench.end().await;
}

const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
[store]
path = "store"
[program.scraper]
command = ["sh", "-c", "sleep 0.05; echo says no; exit 1"]
params.host = { type = "string", required = true }
retry = { delay = "30ms", min_delay = "1ms", max_retries = 8 }
breakers = ["site:{host}"]
classify = [{ class = "refused", pattern = "says no" }]
classes.refused = { scopes = ["shared"] }
[breaker."site:*"]
failures = 3
penalty = "100ms"
max_penalty = "200ms"
"#;

#[test]
fn a_daemon_that_was_killed_agrees_with_what_it_decided_in_both_lives() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("supervise.toml"), CONFIG).expect("it writes");
    let daemon = Daemon::up(folder.path());
    let runs = ["a", "a", "b"].map(|host| daemon.cli(&["run", "scraper", &format!("host={host}")]));
    until("a breaker that opened", || daemon.cli(&["breaker"]).contains("open"));
    daemon.kill();
    let daemon = Daemon::up(folder.path());
    for run in &runs {
        let ended = || daemon.cli(&["status", run.trim(), "-o", "json"]).contains("\"failed\"");
        until("the end", ended);
    }
    let again = daemon.answer(&["simulate", "--from-journal", runs[0].trim()]);
    let (told, said) = (String::from_utf8_lossy(&again.stdout), String::from_utf8_lossy(&again.stderr));
    assert!(again.status.success(), "{said}\n{told}");
    assert!(said.contains("0 differ") && !told.contains("\"differs\""), "{said}");
    for kind in ["run_queued", "retry_scheduled", "breaker_changed", "supervisor_restarted", "run_ended"] {
        assert!(told.contains(&format!("\"kind\":\"{kind}\"")), "{kind}: {told}");
    }
    daemon.end();
}
