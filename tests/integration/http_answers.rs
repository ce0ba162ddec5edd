//! What HTTP answers to bad requests, word by word: `tests/messages/http.txt`, written anew by
//! `UPDATE_MESSAGES=1 cargo test --test integration what_is_said`.

use crate::{
    bad_input::{CONFIG, compare},
    death::{Daemon, until},
};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

/// One request, spoken by hand: no client of ours would send all of these.
struct Asked<'a> {
    method: &'a str,
    path: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a str,
}

const fn get(path: &str) -> Asked<'_> {
    Asked { method: "GET", path, headers: &[], body: "" }
}

const fn post<'a>(path: &'a str, body: &'a str) -> Asked<'a> {
    Asked { method: "POST", path, headers: &[("content-type", "application/json")], body }
}

const fn keyed<'a>(path: &'a str, body: &'a str) -> Asked<'a> {
    let headers = &[("content-type", "application/json"), ("idempotency-key", "k1")];
    Asked { method: "POST", path, headers, body }
}

/// What was asked, as people read it, and what came back: the head of the answer and its body.
fn spoken(daemon: &Daemon, token: &str, asked: &Asked<'_>) -> (String, String, String) {
    let address = daemon.url().trim_start_matches("http://");
    let Asked { method, path, headers, body } = asked;
    let mut request =
        format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    let mut shown = format!("> {method} {path}");
    for (name, value) in [("host", address), ("authorization", token)] {
        if !headers.iter().any(|(other, _)| *other == name) && !value.is_empty() {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    for (name, value) in *headers {
        request.push_str(&format!("{name}: {value}\r\n"));
        if *value != "application/json" {
            shown.push_str(&format!("\n> {name}: {value}"));
        }
    }
    if !body.is_empty() {
        let short: String = body.chars().take(80).collect();
        shown.push_str(&format!("\n> {short}{}", if short == *body { "" } else { "…" }));
    }
    let mut stream = TcpStream::connect(address).expect("it listens");
    // A body that is refused before it is read may not be taken whole.
    let _ = stream.write_all(format!("{request}\r\n{body}").as_bytes());
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    (shown, head.to_owned(), body.to_owned())
}

/// What was asked and what was refused.
fn answer(daemon: &Daemon, token: &str, asked: &Asked<'_>) -> String {
    let (mut shown, head, body) = spoken(daemon, token, asked);
    let mut lines = head.lines();
    shown.push_str(&format!("\n< {}", lines.next().expect("a status").trim_start_matches("HTTP/1.1 ")));
    for header in lines.filter(|line| {
        ["allow", "retry-after", "www-authenticate"].iter().any(|name| line.starts_with(&format!("{name}:")))
    }) {
        shown.push_str(&format!("\n< {header}"));
    }
    assert!(head.contains("content-type: application/problem+json"), "{shown}\n{head}\n{body}");
    let problem: serde_json::Value = serde_json::from_str(&body).expect("a problem document");
    assert!(
        problem["type"].as_str().is_some_and(|kind| kind.ends_with(problem["code"].as_str().unwrap_or("?")))
    );
    let mut problem = problem.as_object().expect("an object").clone();
    problem.remove("type");
    shown.push_str(&format!("\n{:#}\n\n", serde_json::Value::Object(problem)));
    shown.replace(daemon.url().trim_start_matches("http://"), "ADDRESS")
}

fn is_over(daemon: &Daemon, run: &str) {
    until("it is over", || daemon.cli(&["status", run]).contains("succeeded"));
}

/// The run that the key of [`keyed`] stands for from now on, when it is over.
fn first_with_key(daemon: &Daemon, token: &str) -> String {
    let (_, _, run) = spoken(daemon, token, &keyed("/api/v1/programs/fine/runs", "{}"));
    let run: serde_json::Value = serde_json::from_str(&run).expect("a run");
    let id = run["id"].as_str().expect("its id").to_owned();
    is_over(daemon, &id);
    id
}

/// Every list, asked for no item of it.
const fn nothing_of(attempts: &str) -> [Asked<'_>; 5] {
    [
        get("/api/v1/runs?limit=0"),
        get("/api/v1/events?limit=0"),
        get("/api/v1/logs?limit=0"),
        get("/api/v1/recording?limit=0"),
        get(attempts),
    ]
}

#[test]
fn what_is_said_over_http() {
    let folder = tempfile::tempdir().expect("a folder");
    let waits = "[program.waits]\ncommand = [\"sh\", \"-c\", \"exit 1\"]\nmax_concurrent = 1\nqueue = 0\n\
        [program.waits.retry]\ndelay = \"2m\"\n\
        [program.guarded]\ncommand = [\"true\"]\n\
        [program.daemon]\ncommand = [\"sleep\", \"1000\"]\nrestart = \"always\"\n";
    fs::write(folder.path().join("supervise.toml"), format!("{CONFIG}{waits}")).expect("written");
    let daemon = Daemon::up(folder.path());
    let token = fs::read_to_string(folder.path().join("store/token")).expect("there");
    let token = format!("Bearer {}", token.trim());
    let id = |args: &[&str]| daemon.cli(args).lines().next().unwrap_or_default().to_owned();
    let (ended, holding, daemons) = (id(&["run", "fine"]), id(&["run", "waits"]), id(&["start", "daemon"]));
    is_over(&daemon, &ended);
    until("it waits", || daemon.cli(&["ps"]).contains("backoff"));
    daemon.cli(&["breaker", "open", "program:guarded", "--reason", "maintenance"]);
    let first = first_with_key(&daemon, &token);
    let large = format!("{{\"params\":{{\"url\":\"{}\"}}}}", "x".repeat(5_000));
    let larger = format!("{{\"params\":{{\"url\":\"{}\"}}}}", "x".repeat(20_000));
    let of = |what: &str| format!("/api/v1/runs/{ended}/{what}");
    let (stop, signal, attempts) = (of("stop"), of("signal"), of("attempts?limit=0"));
    let foreign = [("content-type", "application/json"), ("origin", "http://evil.example")];
    let asked = [
        get("/api/v1/programs/fin"),
        post("/api/v1/programs/fin/runs", "{}"),
        post("/api/v1/programs/scraper/runs", "{}"),
        post("/api/v1/programs/scraper/runs", r#"{"params":{"ur":"x","depth":50}}"#),
        post("/api/v1/programs/scraper/runs", r#"{"params":{"url":"x","depth":"deep"}}"#),
        post("/api/v1/programs/fine/runs", r#"{"params":{"a":1}}"#),
        post("/api/v1/programs/scraper/runs", r#"{"parms":{"url":"x"},"labels":{"a":1},"if_blocked":"go"}"#),
        post("/api/v1/programs/scraper/runs", r#"{"params":{"url":"#),
        keyed("/api/v1/programs/fine/runs", r#"{"requested_by":"alice"}"#),
        post("/api/v1/programs/scraper/runs", "url=x"),
        post("/api/v1/programs/scraper/runs", "[]"),
        post("/api/v1/programs/scraper/runs", &large),
        post("/api/v1/programs/scraper/runs", &larger),
        post("/api/v1/programs/waits/runs", "{}"),
        post("/api/v1/programs/daemon/runs", "{}"),
        post("/api/v1/programs/guarded/runs", r#"{"if_blocked":"refuse"}"#),
        get("/api/v1/runs/01ABCD"),
        get("/api/v1/runs/ABC"),
        post(&stop, "{}"),
        post(&signal, r#"{"signal":"SIGNOTHING"}"#),
        post(&signal, r#"{"signal":"SIGKILL"}"#),
        post("/api/v1/programs/fine/stop", "{}"),
        post("/api/v1/programs/daemon/stop?wait=5", "{}"),
        post("/api/v1/breakers/site%3Anowhere/reset", "{}"),
        post("/api/v1/breakers/program%3Aguarded/open", r#"{"ttl":"5"}"#),
        get("/api/v1/runs?limit=many"),
        get("/api/v1/runs?phase=asleep"),
        get("/api/v1/runs?limti=3"),
        get("/api/v1/runs?cursor=x"),
        get("/api/v1/logs?grep=("),
        get("/api/v1/logs?since=soon"),
        get("/api/v1/events?wait=5"),
        get("/api/v1/program"),
        get("/elsewhere"),
        Asked { method: "DELETE", ..get("/api/v1/runs/01ABCD") },
        Asked { method: "PUT", ..get("/api/v1/programs/fine/runs") },
        Asked { headers: &[("authorization", "")], ..get("/api/v1/runs") },
        Asked { headers: &[("authorization", "Bearer wrong")], ..get("/api/v1/runs") },
        Asked { headers: &[("host", "evil.example")], ..get("/api/v1/runs") },
        Asked { headers: &foreign, ..post("/api/v1/programs/fine/runs", "{}") },
        Asked { headers: &[("content-type", "text/plain")], ..post("/api/v1/programs/fine/runs", "{}") },
    ];
    let mut text: String =
        asked.iter().chain(&nothing_of(&attempts)).map(|asked| answer(&daemon, &token, asked)).collect();
    for (id, name) in [(&ended, "ENDED"), (&holding, "WAITING"), (&daemons, "DAEMON"), (&first, "FIRST")] {
        text = text.replace(id.as_str(), name);
    }
    daemon.end();
    compare("http", &text);
}
