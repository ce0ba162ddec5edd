//! What the library's error says, word by word: `tests/messages/library.txt`, written anew by
//! `UPDATE_MESSAGES=1 cargo test --test integration what_is_said`.

use crate::{bad_input::compare, bench_of_one::bench};
use actix_process::{
    BreakerPolicy, Error, Param, ProcessManager, Program, Restart, RetryPolicy,
    actors::{breaker::OperatorAct, model::Phase},
};

/// Kind, message and help of a refusal.
fn said(what: &str, error: &Error) -> String {
    let help = error.help().map_or(String::new(), |help| format!("  help: {help}\n"));
    format!("{what}\n  kind: {}\n  {error}\n{help}\n", error.kind().name())
}

fn refused<T>(what: &str, result: Result<T, Error>) -> String {
    said(what, &result.err().expect("it is refused"))
}

#[actix::test]
async fn what_is_said_by_the_library() {
    let programs = [
        Program::command("scraper", ["true"])
            .param(Param::url("url").required())
            .param(Param::integer("depth").default(3).range(1..=10))
            .param(Param::choice("mode", ["fast", "thorough"]))
            .param(Param::string("api_key").secret("API_KEY")),
        Program::command("fine", ["true"]),
        Program::command("waits", ["false"]).max_concurrent(1).queue(0).retry(RetryPolicy::exponential("2m")),
        Program::command("guarded", ["true"]).breaker(BreakerPolicy::failures(1)),
        Program::command("daemon", ["sleep", "1000"]).restart(Restart::Always),
    ];
    let bench = bench(programs).await;
    let pm = &bench.pm;
    let fine = bench.run("fine").await;
    let waits = bench.start("waits").await;
    bench.phase(&waits, Phase::Backoff).await;
    let daemon = bench.start("daemon").await;
    bench.phase(&daemon, Phase::Running).await;
    let open = OperatorAct::ForceOpen { ttl_ms: None };
    pm.operate_breaker("program:guarded", open, None, None).await.expect("it opens");
    let fine = pm.run(fine.id).await.expect("known");
    let mut text = [
        refused("a program that is not there", pm.start("scrapr").send().await),
        refused("a required parameter is missing", pm.start("scraper").send().await),
        refused(
            "parameters that do not fit",
            pm.start("scraper").param("ur", "x").param("depth", 50).param("mode", "slow").send().await,
        ),
        refused(
            "values of another type",
            pm.start("scraper").param("url", "shop").param("depth", "deep").send().await,
        ),
        refused("a program without parameters gets one", pm.start("fine").param("a", 1).send().await),
        refused(
            "a large parameter",
            pm.start("scraper").param("url", format!("http://{}", "x".repeat(5_000))).send().await,
        ),
        refused("the queue is full", pm.start("waits").send().await),
        refused("a breaker is open", pm.start("guarded").refuse_if_blocked().send().await),
        refused("a daemon runs already", pm.start("daemon").send().await),
        refused("a run that is not there", pm.run("01ABCDEFGH").await),
        refused("the end of an id that is too short", pm.run("ABC").await),
        refused("stop what is over", fine.stop().await),
        refused("a signal to what waits", waits.signal(15).await),
        refused("a breaker that is not there", {
            pm.operate_breaker("site:nowhere", OperatorAct::Reset, None, None).await
        }),
        refused("a pattern that is none", pm.logs().grep("(").read().next_record().await),
        refused("a store that is held", ProcessManager::builder().store(pm.store()).start().await),
        refused("a definition that cannot be", {
            let twice =
                vec![Program::command("a", ["true"]), Program::command("a", ["true"]).stop_timeout("5")];
            pm.configure(twice, Vec::new()).await
        }),
    ]
    .concat();
    let clone = bench.pm.clone();
    let store = clone.store().display().to_string();
    for (id, name) in [(fine.id(), "ENDED"), (waits.id(), "WAITING"), (daemon.id(), "DAEMON")] {
        text = text.replace(&id.to_string(), name);
    }
    bench.end().await;
    text.push_str(&refused("a supervisor that was shut down", clone.programs().await));
    let own = format!("process {} ", std::process::id());
    let mut lines = String::new();
    for line in text.replace(&store, "STORE").lines() {
        // Who holds it and since when differs from one test to the next.
        match line.split_once(&own) {
            Some((head, _)) => lines.push_str(&format!("{head}process PID …\n")),
            None => lines.push_str(&format!("{line}\n")),
        }
    }
    compare("library", &lines);
}
