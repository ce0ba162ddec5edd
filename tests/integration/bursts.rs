//! Many jobs at once, each of which says one line and is over: what is said of each is what became of it.

use crate::bench_of_one::{Bench, bench, in_time, shell};
use actix_process::{Program, RetryPolicy, actors::model::ExitStatus};
use futures_util::future::join_all;
use std::collections::BTreeMap;

const STARTS: usize = 150;
const BURSTS: usize = 5;

/// A job that ends within milliseconds, and what must be told of it.
struct Job {
    name: &'static str,
    line: &'static str,
    told: &'static str,
}

/// Phase, exit, class, and how many lines it wrote.
const JOBS: [Job; 5] = [
    Job { name: "well", line: "echo done", told: "succeeded, exit 0, no class, 1 line" },
    Job { name: "fails", line: "echo try; exit 1", told: "failed, exit 1, exit_nonzero, 1 line" },
    Job { name: "limited", line: "echo HTTP 429; exit 1", told: "failed, exit 1, rate_limited, 1 line" },
    Job { name: "refused", line: "echo HTTP 429; exit 3", told: "failed, exit 3, rate_limited, 1 line" },
    Job {
        name: "crashes",
        line: "ulimit -c 0; echo try; kill -SEGV $$",
        told: "failed, SIGSEGV, crash, 1 line",
    },
];

fn programs() -> Vec<Program> {
    let once = || RetryPolicy::exponential("1s").max_retries(0).no_intensity();
    let program = |job: &Job| shell(job.name, job.line).retry(once()).no_breaker().queue(2_000);
    JOBS.iter().map(program).collect()
}

fn told(phase: &str, exit: &str, class: Option<&str>, lines: u64) -> String {
    format!("{phase}, {exit}, {}, {lines} line", class.unwrap_or("no class"))
}

/// What was told of all bursts: each answer, and how often it was given.
#[derive(Default)]
struct Told(BTreeMap<(&'static str, String), usize>);

impl Told {
    fn hear(&mut self, job: &Job, answers: Vec<String>) {
        assert_eq!(answers.len(), STARTS);
        answers.into_iter().for_each(|answer| *self.0.entry((job.name, answer)).or_default() += 1);
    }

    /// Of each job the right answer alone.
    #[track_caller]
    fn assert_right(self) {
        let right = JOBS.iter().map(|job| ((job.name, job.told.to_owned()), STARTS * BURSTS));
        assert_eq!(self.0, right.collect());
    }
}

/// Every other burst is asked for at once, the rest one after the other: a manager that has much to write writes at once,
/// one that has little waits for company.
async fn burst(bench: &Bench, job: &Job, number: usize) -> Vec<String> {
    let mut runs = Vec::new();
    if number.is_multiple_of(2) {
        for _ in 0..STARTS {
            runs.push(in_time("the start", bench.start(job.name)).await);
        }
    } else {
        let starts = (0..STARTS).map(|_| bench.start(job.name));
        runs = in_time("every start", join_all(starts)).await;
    }
    let ends = in_time("every end", join_all(runs.iter().map(|run| run.wait()))).await;
    ends.into_iter().for_each(|end| drop(end.expect("the run ends")));
    let mut answers = Vec::new();
    for run in &runs {
        let status = run.status().await.expect("the run is known");
        let attempt = status.current().expect("it was started");
        let exit = match attempt.exit {
            Some(ExitStatus::Code(code)) => format!("exit {code}"),
            Some(ExitStatus::Signal { number: libc::SIGSEGV, .. }) => "SIGSEGV".to_owned(),
            other => format!("{other:?}"),
        };
        let phase = format!("{:?}", status.phase).to_lowercase();
        answers.push(told(&phase, &exit, attempt.class.as_deref(), attempt.lines));
    }
    answers
}

#[actix::test]
async fn of_bursts_of_short_jobs_each_ends_as_what_it_was() {
    let bench = bench(programs()).await;
    let mut heard = Told::default();
    for number in 0..BURSTS {
        for job in &JOBS {
            heard.hear(job, burst(&bench, job, number).await);
        }
    }
    heard.assert_right();
    bench.end().await;
}

/// Starts one job after the other over one connection, and then asks how each ended.
#[cfg(feature = "web")]
fn burst_over_http(address: std::net::SocketAddr, job: &Job) -> Vec<String> {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let read = |mut response: ureq::http::Response<ureq::Body>| -> serde_json::Value {
        let text = response.body_mut().read_to_string().expect("it has a body");
        serde_json::from_str(&text).expect("it is JSON")
    };
    let base = format!("http://{address}/api/v1");
    let mut ids = Vec::new();
    for _ in 0..STARTS {
        let request = agent.post(format!("{base}/programs/{}/runs", job.name));
        let request = request.header("authorization", "Bearer token").content_type("application/json");
        let run = read(request.send("{}").expect("it is answered"));
        ids.push(run["id"].as_str().expect("a run").to_owned());
    }
    let ended = |id: &String| {
        let request = agent.get(format!("{base}/runs/{id}?wait=60s"));
        let run = read(request.header("authorization", "Bearer token").call().expect("it is answered"));
        let attempt = &run["attempts"][0];
        let exit = match (attempt["exit_code"].as_i64(), attempt["signal"].as_str()) {
            (Some(code), None) => format!("exit {code}"),
            (None, Some(signal)) => signal.to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(run["counts"]["lines"], attempt["lines"], "both tell the same: {run:#}");
        let lines = attempt["lines"].as_u64().expect("a number");
        told(run["phase"].as_str().expect("a word"), &exit, attempt["class"].as_str(), lines)
    };
    ids.iter().map(ended).collect()
}

#[cfg(feature = "web")]
#[actix::test]
async fn of_bursts_over_http_each_ends_as_what_it_was() {
    use actix_process::web;
    let bench = bench(programs()).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let access = web::Access { token: "token".into(), allowed_hosts: Vec::new() };
    let server = web::serve(&bench.pm, listener, access).expect("it serves");
    let serving = actix_rt::spawn(server.future);
    let mut heard = Told::default();
    for _ in 0..BURSTS {
        for job in &JOBS {
            let asked = tokio::task::spawn_blocking(move || burst_over_http(address, job));
            heard.hear(job, in_time("every answer", asked).await.expect("no panic"));
        }
    }
    heard.assert_right();
    server.handle.stop(false).await;
    serving.await.expect("no panic").expect("an orderly end");
    bench.end().await;
}
