//! HTTP requests that nobody sends: bytes that are almost a request, and requests of every kind with any value in them.

use crate::{draw::Draw, witness};
use actix_process::{ProcessManager, Program, RetryPolicy, web};
use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

/// Longest time for an answer on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
const CLIENTS: u64 = 4;

const PATHS: [&str; 30] = [
    "/healthz",
    "/info",
    "/metrics",
    "/programs",
    "/programs/job",
    "/programs/job/why",
    "/programs/job/runs",
    "/programs/job/start",
    "/programs/job/stop",
    "/programs/job/restart",
    "/runs",
    "/runs/RUN",
    "/runs/RUN/why",
    "/runs/RUN/attempts",
    "/runs/RUN/stop",
    "/runs/RUN/start",
    "/runs/RUN/restart",
    "/runs/RUN/signal",
    "/runs/RUN/retry",
    "/logs",
    "/events",
    "/recording",
    "/breakers",
    "/breakers/site:a/reset",
    "/breakers/site:a/open",
    "/breakers/site:a/close",
    "/breakers/site:a/disable",
    "/breakers/site:a/auto",
    "/classes",
    "/nowhere",
];
const KEYS: [&str; 20] = [
    "program", "run", "attempt", "stream", "level", "class", "grep", "since", "until", "dir", "limit",
    "cursor", "phase", "living", "usage", "by", "label", "zzz", "", "limit",
];
const BODY_KEYS: [&str; 12] = [
    "params",
    "labels",
    "requested_by",
    "if_blocked",
    "force",
    "priority",
    "signal",
    "reason",
    "ttl",
    "host",
    "zzz",
    "",
];
const VALUES: [&str; 30] = [
    "",
    "0",
    "1",
    "-1",
    "18446744073709551616",
    "99999999999999999999",
    "1e9",
    "NaN",
    "true",
    "false",
    "null",
    "all",
    "job",
    "RUN",
    "%00",
    "%",
    "%zz",
    "%ff%fe",
    "(",
    "(a%2B)%2B$",
    "stdout",
    "error",
    "back",
    "fwd",
    "10s",
    "2026-11-28T12:00:00Z",
    "-262143-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "../../etc/passwd",
    "a%0d%0ab",
];
const JSON: [&str; 28] = [
    "null",
    "true",
    "0",
    "-1",
    "1e400",
    "18446744073709551616",
    "5.0",
    "\"\"",
    "\"a\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\u{202e}\"",
    "[]",
    "{}",
    "[[[[[]]]]]",
    "{\"a\":{\"a\":{}}}",
    "\"SIGHUP\"",
    "\"HUP\"",
    "99",
    "\"wait\"",
    "\"refuse\"",
    "\"1h\"",
    "\"-1h\"",
    "{\"host\":\"a\"}",
    "{\"host\":1}",
    "{\"host\":null}",
    "{\"n\":5}",
    "{\"n\":\"x\"}",
];

/// A valid request, for the most part.
fn structured(draw: &mut Draw, address: SocketAddr, runs: &[String]) -> String {
    let method = draw.one_of(&["GET", "GET", "POST", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]);
    let mut path = draw.one_of(&PATHS).to_owned();
    if draw.between(0, 2) == 0 {
        path.push('?');
        for _ in 0..draw.between(1, 4) {
            path.push_str(&format!("{}={}&", draw.one_of(&KEYS), draw.one_of(&VALUES)));
        }
    }
    let body = match draw.between(0, 5) {
        0 => String::new(),
        1 => draw.one_of(&JSON).to_owned(),
        2 => "{".repeat(usize::try_from(draw.between(1, 9_000)).expect("a number")),
        _ => {
            let pair = |draw: &mut Draw| format!("\"{}\":{}", draw.one_of(&BODY_KEYS), draw.one_of(&JSON));
            let pairs: Vec<_> = (0..draw.between(0, 4)).map(|_| pair(draw)).collect();
            format!("{{{}}}", pairs.join(","))
        }
    };
    let which = usize::try_from(draw.next() % runs.len() as u64).expect("a place");
    let (path, body) = (path.replace("RUN", &runs[which]), body.replace("RUN", &runs[which]));
    let kind = draw.one_of(&[
        "application/json",
        "application/json",
        "application/json",
        "text/plain",
        "",
        "a/b;c=\"d",
    ]);
    let accept =
        draw.one_of(&["*/*", "text/plain", "application/x-ndjson", "application/json;q=2", ",,;q=", "x"]);
    let key = draw.one_of(&["", "", "k", "ä", "\u{1}"]);
    let token = draw.one_of(&[
        "Bearer token",
        "Bearer token",
        "Bearer token",
        "Bearer token",
        "Bearer nobody",
        "Basic x",
    ]);
    let host =
        draw.one_of(&["OWN", "OWN", "OWN", "OWN", "OWN", "localhost", "evil.example", "", "a b", "[::1"]);
    let prefix = if path.starts_with("/healthz") { "" } else { "/api/v1" };
    let mut text =
        format!("{method} {prefix}{path} HTTP/1.1\r\nconnection: close\r\nauthorization: {token}\r\n");
    text.push_str(&format!("host: {}\r\naccept: {accept}\r\n", host.replace("OWN", &address.to_string())));
    for (name, value) in [("content-type", kind), ("idempotency-key", key)] {
        if !value.is_empty() {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    format!("{text}content-length: {}\r\n\r\n{body}", body.len())
}

/// The bytes of a request, damaged.
fn raw(draw: &mut Draw, request: String) -> Vec<u8> {
    let mut bytes = request.into_bytes();
    for _ in 0..draw.between(1, 5) {
        let place = usize::try_from(draw.next() % bytes.len().max(1) as u64).expect("a place");
        let rest = bytes.len() - place;
        match draw.between(0, 7) {
            0 if rest > 0 => bytes[place] ^= 1 << draw.between(0, 7),
            1 => bytes.truncate(place),
            2 => drop(
                bytes.drain(place..place + rest.min(usize::try_from(draw.between(0, 60)).expect("a number"))),
            ),
            3 => drop(bytes.splice(
                place..place,
                (0..draw.between(1, 50)).map(|_| draw.next() as u8).collect::<Vec<_>>(),
            )),
            4 => drop(bytes.splice(place..place, b"\r\ntransfer-encoding: chunked\r\n".iter().copied())),
            5 => drop(
                bytes.splice(place..place, b"\r\ncontent-length: 99999999999999999999\r\n".iter().copied()),
            ),
            6 => drop(bytes.splice(place..place, std::iter::repeat_n(b'a', 20_000))),
            _ => {
                let copy = bytes[place..].to_vec();
                bytes.extend(copy);
            }
        }
    }
    bytes
}

/// How long the answer to what is no whole request is waited for: the server waits for the rest of it.
const GLANCE: Duration = Duration::from_millis(20);

/// What came back until the connection was closed, or until then.
fn spoken(address: SocketAddr, bytes: &[u8], time: Duration) -> Result<Vec<u8>, String> {
    let mut stream = TcpStream::connect(address).map_err(|error| format!("no connection: {error}"))?;
    stream.set_read_timeout(Some(time)).expect("a time");
    // A body that is refused before it is read may not be taken whole.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
        {
            if time == PATIENCE {
                Err("no end of the answer in time".to_owned())
            } else {
                Ok(Vec::new())
            }
        }
        _ => Ok(answer),
    }
}

/// What is wrong with the first answer; empty when nothing is.
fn judge(answer: &[u8], whole: bool) -> String {
    let text = String::from_utf8_lossy(answer);
    if text.is_empty() {
        return if whole { "no answer".to_owned() } else { String::new() };
    }
    let status = text.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse::<u16>().ok());
    let Some(status) = status else { return "no status".to_owned() };
    if status >= 500 && status != 503 && status != 505 {
        return format!("{status}: our fault");
    }
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return "no end of the head".to_owned() };
    // Of what is no request at all, the server underneath says so without a body.
    if whole && status >= 400 && !body.is_empty() {
        let problem: Option<serde_json::Value> = serde_json::from_str(body).ok();
        if !head.contains("application/problem+json")
            || problem.is_none_or(|problem| problem["status"] != status)
        {
            return format!("{status} without a problem document");
        }
    }
    String::new()
}

