//! The routes without a supervisor: who comes in, what is refused, and what things look like.

use super::{Access, service, wire};
use crate::ProcessManager;
use actix_process_actors::model::{
    self, AttemptId, Cursor, ExitStatus, Level, ParamValue, Phase, Reason, RunId, Stream, Timestamp,
};
use actix_web::{App, test};
use serde_json::{Value, json};

/// Status and body of a request with everything that it takes to come in.
async fn ask(method: &str, path: &str, body: &str) -> (u16, Value) {
    let access = Access { token: "t".into(), allowed_hosts: Vec::new() };
    let app = test::init_service(App::new().service(service(&ProcessManager::of_nobody(), access))).await;
    let request = test::TestRequest::default()
        .method(method.parse().unwrap())
        .uri(path)
        .insert_header(("host", "localhost"))
        .insert_header(("authorization", "Bearer t"))
        .insert_header(("content-type", "application/json"))
        .set_payload(body.to_owned());
    let response = test::call_service(&app, request.to_request()).await;
    let status = response.status().as_u16();
    assert_eq!(response.headers().get("x-content-type-options").unwrap(), "nosniff", "{path}");
    if status >= 400 {
        assert_eq!(response.headers().get("content-type").unwrap(), "application/problem+json", "{path}");
    }
    let bytes = test::read_body(response).await;
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

#[actix::test]
async fn every_refusal_is_a_problem_document() {
    for (method, path, body, status, code) in [
        ("GET", "/api/v1/nothing", "", 404, "unknown_address"),
        ("GET", "/api/v1/", "", 404, "unknown_address"),
        ("DELETE", "/api/v1/runs", "", 405, "wrong_method"),
        ("GET", "/api/v1/programs/a/runs", "", 405, "wrong_method"),
        ("DELETE", "/api/v1/runs/x", "", 405, "wrong_method"),
        ("POST", "/healthz", "", 405, "wrong_method"),
        ("GET", "/api/v1/runs?limti=3", "", 400, "malformed"),
        ("GET", "/api/v1/runs?phase=asleep", "", 400, "malformed"),
        ("GET", "/api/v1/runs?cursor=x", "", 400, "malformed"),
        ("GET", "/api/v1/logs?cursor=x", "", 400, "malformed"),
        ("GET", "/api/v1/logs?limit=0", "", 400, "malformed"),
        ("GET", "/api/v1/events?wait=5", "", 400, "malformed"),
        ("POST", "/api/v1/programs/a/runs", "{", 400, "malformed"),
        ("POST", "/api/v1/programs/a/runs", "{\"parms\":{}}", 422, "validation"),
        ("POST", "/api/v1/runs/x/signal", "{\"signal\":\"SIGNOTHING\"}", 422, "validation"),
        ("POST", "/api/v1/runs/x/signal", "{}", 422, "validation"),
        ("POST", "/api/v1/breakers/site%3Aa/close", "{\"ttl\":\"1h\"}", 422, "validation"),
        ("POST", "/api/v1/breakers/site%3Aa/explode", "{}", 404, "unknown_address"),
        ("GET", "/api/v1/runs", "", 503, "shut_down"),
        ("GET", "/api/v1/logs?dir=fwd", "", 503, "shut_down"),
        ("POST", "/api/v1/programs/a/runs", "{}", 503, "shut_down"),
        ("GET", "/healthz", "", 503, "shut_down"),
        ("GET", "/api/v1/metrics", "", 503, "shut_down"),
        ("GET", "/api/v1/metrics?program=a", "", 400, "malformed"),
    ] {
        let (got, problem) = ask(method, path, body).await;
        assert_eq!(
            (got, problem["code"].as_str()),
            (status, Some(code)),
            "{method} {path} {body}: {problem}"
        );
        assert_eq!(problem["status"], status);
        assert!(problem["type"].as_str().is_some_and(|kind| kind.ends_with(code)));
        assert!(!problem["detail"].as_str().unwrap_or_default().is_empty());
    }
}

#[actix::test]
async fn a_large_body_is_refused_before_it_is_read() {
    let (status, problem) = ask("POST", "/api/v1/programs/a/runs", &" ".repeat(20_000)).await;
    assert_eq!((status, problem["code"].as_str()), (413, Some("too_large")));
}

#[actix::test]
async fn strangers_hear_what_they_lack() {
    let access = Access { token: "t".into(), allowed_hosts: Vec::new() };
    let app = test::init_service(App::new().service(service(&ProcessManager::of_nobody(), access))).await;
    for (headers, status) in [
        (vec![("host", "evil.example"), ("authorization", "Bearer t")], 421),
        (vec![("host", "localhost"), ("authorization", "Bearer t"), ("origin", "http://evil.example")], 403),
        (vec![("host", "localhost")], 401),
        (vec![("host", "localhost"), ("authorization", "Bearer t"), ("content-type", "text/plain")], 415),
    ] {
        let mut request = test::TestRequest::post().uri("/api/v1/runs/x/stop");
        for header in headers {
            request = request.insert_header(header);
        }
        let response = test::call_service(&app, request.to_request()).await;
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers().contains_key("www-authenticate"), status == 401);
        let problem: Value = test::read_body_json(response).await;
        assert_eq!(problem["status"], status);
    }
}

#[actix::test]
async fn a_server_answers_on_its_listener_until_it_is_stopped() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let access = Access { token: "t".into(), allowed_hosts: Vec::new() };
    let server = super::serve(&ProcessManager::of_nobody(), listener, access).unwrap();
    let handle = server.handle.clone();
    let running = actix_rt::spawn(server.future);
    for (path, status) in [("/healthz", "503"), ("/elsewhere", "404"), ("/api/v1/runs", "503")] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost:{}\r\nauthorization: Bearer t\r\nconnection: close\r\n\r\n",
            address.port()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        assert!(answer.contains("nosniff"), "{path}: {answer}");
    }
    handle.stop(true).await;
    running.await.unwrap().unwrap();
}

