//! Many starts at once.

use super::{Setup, proc::Memory, verdict};
use actix_process::{ErrorKind, ProcessManager, Program, web};
use futures_util::future::join_all;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// Places, and runs that may wait for one: half of the requests must be refused.
const PLACES: u32 = 20;
const QUEUE: u32 = 5_000;

/// Connections of the HTTP client, each with one request at a time.
const CONNECTIONS: usize = 64;

/// KiB that a run may take while it waits, its asker's own memory included.
const WAITING_KIB: f64 = 10.0;

const TOKEN: &str = "bench";

/// Answers to start requests: ids of runs, and reasons of refusals with their number.
#[derive(Default)]
struct Answers {
    accepted: BTreeSet<String>,
    refused: BTreeMap<String, usize>,
}

pub(crate) async fn measure(setup: &Setup) {
    println!("starts: {} requests, {PLACES} places, {QUEUE} may wait", setup.starts);
    let job = || Program::command("job", setup.child("end")).env_clear().max_concurrent(PLACES).queue(QUEUE);

    let pm = setup.manager(vec![job()]).await;
    warm(&pm).await;
    let before = Memory::now();
    let begin = Instant::now();
    let mut answers = Answers::default();
    for answer in join_all((0..setup.starts).map(|_| pm.start("job").send())).await {
        match answer {
            Ok(run) => drop(answers.accepted.insert(run.id().to_string())),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::QueueFull);
                *answers.refused.entry(error.to_string()).or_default() += 1;
            }
        }
    }
    judge("library", setup, &pm, before, begin, answers).await;

    let pm = setup.manager(vec![job()]).await;
    warm(&pm).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let access = web::Access { token: TOKEN.into(), allowed_hosts: Vec::new() };
    let (serving, stop) = serve(pm.clone(), listener, access);
    let before = Memory::now();
    let begin = Instant::now();
    let each = setup.starts / CONNECTIONS;
    let mut answers = Answers::default();
    for more in join_all((0..CONNECTIONS).map(|n| {
        let rest = if n == 0 { setup.starts % CONNECTIONS } else { 0 };
        post(address, each + rest)
    }))
    .await
    {
        answers.accepted.extend(more.accepted);
        for (reason, count) in more.refused {
            *answers.refused.entry(reason).or_default() += count;
        }
    }
    judge("HTTP", setup, &pm, before, begin, answers).await;
    let _ = stop.send(());
    serving.join().unwrap();
}

async fn warm(pm: &ProcessManager) {
    pm.start("job").send().await.unwrap().wait().await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
}

async fn judge(
    way: &str,
    setup: &Setup,
    pm: &ProcessManager,
    before: Memory,
    begin: Instant,
    answers: Answers,
) {
    let answered_s = begin.elapsed().as_secs_f64();
    let full = Memory::now();
    let waiting = pm.status().await.unwrap().programs[0].living.len();
    println!(
        "      {way}: all answered after {answered_s:.2} s ({:.0} a second)",
        setup.starts as f64 / answered_s
    );
    println!("      {way}: {} accepted; refused: {:?}", answers.accepted.len(), answers.refused);
    let refused: usize = answers.refused.values().sum();
    let lost = setup.starts.abs_diff(answers.accepted.len() + refused);
    verdict(&format!("{way}: requests without an answer of their own"), lost as f64, "", 0.0);
    let each = (full.sum() - before.sum()) / waiting.max(1) as f64;
    println!("      {way}: PSS {} to {} KiB with {waiting} living", before.sum(), full.sum());
    // Those who ask are in this process too, with a future and an answer for each request.
    verdict(&format!("{way}: memory for each run that waits"), each, "KiB", WAITING_KIB);
    let mut unfinished = 0;
    for id in &answers.accepted {
        let run = pm.run(id).await.unwrap();
        unfinished += usize::from(!run.wait().await.unwrap().is_success());
    }
    println!("      {way}: all over after {:.2} s", begin.elapsed().as_secs_f64());
    verdict(&format!("{way}: accepted runs that did not end well"), unfinished as f64, "", 0.0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!("      {way}: PSS {} KiB when all is over", Memory::now().sum());
    pm.shutdown().await.unwrap();
}

/// The HTTP server on a thread with a system of its own.
fn serve(
    pm: ProcessManager,
    listener: std::net::TcpListener,
    access: web::Access,
) -> (std::thread::JoinHandle<()>, tokio::sync::oneshot::Sender<()>) {
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let thread = std::thread::spawn(move || {
        actix::System::new().block_on(async move {
            let server = web::serve(&pm, listener, access).unwrap();
            let handle = server.handle.clone();
            let serving = actix_rt::spawn(server.future);
            let _ = stopped.await;
            handle.stop(false).await;
            let _ = serving.await;
        });
    });
    (thread, stop)
}

/// So many requests over one connection, one after the other.
async fn post(address: std::net::SocketAddr, count: usize) -> Answers {
    let mut answers = Answers::default();
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    let request = format!(
        "POST /api/v1/programs/job/runs HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    for _ in 0..count {
        stream.get_mut().write_all(request.as_bytes()).await.unwrap();
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest.get(..3).unwrap().parse().unwrap();
            }
            if let Some(rest) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = rest.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        match status {
            202 => drop(answers.accepted.insert(body["id"].as_str().unwrap().to_owned())),
            _ => *answers.refused.entry(format!("{status} {}", body["detail"])).or_default() += 1,
        }
    }
    answers
}
