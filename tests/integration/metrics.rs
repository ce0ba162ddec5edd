//! Metrics of a real life: they are sums of what the journal says, and read by a strict reader.

use crate::{
    bench_of_one::{bench, shell},
    death::Daemon,
    exposition::{Family, parse},
};
use actix_process::{
    Adjust, BreakerPolicy, ClassRule, Param, RetryPolicy, ScopeKind,
    actors::model::{Event, JournalRecord},
};
use std::{
    io::{Read, Write},
    net::TcpStream,
};

#[track_caller]
fn sum(families: &[Family], name: &str, suffix: &str, labels: &[(&str, &str)]) -> f64 {
    let name = format!("actix_process_{name}");
    families.iter().find(|family| family.name == name).expect("it is told").sum(suffix, labels)
}

#[actix::test]
async fn every_figure_is_the_sum_of_what_the_journal_says() {
    let fails = shell("fails", "echo HTTP 429; exit 1")
        .param(Param::integer("qpi").default(100).range(10..=200))
        .class(
            "rate_limited",
            ClassRule::retry()
                .delay("1ms")
                .weight(1.0)
                .scopes([ScopeKind::Program])
                .adjust("qpi", Adjust::multiply(0.5)),
        )
        .retry(RetryPolicy::exponential("1ms").min_delay("1ms").max_retries(3))
        .breaker(BreakerPolicy::failures(2).penalty("100ms"));
    let bench = bench([fails, shell("idle", "true")]).await;
    bench.run("fails").await;
    let page = bench.pm.metrics().await.expect("it lives");
    let families = parse(&page).unwrap_or_else(|why| panic!("{why}\n{page}"));
    let journal = bench.journal().await;
    let count =
        |is: &dyn Fn(&JournalRecord) -> bool| journal.iter().filter(|record| is(record)).count() as f64;
    let of = |event: &dyn Fn(&Event) -> bool| count(&|record| event(&record.event));
    let own = [("program", "fails")];
    let class = [("program", "fails"), ("class", "rate_limited")];
    for (name, suffix, labels, expected) in [
        ("attempts_started_total", "", &own[..], of(&|event| matches!(event, Event::AttemptStarted { .. }))),
        ("restarts_total", "", &own, 3.0),
        ("attempts_failed_total", "", &class, of(&|event| matches!(event, Event::AttemptEnded { .. }))),
        ("error_lines_total", "", &class, 4.0),
        ("retries_scheduled_total", "", &class, of(&|event| matches!(event, Event::RetryScheduled { .. }))),
        ("retry_delay_seconds", "_count", &own, of(&|event| matches!(event, Event::RetryScheduled { .. }))),
        ("starts_held_back_total", "", &own, of(&|event| matches!(event, Event::StartBlocked { .. }))),
        ("parameter_changes_total", "", &own, of(&|event| matches!(event, Event::ParamChanged { .. }))),
        ("runs_ended_total", "", &[("program", "fails"), ("phase", "failed")], 1.0),
        ("runs_failed_total", "", &class, 1.0),
        ("runs_given_up_total", "", &[("program", "fails"), ("reason", "max_retries")], 1.0),
        ("runs", "", &own, 0.0),
    ] {
        assert_eq!(sum(&families, name, suffix, labels), expected, "{name} {labels:?}\n{page}");
    }
    let scope = ("scope", "program:fails");
    let changes = of(&|event| matches!(event, Event::BreakerChanged { from, to, .. } if from != to));
    assert!(changes >= 3.0, "it opened, let a probe through, and opened again: {journal:#?}");
    assert_eq!(sum(&families, "breaker_transitions_total", "", &[scope]), changes, "{page}");
    assert_eq!(
        sum(&families, "breaker_transitions_total", "", &[scope, ("from", "closed"), ("to", "open")]),
        1.0
    );
    assert_eq!(sum(&families, "breaker_state", "", &[scope]), 1.0, "it is in one state");
    let delays = journal.iter().filter_map(|record| match record.event {
        Event::RetryScheduled { delay_ms, .. } => Some(delay_ms),
        _ => None,
    });
    assert_eq!(sum(&families, "retry_delay_seconds", "_sum", &own), delays.sum::<u64>() as f64 / 1_000.0);
    assert_eq!(sum(&families, "attempts_started_total", "", &[("program", "idle")]), 0.0);
    assert!(sum(&families, "store_size_bytes", "", &[]) > 0.0);
    bench.end().await;
}

/// Head and body of what `/api/v1/metrics` answers.
fn asked(daemon: &Daemon, token: &str) -> (String, String) {
    let address = daemon.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("it listens");
    let request = format!(
        "GET /api/v1/metrics HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is answered");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    (head.to_owned(), body.to_owned())
}

#[test]
fn metrics_need_the_token_and_say_what_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = "version = 1\n[store]\npath = \"store\"\n[program.job]\ncommand = [\"true\"]\n";
    std::fs::write(folder.path().join("supervise.toml"), config).expect("written");
    let daemon = Daemon::up(folder.path());
    let token = std::fs::read_to_string(folder.path().join("store/token")).expect("there");
    let (head, _) = asked(&daemon, "wrong");
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    daemon.cli(&["run", "job", "--wait"]);
    let (head, body) = asked(&daemon, token.trim());
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    let families = parse(&body).unwrap_or_else(|why| panic!("{why}\n{body}"));
    let ended = [("program", "job"), ("phase", "succeeded")];
    assert_eq!(sum(&families, "runs_ended_total", "", &ended), 1.0, "{body}");
    daemon.end();
}
