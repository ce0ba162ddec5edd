//! Programs, breakers, classes.

use super::{
    asked::Asked,
    body::Body,
    figures,
    problem::Problem,
    runs::{
        Answer, ITEMS, MAX_ITEMS, Parts, accepted, by, by_and_force, gone, had_ended, over, parts,
        run as wire_run,
    },
    wire,
};
use crate::{Error, ErrorKind, ProcessManager, StartRequest, Usage};
use actix_process_actors::{
    breaker::OperatorAct,
    clock,
    manager::{ProgramStatus, Restart, RunError, Stop},
    model::{HIGHEST_PRIORITY, IfBlocked, Run, RunId, Scope},
};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use std::collections::BTreeMap;

/// Longest `Idempotency-Key`: three times a UUID is more than any client needs, and every key is kept for a day.
const MAX_KEY: usize = 128;

pub(super) async fn list(request: HttpRequest, pm: Data<ProcessManager>) -> Answer {
    let mut asked = Asked::of(&request)?;
    let usage = figures::wants_usage(&mut asked)?;
    asked.finish()?;
    let programs = pm.programs().await?;
    let living = programs.iter().flat_map(|status| &status.living);
    let usages = figures::usage(&pm, usage, living).await;
    let items: Vec<_> = programs.iter().map(|status| program(&pm, status, &usages)).collect();
    Ok(HttpResponse::Ok().json(wire::list(&items, None)))
}

fn program(
    pm: &ProcessManager,
    status: &ProgramStatus,
    usages: &BTreeMap<RunId, Usage>,
) -> serde_json::Value {
    wire::program(status, pm.max_attempts(&status.program.name), usages)
}

async fn program_of(request: &HttpRequest, pm: &ProcessManager) -> Result<ProgramStatus, Problem> {
    Ok(pm.program(&parts(request)?.program).await?)
}

/// The same to be started: one that was removed has living runs at most.
async fn configured_of(request: &HttpRequest, pm: &ProcessManager) -> Result<ProgramStatus, Problem> {
    let status = program_of(request, pm).await?;
    if status.removed {
        let error = RunError::ProgramGone(status.program.name.clone());
        return Err(Error::from(error).into());
    }
    Ok(status)
}

pub(super) async fn one(request: HttpRequest, pm: Data<ProcessManager>) -> Answer {
    let mut asked = Asked::of(&request)?;
    let usage = figures::wants_usage(&mut asked)?;
    asked.finish()?;
    let status = program_of(&request, &pm).await?;
    let usages = figures::usage(&pm, usage, &status.living).await;
    Ok(HttpResponse::Ok().json(program(&pm, &status, &usages)))
}

pub(super) async fn why(request: HttpRequest, pm: Data<ProcessManager>) -> Answer {
    Asked::of(&request)?.finish()?;
    let why = pm.why_program(&parts(&request)?.program).await?;
    Ok(HttpResponse::Ok().json(wire::explanation(&why)))
}

/// A new run: 202, or with `?wait=` 200 when it is over by then.
pub(super) async fn run(request: HttpRequest, payload: Payload, pm: Data<ProcessManager>) -> Answer {
    let mut asked = Asked::of(&request)?;
    let wait_ms = asked.wait_ms()?;
    asked.finish()?;
    let start = start_of(&request, payload, &pm).await?;
    let started = start.send_for_run().await?;
    match over(&pm, started.id, wait_ms).await? {
        Some(ended) => Ok(HttpResponse::Ok().json(wire_run(&pm, &ended))),
        None => Ok(accepted(&pm, &started)),
    }
}

async fn start_of(
    request: &HttpRequest,
    payload: Payload,
    pm: &ProcessManager,
) -> Result<StartRequest, Problem> {
    let mut body = Body::of(payload).await?;
    let mut start = pm.start(parts(request)?.program).params(body.params());
    for (name, value) in body.labels() {
        start = start.label(name, value);
    }
    if let Some(user) = body.requested_by() {
        start = start.requested_by(user);
    }
    let words = [("wait", IfBlocked::Wait), ("refuse", IfBlocked::Refuse)];
    if body.word("if_blocked", &words) == Some(IfBlocked::Refuse) {
        start = start.refuse_if_blocked();
    }
    if body.flag("force") {
        start = start.force();
    }
    if let Some(priority) = body.whole("priority", HIGHEST_PRIORITY) {
        start = start.priority(priority);
    }
    body.finish()?;
    if let Some(key) = request.headers().get("idempotency-key") {
        match key.to_str() {
            Ok(key) if (1..=MAX_KEY).contains(&key.len()) => start = start.idempotency_key(key),
            _ => {
                let detail = format!("an Idempotency-Key has 1 to {MAX_KEY} visible characters");
                return Err(Problem::malformed(detail));
            }
        }
    }
    Ok(start)
}

