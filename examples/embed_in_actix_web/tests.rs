//! The handlers without a supervisor and without processes.

use crate::{
    handlers,
    jobs::{Failure, Job, Jobs, Output, Refusal},
};
use actix_process::actors::model::{ParamValue, Params, Phase};
use actix_web::{App, test};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// Jobs that are only told about.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Vec<Job>>>, Arc<Mutex<Params>>);

impl Fake {
    fn with(self, id: &str, owner: &str, phase: Phase) -> Self {
        let failure = (phase == Phase::Backoff).then(|| Failure {
            class: "network".into(),
            line: "ERROR <script>alert(1)</script>".into(),
            help: Some("look whether the server is up".into()),
        });
        self.0.lock().unwrap().push(Job {
            id: id.into(),
            owner: Some(owner.into()),
            kind: "convert".into(),
            phase,
            attempt: 2,
            line: Some("page 3 of 8, 37%".into()),
            percent: Some(37),
            failure,
            summary: "it waits".into(),
            next: "attempt 3 in 4s".into(),
        });
        self
    }

    fn phase(&self, id: &str) -> Phase {
        self.0.lock().unwrap().iter().find(|job| job.id == id).unwrap().phase
    }
}

impl Jobs for Fake {
    async fn start(&self, user: &str, kind: &str, params: Params) -> Result<String, Refusal> {
        *self.1.lock().unwrap() = params;
        match kind {
            "convert" => {
                let _ = self.clone().with("new", user, Phase::Queued);
                Ok("new".into())
            }
            "full" => Err(Refusal::Busy { why: "100 jobs wait already".into(), retry_after_s: 7 }),
            "broken" => Err(Refusal::Broken("no space left on /var/lib/jobs".into())),
            _ => Err(Refusal::Invalid {
                why: format!("there is no program `{kind}`"),
                params: vec![("pages".into(), "must be at most 1000".into())],
            }),
        }
    }

    async fn status(&self, id: &str) -> Result<Job, Refusal> {
        let jobs = self.0.lock().unwrap();
        jobs.iter().find(|job| job.id == id).cloned().ok_or(Refusal::Unknown)
    }

    async fn output(&self, _: &str) -> Result<Output, Refusal> {
        let pieces: [&[u8]; 2] = [b"<script>\n", b"\xff\n"];
        Ok(stream::iter(pieces.map(|piece| Ok(piece.to_vec()))).boxed_local())
    }

    async fn stop(&self, id: &str) -> Result<Phase, Refusal> {
        let mut jobs = self.0.lock().unwrap();
        let job = jobs.iter_mut().find(|job| job.id == id).unwrap();
        if job.phase.is_ended() {
            return Err(Refusal::Conflict("it is over".into()));
        }
        job.phase = Phase::Stopping;
        Ok(job.phase)
    }
}

/// An answer, with what every answer has checked.
struct Answer {
    status: u16,
    kind: String,
    headers: actix_web::http::header::HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.kind, "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }
}

async fn ask(fake: &Fake, user: Option<&str>, method: &str, path: &str, body: &str) -> Answer {
    let app = test::init_service(App::new().configure(handlers::routes(fake.clone()))).await;
    let mut request = test::TestRequest::default().method(method.parse().unwrap()).uri(path);
    if let Some(user) = user {
        request = request.insert_header(("x-user", user));
    }
    if !body.is_empty() {
        request = request.insert_header(("content-type", "application/json")).set_payload(body.to_owned());
    }
    let response = test::call_service(&app, request.to_request()).await;
    let headers = response.headers().clone();
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(text("x-content-type-options").as_deref(), Some("nosniff"), "{method} {path}");
    Answer {
        status: response.status().as_u16(),
        kind: text("content-type").unwrap(),
        headers,
        body: test::read_body(response).await.to_vec(),
    }
}

fn two_users() -> Fake {
    Fake::default().with("a", "alice", Phase::Backoff).with("b", "bob", Phase::Succeeded)
}

#[actix::test]
async fn a_start_hands_user_and_parameters_on_and_answers_with_the_id() {
    let fake = Fake::default();
    let body = r#"{"kind":"convert","params":{"file":"x; rm -rf ~","pages":7,"gentle":true,"scale":0.25}}"#;
    let answer = ask(&fake, Some("alice"), "POST", "/jobs", body).await;
    assert_eq!((answer.status, answer.json()), (202, json!({"id": "new"})));
    assert_eq!(answer.headers.get("location").unwrap(), "/jobs/new");
    let expected: [(&str, ParamValue); 4] = [
        ("file", "x; rm -rf ~".into()),
        ("gentle", true.into()),
        ("pages", 7.into()),
        ("scale", "0.25".into()),
    ];
    let given = fake.1.lock().unwrap().clone();
    assert_eq!(given, expected.map(|(name, value)| (name.to_owned(), value)).into_iter().collect());
    assert_eq!(ask(&fake, Some("alice"), "GET", "/jobs/new", "").await.status, 200);
    assert_eq!(ask(&fake, Some("bob"), "GET", "/jobs/new", "").await.status, 404);
}

