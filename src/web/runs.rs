//! Runs, and the supervisor itself.

use super::{asked::Asked, body::Body, figures, problem::Problem, routes::PREFIX, wire};
use crate::{Error, ProcessManager, RunHandle};
use actix_process_actors::{
    manager::{GetAttempts, GetRuns, Restart, SignalRun, Stop, Wait, WaitAttempt},
    model::{Phase, Run, RunId, signal_number},
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{Data, Payload},
};
use serde_json::json;
use std::time::Duration;

pub(super) type Answer = Result<HttpResponse, Problem>;

/// Most items of one answer: what a client can take in at once, and a few hundred kilobytes at most.
pub(super) const MAX_ITEMS: usize = 1_000;
/// Items of one answer, unless said otherwise.
pub(super) const ITEMS: usize = 100;
/// How long `/healthz` waits for the Manager; beyond it the supervisor counts as ill.
const HEALTHY_WITHIN: Duration = Duration::from_secs(5);

const PHASES: [(&str, Phase); 10] = {
    use Phase::{
        Backoff, Blocked, Failed, Quarantined, Queued, Running, Starting, Stopped, Stopping, Succeeded,
    };
    [
        (Queued.name(), Queued),
        (Starting.name(), Starting),
        (Running.name(), Running),
        (Backoff.name(), Backoff),
        (Blocked.name(), Blocked),
        (Stopping.name(), Stopping),
        (Succeeded.name(), Succeeded),
        (Failed.name(), Failed),
        (Stopped.name(), Stopped),
        (Quarantined.name(), Quarantined),
    ]
};

/// The parts of an address that have a name, decoded; empty where the address has no such part.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Parts {
    pub(super) program: String,
    pub(super) run: String,
    pub(super) scope: String,
    pub(super) act: String,
}

pub(super) fn parts(request: &HttpRequest) -> Result<Parts, Problem> {
    let cannot = |error| Problem::malformed(format!("the address cannot be read: {error}"));
    request.match_info().load().map_err(cannot)
}

/// The run that the path names, by its id or a unique end of it.
async fn run_of(request: &HttpRequest, pm: &ProcessManager) -> Result<RunId, Problem> {
    Ok(pm.find(parts(request)?.run).await?.id)
}

/// A change that is decided and not yet done.
pub(super) fn accepted(changed: &Run) -> HttpResponse {
    HttpResponse::Accepted()
        .insert_header((header::LOCATION, format!("{PREFIX}/runs/{}", changed.id)))
        .json(wire::Run::of(changed))
}

/// The run when it is over; nothing when the wait is over first.
pub(super) async fn over(pm: &ProcessManager, run: RunId, wait_ms: u64) -> Result<Option<Run>, Problem> {
    if wait_ms == 0 {
        return Ok(None);
    }
    match tokio::time::timeout(Duration::from_millis(wait_ms), pm.ask(Wait { run })).await {
        Ok(answer) => Ok(Some(answer?.map_err(Error::from)?)),
        Err(_) => Ok(None),
    }
}

/// The run when what was stopped of it is gone: this attempt with its whole tree. Nothing when the wait is over first. That
/// somebody started it again meanwhile is not waited for.
pub(super) async fn gone(
    pm: &ProcessManager,
    run: RunId,
    attempt: u32,
    wait_ms: u64,
) -> Result<Option<Run>, Problem> {
    if wait_ms == 0 {
        return Ok(None);
    }
    let wait = pm.ask(WaitAttempt { run, attempt });
    match tokio::time::timeout(Duration::from_millis(wait_ms), wait).await {
        Ok(answer) => Ok(Some(answer?.map_err(Error::from)?)),
        Err(_) => Ok(None),
    }
}

pub(super) async fn health(pm: Data<ProcessManager>) -> HttpResponse {
    match tokio::time::timeout(HEALTHY_WITHIN, pm.info()).await {
        // Still 200: who restarts what is ill would stop every child, and free no disk.
        Ok(Ok(info)) => HttpResponse::Ok().json(match info.trouble() {
            None => json!({"status": "ok"}),
            Some(trouble) => json!({"status": "degraded", "detail": trouble}),
        }),
        Ok(Err(error)) => Problem::from(error).response(),
        Err(_) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "slow", "the supervisor does not answer in time")
                .response()
        }
    }
}

pub(super) async fn list(request: HttpRequest, pm: Data<ProcessManager>) -> Answer {
    let mut asked = Asked::of(&request)?;
    let mut filter = GetRuns::default();
    filter.program = asked.text("program");
    filter.phase = asked.word("phase", &PHASES)?;
    filter.class = asked.text("class");
    filter.living = asked.word("living", &[("true", true), ("false", false)])?.unwrap_or(false);
    filter.before = asked.value("cursor", |text| {
        text.parse().map_err(|_| format!("`{text}` is none; take `next_cursor` of the page before"))
    })?;
    filter.limit = asked.limit(ITEMS, MAX_ITEMS)?;
    let usage = figures::wants_usage(&mut asked)?;
    asked.finish()?;
    let limit = filter.limit;
    let runs = pm.runs(filter).await?;
    let next = runs.last().filter(|_| runs.len() >= limit).map(|run| run.id.to_string());
    let usages = figures::usage(&pm, usage, &runs).await;
    let items: Vec<_> = runs
        .iter()
        .map(|found| figures::with_usage(found, wire::value(&wire::Run::of(found)), &usages))
        .collect();
    Ok(HttpResponse::Ok().json(wire::list(&items, next)))
}

