//! A configuration as the library takes it: with settings in code, anew while everything runs, and all of it or none.

use crate::bench_of_one::{Bench, in_time, shell};
use actix_process::{
    ErrorKind, ProcessManager, ProcessManagerBuilder,
    actors::model::{Phase, Written},
    config::{self, Config},
};
use std::path::Path;

fn parse(text: &str, folder: &Path) -> Config {
    config::parse(&format!("version = 1\n{text}"), &folder.join("supervise.toml")).expect("it is right")
}

const DAEMON: &str =
    "[program.daemon]\ncommand = [\"sleep\", \"1000\"]\nrestart = \"always\"\nautostart = true\n";
const JOB: &str = "[program.job]\ncommand = [\"true\"]\nretry = { max_retries = 2 }\n";

async fn start(builder: ProcessManagerBuilder, folder: tempfile::TempDir) -> Bench {
    Bench { pm: builder.start().await.expect("it starts"), folder }
}

/// What the machines were told of programs and of the budget.
async fn configured(bench: &Bench) -> Vec<serde_json::Value> {
    let recording = bench.pm.recording((0, 0), 1 << 20).await.expect("the journal reads");
    let inputs = recording.commits.iter().flat_map(|commit: &Written| &commit.inputs);
    let inputs = inputs.map(|input| serde_json::from_slice(input).expect("it is JSON"));
    inputs
        .filter(|input: &serde_json::Value| input["input"] == "configured" || input["input"] == "budget")
        .collect()
}

#[actix::test]
async fn a_file_and_settings_in_code_are_combined() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = parse(DAEMON, folder.path());
    let store = folder.path().join("elsewhere");
    let builder = ProcessManager::builder().config(config).store(&store).program(shell("own", "true"));
    let bench = start(builder, folder).await;
    assert_eq!(bench.pm.store(), store);
    let programs = bench.pm.programs().await.expect("it lives");
    let names: Vec<_> = programs.iter().map(|status| status.program.name.as_str()).collect();
    assert_eq!(names, ["daemon", "own"]);
    let mut seen = 0;
    while bench.pm.program("daemon").await.expect("known").living.is_empty() {
        seen = in_time("its start", bench.news(seen)).await;
    }
    bench.end().await;
}

#[actix::test]
async fn a_refused_reload_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let bench = start(parse(JOB, folder.path()).into(), folder).await;
    let before = configured(&bench).await;
    assert_eq!(before.len(), 1, "programs and budget are one decision: {before:?}");

    let mut wrong = parse(&format!("[retry_budget]\ncapacity = 1.0\n{DAEMON}"), bench.folder.path());
    wrong.programs[0].name = "Not A Name".to_owned();
    let refused = bench.pm.reload(wrong).await.expect_err("the name is none");
    assert_eq!(refused.kind(), ErrorKind::Config);
    assert_eq!(configured(&bench).await, before, "no budget, no program");
    assert_eq!(bench.pm.program("job").await.expect("still there").living.len(), 0);
    bench.end().await;
}

#[actix::test]
async fn a_reload_starts_what_is_new_and_touches_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let bench = start(parse(JOB, folder.path()).into(), folder).await;
    let text = format!("[retry_budget]\ncapacity = 3.0\n{JOB}{DAEMON}[program.idle]\ncommand = [\"true\"]\n");
    let configured_by = bench.pm.reload(parse(&text, bench.folder.path())).await.expect("it fits");
    assert_eq!(configured_by.added, ["daemon", "idle"]);
    let daemon = bench.pm.program("daemon").await.expect("known").living.remove(0);
    assert_eq!(daemon.requested_by.as_deref(), Some("autostart"));
    assert!(
        bench.pm.runs(Default::default()).await.expect("it lives").iter().all(|run| run.program == "daemon")
    );
    let last = configured(&bench).await.pop().expect("recorded");
    assert_eq!(last["retry_budget"]["budget"]["capacity_permille"], 3_000, "in the same decision: {last}");

    // Stopped by hand: that the file is read again is no reason to start it.
    bench.pm.program_handle("daemon").stop().await.expect("it stops");
    let run = bench.pm.run(daemon.id).await.expect("known");
    bench.phase(&run, Phase::Stopped).await;
    bench.pm.reload(parse(&text, bench.folder.path())).await.expect("it fits");
    assert!(bench.pm.program("daemon").await.expect("known").living.is_empty());
    bench.end().await;
}

#[actix::test]
async fn a_run_says_how_many_attempts_its_program_allows_now() {
    let folder = tempfile::tempdir().expect("a folder");
    let bench = start(parse(JOB, folder.path()).into(), folder).await;
    let run = bench.start("job").await;
    in_time("the end", run.wait()).await.expect("it ends");
    let allowed = async |bench: &Bench| {
        let listed = bench.pm.runs(Default::default()).await.expect("it lives").remove(0).max_attempts;
        assert_eq!(run.status().await.expect("known").max_attempts, listed);
        listed
    };
    assert_eq!(allowed(&bench).await, Some(3));
    for (text, most) in [
        ("[program.job]\ncommand = [\"true\"]\n", Some(6)),
        ("[program.job]\ncommand = [\"true\"]\nrestart = \"no\"\n", Some(1)),
        ("[program.job]\ncommand = [\"true\"]\nrestart = \"always\"\n", None),
        (DAEMON, None),
    ] {
        bench.pm.reload(parse(text, bench.folder.path())).await.expect("it fits");
        assert_eq!(allowed(&bench).await, most, "{text}");
    }
    bench.pm.reload(parse(JOB, bench.folder.path())).await.expect("it fits");
    let folder = bench.folder;
    in_time("the shutdown", bench.pm.shutdown()).await.expect("an orderly end");
    // Not stored, but told by the next manager all the same.
    let with_budget = parse(&format!("[retry_budget]\ncapacity = 3.0\n{JOB}"), folder.path());
    let bench = start(with_budget.into(), folder).await;
    let newest = configured(&bench).await.into_iter().rev().take(2);
    let told: Vec<_> = newest.map(|input| input["input"].clone()).collect();
    assert_eq!(told, ["configured", "budget"], "Retry has its budget before what it saved");
    assert_eq!(
        bench.pm.run(run.id()).await.expect("known").status().await.expect("known").max_attempts,
        Some(3)
    );
    bench.end().await;
}