#[actix::test]
async fn what_does_not_fit_is_refused_with_every_reason() {
    for (body, status) in [
        (r#"{"kind":"nothing"}"#, 422),
        (r#"{"kind":"full"}"#, 503),
        (r#"{"kind":"broken"}"#, 500),
        (r#"{"kind":"convert","parms":{}}"#, 422),
        (r#"{"kind":"convert","params":{"file":["a"],"pages":null}}"#, 422),
        (r#"{"kind":"convert","params":7}"#, 422),
        (r#"{"params":{}}"#, 422),
        ("{", 422),
        ("", 422),
        (&format!("{}{{}}", " ".repeat(20_000)), 422),
    ] {
        let answer = ask(&Fake::default(), Some("alice"), "POST", "/jobs", body).await;
        assert_eq!(answer.status, status, "{body}");
        assert!(!answer.json()["error"].as_str().unwrap().is_empty());
    }
    let start = async |body| ask(&Fake::default(), Some("alice"), "POST", "/jobs", body).await;
    assert_eq!(start(r#"{"kind":"x"}"#).await.json()["params"], json!({"pages": "must be at most 1000"}));
    let both = start(r#"{"kind":"convert","params":{"file":["a"],"pages":null}}"#).await.json();
    assert_eq!(both["params"].as_object().map(serde_json::Map::len), Some(2));
    assert_eq!(start(r#"{"kind":"full"}"#).await.headers.get("retry-after").unwrap(), "7");
    let broken = start(r#"{"kind":"broken"}"#).await;
    assert!(!String::from_utf8(broken.body).unwrap().contains("/var/lib"), "what is inside stays inside");
}

#[actix::test]
async fn a_status_says_how_far_it_is_why_it_failed_and_what_comes_next() {
    let answer = ask(&two_users(), Some("alice"), "GET", "/jobs/a", "").await;
    let expected = json!({
        "id": "a", "kind": "convert", "phase": "backoff", "attempt": 2,
        "line": "page 3 of 8, 37%", "percent": 37,
        "failure": {
            "class": "network",
            "line": "ERROR <script>alert(1)</script>",
            "help": "look whether the server is up",
        },
        "summary": "it waits", "next": "attempt 3 in 4s",
    });
    assert_eq!((answer.status, answer.json()), (200, expected));
}

#[actix::test]
async fn output_is_plain_text_byte_for_byte() {
    let answer = ask(&two_users(), Some("bob"), "GET", "/jobs/b/output", "").await;
    assert_eq!((answer.status, answer.kind.as_str()), (200, "text/plain; charset=utf-8"));
    assert_eq!(answer.body, b"<script>\n\xff\n");
}

#[actix::test]
async fn the_jobs_of_others_are_as_unknown_as_those_that_never_were() {
    let fake = two_users();
    for (method, path) in [("GET", "/jobs/"), ("GET", "/jobs/{}/output"), ("DELETE", "/jobs/")] {
        let path =
            |id: &str| if path.contains("{}") { path.replace("{}", id) } else { format!("{path}{id}") };
        let others = ask(&fake, Some("bob"), method, &path("a"), "").await;
        let none = ask(&fake, Some("bob"), method, &path("nothing"), "").await;
        assert_eq!((others.status, none.status), (404, 404), "{method}");
        assert_eq!(others.body, none.body);
    }
    assert_eq!(fake.phase("a"), Phase::Backoff, "nobody stopped it");
}

#[actix::test]
async fn nobody_gets_nothing() {
    let long = "a".repeat(65);
    for user in [None, Some(""), Some("  "), Some(long.as_str())] {
        for (method, path, body) in [
            ("POST", "/jobs", r#"{"kind":"convert"}"#),
            ("GET", "/jobs/a", ""),
            ("GET", "/jobs/a/output", ""),
            ("DELETE", "/jobs/a", ""),
        ] {
            assert_eq!(
                ask(&two_users(), user, method, path, body).await.status,
                401,
                "{user:?} {method} {path}"
            );
        }
    }
}

#[actix::test]
async fn a_stop_is_accepted_once_there_is_something_to_stop() {
    let fake = two_users();
    let answer = ask(&fake, Some("alice"), "DELETE", "/jobs/a", "").await;
    assert_eq!((answer.status, answer.json()), (202, json!({"id": "a", "phase": "stopping"})));
    assert_eq!(ask(&fake, Some("bob"), "DELETE", "/jobs/b", "").await.status, 409);
}