/// Brings a daemon up, whatever it does now: one that lives is started at once where it waits, one that ended goes on
/// with its next attempt. A job gets a new run.
pub(super) async fn start(request: HttpRequest, payload: Payload, pm: Data<ProcessManager>) -> Answer {
    Asked::of(&request)?.finish()?;
    let status = configured_of(&request, &pm).await?;
    if status.program.is_daemon()
        && let Some(known) = status.living.first().or(status.last.as_ref())
    {
        let (by, force) = by_and_force(payload).await?;
        let restart = Restart { run: known.id, by, stop_running: false, force };
        let changed = pm.ask(restart).await?.map_err(Error::from)?;
        return Ok(accepted(&pm, &changed));
    }
    let started = start_of(&request, payload, &pm).await?.send_for_run().await?;
    Ok(accepted(&pm, &started))
}

/// Stops every living run: 202, or with `?wait=` 200 once nobody of the trees that were stopped is left.
pub(super) async fn stop(request: HttpRequest, payload: Payload, pm: Data<ProcessManager>) -> Answer {
    let mut asked = Asked::of(&request)?;
    let wait_ms = asked.wait_ms()?;
    asked.finish()?;
    let by = by(payload).await?;
    let status = program_of(&request, &pm).await?;
    let mut stopped = Vec::new();
    for living in &status.living {
        match pm.ask(Stop { run: living.id, by: by.clone() }).await? {
            Ok(stopping) => stopped.push(stopping),
            Err(error) if had_ended(&error) => {}
            Err(error) => return Err(Error::from(error).into()),
        }
    }
    if stopped.is_empty() {
        return Err(not_running(&status));
    }
    let deadline = clock::now().plus(wait_ms);
    let mut all = true;
    for run in &mut stopped {
        match gone(&pm, run.id, run.attempt, deadline.since(clock::now())).await? {
            Some(ended) => *run = ended,
            None => all &= run.phase.is_ended(),
        }
    }
    Ok(several(&pm, &stopped, all))
}

/// Restarts every living run; a daemon that is down is started.
pub(super) async fn restart(request: HttpRequest, payload: Payload, pm: Data<ProcessManager>) -> Answer {
    Asked::of(&request)?.finish()?;
    let (by, force) = by_and_force(payload).await?;
    let status = configured_of(&request, &pm).await?;
    let mut runs: Vec<_> = status.living.iter().map(|run| run.id).collect();
    if runs.is_empty() && status.program.is_daemon() {
        match &status.last {
            Some(last) => runs.push(last.id),
            None => {
                let mut start = pm.start(&status.program.name);
                if let Some(by) = by {
                    start = start.requested_by(by);
                }
                if force {
                    start = start.force();
                }
                return Ok(several(&pm, &[start.send_for_run().await?], false));
            }
        }
    }
    if runs.is_empty() {
        return Err(not_running(&status));
    }
    let mut changed = Vec::new();
    for run in runs {
        let restart = Restart { run, by: by.clone(), stop_running: true, force };
        changed.push(pm.ask(restart).await?.map_err(Error::from)?);
    }
    Ok(several(&pm, &changed, false))
}

fn several(pm: &ProcessManager, runs: &[Run], done: bool) -> HttpResponse {
    let items: Vec<_> = runs.iter().map(|run| wire_run(pm, run)).collect();
    let mut response = if done { HttpResponse::Ok() } else { HttpResponse::Accepted() };
    response.json(wire::list(&items, None))
}

fn not_running(status: &ProgramStatus) -> Problem {
    let name = &status.program.name;
    Error::new(ErrorKind::NotRunning, format!("`{name}` has no living run"))
        .with_help(format!("start it first, or look at its last run with `why {name}`"))
        .into()
}

pub(super) async fn breakers(request: HttpRequest, pm: Data<ProcessManager>) -> Answer {
    let mut asked = Asked::of(&request)?;
    let after = asked.text("cursor").map(Scope);
    let limit = asked.limit(ITEMS, MAX_ITEMS)?;
    asked.finish()?;
    let found = pm.breakers_after(after, limit).await?;
    let next = found.last().filter(|_| found.len() >= limit).map(|last| last.scope.0.clone());
    let items: Vec<_> = found.iter().map(wire::breaker).collect();
    Ok(HttpResponse::Ok().json(wire::list(&items, next)))
}

pub(super) async fn operate(request: HttpRequest, payload: Payload, pm: Data<ProcessManager>) -> Answer {
    Asked::of(&request)?.finish()?;
    let Parts { scope, act: verb, .. } = parts(&request)?;
    let mut body = Body::of(payload).await?;
    let act = match verb.as_str() {
        "reset" => OperatorAct::Reset,
        "close" => OperatorAct::EndForcedOpen,
        "disable" => OperatorAct::Disable,
        "metrics_only" => OperatorAct::MetricsOnly,
        "auto" => OperatorAct::Auto,
        _ => OperatorAct::ForceOpen { ttl_ms: body.duration_ms("ttl") },
    };
    let reason = body.text("reason");
    let by = body.requested_by();
    body.finish()?;
    let status = pm.operate_breaker(scope, act, by, reason).await?;
    Ok(HttpResponse::Ok().json(wire::breaker(&status)))
}

pub(super) async fn classes(request: HttpRequest, pm: Data<ProcessManager>) -> Answer {
    let mut asked = Asked::of(&request)?;
    let program = asked.text("program");
    asked.finish()?;
    let items: Vec<_> = pm.classes(program.as_deref()).await?.iter().map(wire::rule).collect();
    Ok(HttpResponse::Ok().json(wire::list(&items, None)))
}
