//! A client that tries everything on a running service: `--self-test http://127.0.0.1:8080`.

use serde_json::{Value, json};
use std::{error::Error, time::Duration};
use ureq::{Agent, Body, http::Response};

/// How often a job is asked about, and how many times: two minutes are far more than a busy machine needs.
const ASK_EVERY: Duration = Duration::from_millis(100);
const ASK_TIMES: usize = 1_200;

type Done<T> = Result<T, Box<dyn Error>>;

/// One user of the service.
struct Client<'a> {
    agent: Agent,
    url: &'a str,
    user: &'a str,
}

pub(crate) fn run(url: &str) -> Done<()> {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(ANSWER_WITHIN))
        .build()
        .into();
    let alice = Client { agent: agent.clone(), url, user: "alice" };
    let bob = Client { agent, url, user: "bob" };

    let id = alice.start(&json!({"kind": "convert", "params": {"file": "-<b>.pdf", "pages": 4}}))?;
    let job = alice.wait(&id, |job| job["phase"] == "succeeded")?;
    expect(&job["line"], "wrote -<b>.pdf.txt")?;
    expect(&job["percent"], 100)?;
    let mut output = alice.get(&format!("{id}/output"))?;
    expect(
        &output.headers().get("content-type").map(|kind| kind.as_bytes()),
        Some(b"text/plain; charset=utf-8".as_slice()),
    )?;
    expect(&output.body_mut().read_to_string()?.lines().count(), 6_usize)?;
    for path in [id.clone(), format!("{id}/output")] {
        expect(&bob.get(&path)?.status().as_u16(), 404_u16)?;
    }

    let id = alice.start(&json!({"kind": "convert", "params": {"file": "damaged.pdf"}}))?;
    let job = alice.wait(&id, |job| job["phase"] == "failed")?;
    expect(&job["failure"]["class"], "damaged")?;
    expect(&job["failure"]["line"], "ERROR page 3 of damaged.pdf is damaged")?;

    let id = bob.start(&json!({"kind": "newsletter", "params": {"list": "readers"}}))?;
    let job = bob.wait(&id, |job| job["phase"] == "backoff")?;
    println!("{}\n{}", job["summary"], job["next"]);
    expect(&alice.stop(&id)?, 404_u16)?;
    expect(&bob.stop(&id)?, 202_u16)?;
    bob.wait(&id, |job| job["phase"] == "stopped")?;
    println!("self-test passed");
    Ok(())
}

/// Longest that an answer takes; a service that is slower counts as broken.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

impl Client<'_> {
    fn start(&self, body: &Value) -> Done<String> {
        let request = self.agent.post(format!("{}/jobs", self.url)).header("x-user", self.user);
        let mut response = request.content_type("application/json").send(body.to_string())?;
        let answer: Value = serde_json::from_str(&response.body_mut().read_to_string()?)?;
        expect(&response.status().as_u16(), 202_u16)?;
        Ok(answer["id"].as_str().ok_or("a start was answered without an id")?.to_owned())
    }

    fn get(&self, path: &str) -> Done<Response<Body>> {
        Ok(self.agent.get(format!("{}/jobs/{path}", self.url)).header("x-user", self.user).call()?)
    }

    fn stop(&self, id: &str) -> Done<u16> {
        let request = self.agent.delete(format!("{}/jobs/{id}", self.url)).header("x-user", self.user);
        Ok(request.call()?.status().as_u16())
    }

    /// Asks until it is so.
    #[expect(clippy::disallowed_methods, reason = "a client that can only ask has nothing else to wait for")]
    fn wait(&self, id: &str, so: impl Fn(&Value) -> bool) -> Done<Value> {
        let mut job = Value::Null;
        for _ in 0..ASK_TIMES {
            job = serde_json::from_str(&self.get(id)?.body_mut().read_to_string()?)?;
            if so(&job) {
                return Ok(job);
            }
            std::thread::sleep(ASK_EVERY);
        }
        Err(format!("the job did not come that far: {job}").into())
    }
}

fn expect<A: PartialEq<B> + std::fmt::Debug, B: std::fmt::Debug>(found: &A, wanted: B) -> Done<()> {
    if *found == wanted { Ok(()) } else { Err(format!("found {found:?}, expected {wanted:?}").into()) }
}