#[test]
fn a_run_reads_as_the_contract_says() {
    let id = RunId::from_parts(1_000, 7);
    let params = [("qpi".into(), ParamValue::Integer(50)), ("api_key".into(), ParamValue::Secret)].into();
    let mut run = model::Run::new(id, "scraper".into(), params, Timestamp(120));
    run.requested_by = Some("alice".into());
    run.phase = Phase::Backoff;
    run.attempt = 1;
    run.max_attempts = Some(6);
    run.next_attempt_at = Some(Timestamp(252_000));
    run.reason = Some(Reason {
        class: "rate_limited".into(),
        exit: Some(ExitStatus::Code(1)),
        message: "HTTP 429".into(),
        rule: "classify[0]".into(),
        preferred: None,
        help: "wait".into(),
    });
    let mut attempt = model::Attempt::new(1, model::Params::new(), false, Timestamp(200));
    attempt.pid = Some(4711);
    attempt.ended_at = Some(Timestamp(1_200));
    attempt.exit = Some(ExitStatus::Signal { number: 9, core: false });
    attempt.class = Some("crash".into());
    attempt.lines = 812;
    run.attempts.push_back(attempt);
    run.counts.lines = 812;
    let expected = json!({
        "id": id.to_string(), "program": "scraper", "phase": "backoff", "wanted": "up",
        "params": {"qpi": 50, "api_key": "***"}, "requested_by": "alice", "labels": {},
        "created_at": "1970-01-01T00:00:00.120Z", "attempt": 1, "max_attempts": 6, "pid": null,
        "next_attempt_at": "1970-01-01T00:04:12.000Z", "held": null,
        "reason": {"class": "rate_limited", "exit_code": 1, "signal": null, "message": "HTTP 429",
                   "rule": "classify[0]", "help": "wait"},
        "end_reason": null, "ended_at": null,
        "attempts": [{"number": 1, "pid": 4711, "params": {}, "probe": false,
                      "started_at": "1970-01-01T00:00:00.200Z", "ended_at": "1970-01-01T00:00:01.200Z",
                      "exit_code": null, "signal": "SIGKILL", "class": "crash", "lines": 812, "adopted": false}],
        "counts": {"lines": 812, "errors": 0, "gaps": 0},
    });
    assert_eq!(serde_json::to_value(wire::Run::of(&run)).unwrap(), expected);
    let reason = model::ParamReason {
        from: 100.into(),
        to: 50.into(),
        why: "rate_limited: times 0.5 gives 50".into(),
    };
    run.attempts[0].param_reasons = [("qpi".to_owned(), vec![reason])].into();
    let run = serde_json::to_value(wire::Run::of(&run)).unwrap();
    let told = json!({"qpi": [{"from": 100, "to": 50, "why": "rate_limited: times 0.5 gives 50"}]});
    assert_eq!(run["attempts"][0]["param_reasons"], told, "where there is something to tell");
}

#[test]
fn a_record_shows_what_is_no_utf8_as_replaced() {
    let attempt = AttemptId { run: RunId::from_parts(0, 0), number: 2 };
    let cursor = Cursor { block: 1, line: 2, attempt, stream: Stream::Stderr, offset: 9, seq: 811 };
    let record = model::Record {
        cursor,
        seq: 812,
        at: Timestamp(5),
        program: "scraper".into(),
        attempt,
        stream: Stream::Stderr,
        level: Some(Level::Error),
        class: Some("rate_limited".into()),
        bytes: b"HTTP \xff429".to_vec(),
        newline: true,
        partial: false,
        gap: 0,
    };
    let wire = serde_json::to_value(wire::Record::of(&record)).unwrap();
    assert_eq!(
        wire,
        json!({"cursor": cursor.to_string(), "seq": 812, "at": "1970-01-01T00:00:00.005Z", "program": "scraper",
               "run": attempt.run.to_string(), "attempt": 2, "stream": "stderr", "level": "error",
               "class": "rate_limited", "text": "HTTP \u{fffd}429", "newline": true,
               "partial": false})
    );
}

#[test]
fn times_beyond_the_calendar_are_its_end_and_never_is_null() {
    assert_eq!(wire::time(Timestamp(0)), "1970-01-01T00:00:00.000Z");
    assert_eq!(wire::time_or_null(Some(Timestamp::NEVER)), None);
    assert!(wire::time(Timestamp(u64::MAX - 1)).starts_with("9999-12-3"));
}

#[test]
fn the_reference_page_has_every_route_and_no_other() {
    let page = include_str!("../../docs/reference/http.md");
    let told: std::collections::BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned))
        .collect();
    let mut known = std::collections::BTreeSet::new();
    // A long path stands on a line of its own.
    let routes = include_str!("routes.rs").replace("(\n            \"", "(\"");
    for line in routes.lines() {
        let Some((call, rest)) = line.trim().trim_start_matches(".service(").split_once("(\"") else {
            continue;
        };
        let (Some(path), Some(method)) = (
            rest.split('"').next(),
            match call.rsplit(' ').next() {
                Some("get") => Some("GET"),
                Some("post") => Some("POST"),
                _ => None,
            },
        ) else {
            continue;
        };
        // The one path whose last part is a choice.
        let (path, acts) = path.split_once("{act:").unwrap_or((path, ""));
        let acts = acts.trim_end_matches('}').split('|');
        known.extend(acts.map(|act| format!("{method} {path}{act}")));
    }
    assert!(known.len() > 20, "the routes are found: {known:?}");
    assert_eq!(told, known);
}