/// One run; with `?wait=` when it is over, or as it is when the wait is. With `&attempt=` it is answered as soon as that
/// attempt is over and nobody of its tree is left.
pub(super) async fn one(request: HttpRequest, pm: Data<ProcessManager>) -> Answer {
    let mut asked = Asked::of(&request)?;
    let wait_ms = asked.wait_ms()?;
    let attempt = asked.number("attempt")?;
    let usage = figures::wants_usage(&mut asked)?;
    asked.finish()?;
    let id = parts(&request)?.run;
    let mut found = pm.find(id.clone()).await?;
    if !found.phase.is_ended() && wait_ms > 0 {
        let awaited = match attempt {
            Some(attempt) => gone(&pm, found.id, attempt, wait_ms).await?,
            None => over(&pm, found.id, wait_ms).await?,
        };
        found = match awaited {
            Some(ended) => ended,
            None => pm.find(id).await?,
        };
    }
    let usages = figures::usage(&pm, usage, [&found]).await;
    let body = figures::with_usage(&found, wire::value(&wire::Run::of(&found)), &usages);
    Ok(HttpResponse::Ok().json(body))
}

pub(super) async fn why(request: HttpRequest, pm: Data<ProcessManager>) -> Answer {
    Asked::of(&request)?.finish()?;
    let why = pm.why(parts(&request)?.run).await?;
    Ok(HttpResponse::Ok().json(wire::explanation(&why)))
}

pub(super) async fn attempts(request: HttpRequest, pm: Data<ProcessManager>) -> Answer {
    let mut asked = Asked::of(&request)?;
    let after = asked.number("cursor")?.unwrap_or(0);
    let limit = asked.limit(ITEMS, MAX_ITEMS)?;
    asked.finish()?;
    let run = run_of(&request, &pm).await?;
    let attempts = pm.ask(GetAttempts { run, after, limit }).await?.map_err(Error::from)?;
    let next = attempts.last().filter(|_| attempts.len() >= limit).map(|last| last.number.to_string());
    let items: Vec<_> = attempts.iter().map(wire::Attempt::of).collect();
    Ok(HttpResponse::Ok().json(wire::list(&items, next)))
}

/// Who asks, when that is all that the body may say.
pub(super) async fn by(payload: Payload) -> Result<Option<String>, Problem> {
    let mut body = Body::of(payload).await?;
    let by = body.requested_by();
    body.finish()?;
    Ok(by)
}

/// Who asks for another attempt, and whether it passes the breakers.
pub(super) async fn by_and_force(payload: Payload) -> Result<(Option<String>, bool), Problem> {
    let mut body = Body::of(payload).await?;
    let asked = (body.requested_by(), body.flag("force"));
    body.finish()?;
    Ok(asked)
}

/// 202 when it is decided; with `?wait=` 200 once nobody of the tree that was stopped is left.
pub(super) async fn stop(request: HttpRequest, payload: Payload, pm: Data<ProcessManager>) -> Answer {
    let mut asked = Asked::of(&request)?;
    let wait_ms = asked.wait_ms()?;
    asked.finish()?;
    let by = by(payload).await?;
    let id = run_of(&request, &pm).await?;
    let stopping = pm.ask(Stop { run: id, by }).await?.map_err(Error::from)?;
    match gone(&pm, id, stopping.attempt, wait_ms).await? {
        Some(ended) => Ok(HttpResponse::Ok().json(wire::Run::of(&ended))),
        None => Ok(accepted(&stopping)),
    }
}

pub(super) async fn start(request: HttpRequest, payload: Payload, pm: Data<ProcessManager>) -> Answer {
    again(request, payload, &pm, false).await
}

pub(super) async fn restart(request: HttpRequest, payload: Payload, pm: Data<ProcessManager>) -> Answer {
    again(request, payload, &pm, true).await
}

async fn again(request: HttpRequest, payload: Payload, pm: &ProcessManager, stop_running: bool) -> Answer {
    Asked::of(&request)?.finish()?;
    let (by, force) = by_and_force(payload).await?;
    let run = run_of(&request, pm).await?;
    let changed = pm.ask(Restart { run, by, stop_running, force }).await?.map_err(Error::from)?;
    Ok(accepted(&changed))
}

pub(super) async fn signal(request: HttpRequest, payload: Payload, pm: Data<ProcessManager>) -> Answer {
    Asked::of(&request)?.finish()?;
    let mut body = Body::of(payload).await?;
    let signal = body.value("signal", signal_of);
    body.finish()?;
    let signal = signal.ok_or_else(|| Problem::invalid(vec![("/signal".into(), "is required".into())]))?;
    let run = run_of(&request, &pm).await?;
    pm.ask(SignalRun { run, signal }).await?.map_err(Error::from)?;
    Ok(HttpResponse::Accepted().json(json!({"run": run, "signal": wire::signal(signal)})))
}

/// `"SIGHUP"`, `"HUP"` or the number.
fn signal_of(value: &serde_json::Value) -> Result<i32, String> {
    let number = match value {
        serde_json::Value::String(name) => signal_number(name),
        // The kernel knows 64; 0 would only ask whether the process exists.
        other => other.as_i64().filter(|n| (1..=64).contains(n)).and_then(|n| i32::try_from(n).ok()),
    };
    number.ok_or_else(|| format!("{value} is no signal; write for example \"SIGHUP\""))
}

pub(super) async fn retry(request: HttpRequest, payload: Payload, pm: Data<ProcessManager>) -> Answer {
    Asked::of(&request)?.finish()?;
    let mut body = Body::of(payload).await?;
    let params = body.params();
    let by = body.requested_by();
    body.finish()?;
    let id = run_of(&request, &pm).await?;
    let mut retry = RunHandle::new(pm.get_ref().clone(), id).retry().params(params);
    if let Some(by) = by {
        retry = retry.requested_by(by);
    }
    Ok(accepted(&retry.send_for_run().await?))
}
