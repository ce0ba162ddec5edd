//! More starts at once than there is room for.

use crate::bench_of_one::{Gate, bench, in_time, shell};
use actix_process::{ErrorKind, Program, actors::manager::GetRuns};
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

const PLACES: u32 = 20;
const QUEUE: u32 = 300;
const ROOM: usize = (PLACES + QUEUE) as usize;

/// Children that end when they are let go, so that the room is full whatever the machine is doing.
fn held_back(folder: &std::path::Path) -> (Gate, Program) {
    let gate = Gate::new(folder);
    let job = shell("job", &gate.wait()).max_concurrent(PLACES).queue(QUEUE);
    (gate, job)
}

#[actix::test]
async fn of_ten_thousand_starts_at_once_each_is_a_run_that_ends_or_a_refusal_with_its_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let (gate, job) = held_back(folder.path());
    let bench = bench([job]).await;
    let starts = join_all((0..10_000).map(|_| bench.pm.start("job").send()));
    let (mut runs, mut reasons) = (Vec::new(), BTreeMap::<String, usize>::new());
    for answer in in_time("an answer to each", starts).await {
        match answer {
            Ok(run) => runs.push(run),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::QueueFull, "{error}");
                assert!(error.help().is_some(), "{error}");
                *reasons.entry(error.to_string()).or_default() += 1;
            }
        }
    }
    assert_eq!(runs.len(), ROOM);
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    let (reason, refused) = reasons.first_key_value().expect("most are refused");
    assert!(reason.contains(&QUEUE.to_string()), "{reason}");
    assert_eq!(*refused, 10_000 - ROOM);

    (0..ROOM).for_each(|_| gate.open());
    for end in in_time("every end", join_all(runs.iter().map(|run| run.wait()))).await {
        assert!(end.expect("the run ends").is_success());
    }
    let mut all = GetRuns::default();
    all.limit = 20_000;
    let known: BTreeSet<_> = bench.pm.runs(all).await.expect("it answers").iter().map(|run| run.id).collect();
    assert_eq!(known, runs.iter().map(|run| run.id()).collect(), "no run but those that were accepted");
    bench.end().await;
}

/// What a request over HTTP was answered: the id of a run, or the status and the code of the refusal.
#[cfg(feature = "web")]
fn post(agent: &ureq::Agent, address: std::net::SocketAddr) -> Result<String, (u16, String)> {
    let url = format!("http://{address}/api/v1/programs/job/runs");
    let request = agent.post(url).header("authorization", "Bearer token").content_type("application/json");
    let mut response = request.send("{}").expect("it is answered");
    let status = response.status().as_u16();
    let body = response.body_mut().read_to_string().expect("it has a body");
    let body: serde_json::Value = serde_json::from_str(&body).expect("it is JSON");
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    if status == 202 { Ok(text("id")) } else { Err((status, text("code"))) }
}

#[cfg(feature = "web")]
#[actix::test]
async fn starts_over_many_connections_at_once_are_each_a_run_or_a_refusal_that_says_which() {
    use actix_process::web;
    const CONNECTIONS: usize = 16;
    const EACH: usize = 64;
    let folder = tempfile::tempdir().expect("a folder");
    let (gate, job) = held_back(folder.path());
    let bench = bench([job]).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let access = web::Access { token: "token".into(), allowed_hosts: Vec::new() };
    let server = web::serve(&bench.pm, listener, access).expect("it serves");
    let serving = actix_rt::spawn(server.future);
    let clients = (0..CONNECTIONS).map(|_| {
        tokio::task::spawn_blocking(move || {
            let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
            (0..EACH).map(|_| post(&agent, address)).collect::<Vec<_>>()
        })
    });
    let answers = in_time("an answer to each", join_all(clients)).await;
    let answers: Vec<_> = answers.into_iter().flat_map(|answers| answers.expect("no panic")).collect();
    let accepted: BTreeSet<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert_eq!((accepted.len(), refused.len()), (ROOM, CONNECTIONS * EACH - ROOM));
    let full = (429, "queue_full".to_owned());
    assert!(refused.iter().all(|refusal| **refusal == full), "{refused:?}");

    (0..ROOM).for_each(|_| gate.open());
    for id in accepted {
        let run = bench.pm.run(id).await.expect("an accepted run exists");
        assert!(in_time("its end", run.wait()).await.expect("it ends").is_success());
    }
    server.handle.stop(false).await;
    serving.await.expect("no panic").expect("an orderly end");
    bench.end().await;
}
