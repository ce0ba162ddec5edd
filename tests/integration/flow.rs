//! The message flow of one run, by the public messages of the actors alone: no facade in between.

use crate::bench_of_one::{bench, in_time, shell};
use actix_process::actors::{
    breaker,
    manager::{
        Configure, GetBreakers, GetEvents, GetRun, Logs, Options, Shutdown, Start, Stop, Wait, Why, open,
    },
    model::{
        BreakerPolicy, Classify, Direction, Event, JournalRecord, LogQuery, Phase, Program, RetryPolicy,
        Stream,
    },
};

/// Records about a run, as `kind` with what matters of it.
fn story(records: &[JournalRecord]) -> Vec<String> {
    let tell = |record: &JournalRecord| match &record.event {
        Event::RunQueued { .. } => Some("queued".to_owned()),
        Event::AttemptStarted { .. } => Some(format!("started {}", record.attempt.unwrap_or_default())),
        Event::AttemptSpawned { .. } => Some("spawned".to_owned()),
        Event::AttemptEnded { exit, class, line, .. } => Some(format!(
            "ended {exit:?} {} {}",
            class.as_deref().unwrap_or("success"),
            line.as_deref().unwrap_or("")
        )),
        Event::RetryScheduled { n, .. } => Some(format!("retry after failure {n}")),
        Event::RunEnded { phase, .. } => Some(phase.name().to_owned()),
        _ => None,
    };
    records.iter().filter_map(tell).collect()
}

#[actix::test]
async fn a_run_passes_every_room_and_its_story_is_in_the_journal() {
    let folder = tempfile::tempdir().expect("a folder");
    let marker = folder.path().join("marker");
    let line = format!(
        "if [ -e {0} ]; then echo fine; else touch {0}; echo 'HTTP 503 from shop'; exit 3; fi",
        marker.display()
    );
    let program = Program::command("job", ["sh", "-c", &line])
        .classify(Classify::pattern("upstream", "HTTP 503"))
        .breaker(BreakerPolicy::failures(3))
        .retry(RetryPolicy::exponential("20ms").min_delay("1ms"));
    let store = folder.path().join("store");
    let opening = tokio::task::spawn_blocking(move || open(Options::new(store)));
    let running = opening.await.expect("no panic").expect("it opens");
    let manager = running.addr.clone();

    let configured = manager.send(Configure::new(vec![program], [])).await;
    assert_eq!(configured.expect("it lives").added, ["job"]);
    let mut start = Start::default();
    start.program = "job".into();
    start.requested_by = Some("alice".into());
    let run = manager.send(start).await.expect("it lives").expect("it fits");
    let ended =
        in_time("the end", manager.send(Wait { run: run.id })).await.expect("it lives").expect("it is known");
    assert_eq!((ended.phase, ended.attempt), (Phase::Succeeded, 2));

    let get = GetEvents { after: 0, limit: 0, wait_ms: 0 };
    let events = manager.send(get).await.expect("it lives").expect("it reads");
    let expected = [
        "queued",
        "started 1",
        "spawned",
        "ended Some(3) upstream HTTP 503 from shop",
        "retry after failure 1",
        "started 2",
        "spawned",
        "ended Some(0) success ",
        "succeeded",
    ];
    assert_eq!(story(&events), expected);
    assert!(events.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq), "no hole in the journal");

    let mut query = LogQuery::default();
    query.filter.run = Some(run.id);
    query.filter.stream = Some(Stream::Stdout);
    query.direction = Direction::Forward;
    let page = manager.send(Logs { query, wait_ms: 0 }).await.expect("it lives").expect("it reads");
    let lines: Vec<_> =
        page.records.iter().map(|r| (r.attempt.number, String::from_utf8_lossy(&r.bytes))).collect();
    assert_eq!(lines, [(1, "HTTP 503 from shop".into()), (2, "fine".into())]);
    assert_eq!(page.records.first().and_then(|record| record.class.as_deref()), Some("upstream"));

    let found = manager
        .send(GetRun { id: run.id.short() })
        .await
        .expect("it lives")
        .expect("the end of an id is enough");
    assert_eq!(found.id, run.id);
    let why = manager.send(Why { run: run.id }).await.expect("it lives").expect("it is known");
    assert!(why.summary.contains("succeeded"), "{}", why.summary);
    let breakers: Vec<breaker::BreakerStatus> =
        manager.send(GetBreakers).await.expect("it lives").expect("so does the Breaker");
    assert!(breakers.iter().all(|breaker| breaker.state.name() == "closed"), "{breakers:?}");
    let stopped = manager.send(Stop { run: run.id, by: None }).await.expect("it lives");
    assert!(stopped.is_err(), "what is over cannot be stopped");

    in_time("the shutdown", manager.send(Shutdown)).await.expect("it answers");
    drop(manager);
    tokio::task::spawn_blocking(move || running.join()).await.expect("its threads end");
}

#[actix::test]
async fn a_second_manager_is_told_who_has_the_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    let (first, second) = tokio::task::spawn_blocking(move || {
        let first = open(Options::new(&path)).expect("it opens");
        (first, open(Options::new(&path)))
    })
    .await
    .expect("no panic");
    let error = second.expect_err("one owner").to_string();
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    first.addr.send(Shutdown).await.expect("it answers");
}

#[actix::test]
async fn nobody_else_may_read_anything_in_the_store() {
    use std::os::unix::fs::PermissionsExt;
    fn files(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() { files(&path, found) } else { found.push(path) }
        }
    }
    let bench = bench([shell("job", "echo hello")]).await;
    bench.run("job").await;
    let store = bench.folder.path().join("store");
    let mode = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |data| data.permissions().mode());
    assert_eq!(mode(&store) & 0o777, 0o700);
    let mut found = Vec::new();
    files(&store, &mut found);
    // The database makes its own files, which the folder protects; these are ours.
    let ours = found.iter().filter(|path| path.parent() == Some(&*store));
    let open: Vec<_> = ours.filter(|path| mode(path) & 0o077 != 0).collect();
    assert!(open.is_empty(), "{open:?}");
    bench.end().await;
}