async fn a_server() -> (tempfile::TempDir, ProcessManager, web::Server, SocketAddr, Vec<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    let once = RetryPolicy::exponential("1s").max_retries(0).no_intensity();
    let job = Program::command("job", ["sh", "-c", "echo HTTP 429; exit 1"])
        .param(actix_process::Param::string("host").default("a"))
        .param(actix_process::Param::integer("n").default(1).range(0..=9))
        .shared_breaker("site:{host}")
        .retry(once)
        .max_concurrent(2)
        .queue(50);
    let store = folder.path().join("store");
    let pm = ProcessManager::builder().store(store).program(job).start().await.expect("it starts");
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(pm.start("job").send().await.expect("it fits").id().to_string());
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let access = web::Access { token: "token".into(), allowed_hosts: Vec::new() };
    let server = web::serve(&pm, listener, access).expect("it serves");
    (folder, pm, server, address, runs)
}

/// Sends so many of them over several connections at once, and asks how things are at the end.
async fn send_all(short: u64, make: fn(&mut Draw, SocketAddr, &[String]) -> Vec<u8>, whole: bool) {
    witness::watch();
    let (count, mut draw) = crate::cases(short);
    let time = if whole { PATIENCE } else { GLANCE };
    let (_folder, pm, server, address, runs) = a_server().await;
    let serving = actix_rt::spawn(server.future);
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let (mut draw, runs) = (Draw::of(draw.next()), runs.clone());
        clients.push(tokio::task::spawn_blocking(move || {
            let mut wrong = Vec::new();
            for _ in 0..count / CLIENTS {
                let bytes = make(&mut draw, address, &runs);
                let found =
                    spoken(address, &bytes, time).map_or_else(|why| why, |answer| judge(&answer, whole));
                if !found.is_empty() {
                    let shown: String = String::from_utf8_lossy(&bytes).chars().take(1_000).collect();
                    wrong.push(format!("{found}:\n{shown}"));
                }
            }
            wrong
        }));
    }
    let mut wrong = Vec::new();
    for client in clients {
        wrong.extend(client.await.expect("no panic"));
    }
    assert!(wrong.is_empty(), "{} of {count}, the first: {:#?}", wrong.len(), &wrong[..wrong.len().min(3)]);
    let health = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let asked = tokio::task::spawn_blocking(move || spoken(address, health.as_bytes(), PATIENCE));
    let health = asked.await.expect("no panic").expect("an answer");
    assert!(health.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&health));
    server.handle.stop(false).await;
    serving.await.expect("no panic").expect("an orderly end");
    tokio::time::timeout(PATIENCE, pm.shutdown()).await.expect("in time").expect("an orderly end");
    witness::assert_no_panic("a request");
}

#[actix::test]
async fn requests_with_any_value_anywhere_are_answered_and_none_is_our_fault() {
    let make = |draw: &mut Draw, address, runs: &[String]| structured(draw, address, runs).into_bytes();
    send_all(3_000, make, true).await;
}

#[actix::test]
async fn bytes_that_are_almost_a_request_harm_nobody() {
    let make = |draw: &mut Draw, address, runs: &[String]| {
        let request = structured(draw, address, runs);
        raw(draw, request)
    };
    send_all(3_000, make, false).await;
}
