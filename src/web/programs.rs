//! Programs, breakers, classes.

use super::{
    asked::Asked,
    body::Body,
    figures,
    problem::Problem,
    runs::{Answer, ITEMS, MAX_ITEMS, Parts, accepted, by, by_and_force, gone, over, parts},
    wire,
};
use crate::{ProcessManager, ProgramHandle, StartRequest};
use actix_process_actors::{
    breaker::OperatorAct,
    clock,
    model::{HIGHEST_PRIORITY, IfBlocked, Run, Scope},
};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};

/// Longest `Idempotency-Key`: three times a UUID is more than any client needs, and every key is kept for a day.
const MAX_KEY: usize = 128;

pub(super) async fn list(request: HttpRequest, pm: Data<ProcessManager>) -> Answer {
    let mut asked = Asked::of(&request)?;
    let usage = figures::wants_usage(&mut asked)?;
    asked.finish()?;
    let programs = pm.programs().await?;
    let living = programs.iter().flat_map(|status| &status.living);
    let usages = figures::usage(&pm, usage, living).await;
    let items: Vec<_> = programs.iter().map(|status| wire::program(status, &usages)).collect();
    Ok(HttpResponse::Ok().json(wire::list(&items, None)))
}

fn handle_of(request: &HttpRequest, pm: &ProcessManager) -> Result<ProgramHandle, Problem> {
    Ok(pm.program_handle(parts(request)?.program))
}

pub(super) async fn one(request: HttpRequest, pm: Data<ProcessManager>) -> Answer {
    let mut asked = Asked::of(&request)?;
    let usage = figures::wants_usage(&mut asked)?;
    asked.finish()?;
    let status = handle_of(&request, &pm)?.status().await?;
    let usages = figures::usage(&pm, usage, &status.living).await;
    Ok(HttpResponse::Ok().json(wire::program(&status, &usages)))
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
        Some(ended) => Ok(HttpResponse::Ok().json(wire::Run::of(&ended))),
        None => Ok(accepted(&started)),
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

/// As [`ProgramHandle::start`]. Only what gets a new run takes parameters and what else a start says.
pub(super) async fn start(request: HttpRequest, payload: Payload, pm: Data<ProcessManager>) -> Answer {
    Asked::of(&request)?.finish()?;
    let program = handle_of(&request, &pm)?;
    if let Some(run) = program.goes_on_with().await? {
        let (by, force) = by_and_force(payload).await?;
        return Ok(accepted(&program.asked(by, force).go_on(run, false).await?));
    }
    let started = start_of(&request, payload, &pm).await?.send_for_run().await?;
    Ok(accepted(&started))
}

/// Stops every living run: 202, or with `?wait=` 200 once nobody of the trees that were stopped is left.
pub(super) async fn stop(request: HttpRequest, payload: Payload, pm: Data<ProcessManager>) -> Answer {
    let mut asked = Asked::of(&request)?;
    let wait_ms = asked.wait_ms()?;
    asked.finish()?;
    let by = by(payload).await?;
    let mut stopped = handle_of(&request, &pm)?.asked(by, false).stop().await?;
    let deadline = clock::now().plus(wait_ms);
    let mut all = true;
    for run in &mut stopped {
        match gone(&pm, run.id, run.attempt, deadline.since(clock::now())).await? {
            Some(ended) => *run = ended,
            None => all &= run.phase.is_ended(),
        }
    }
    Ok(several(&stopped, all))
}

pub(super) async fn restart(request: HttpRequest, payload: Payload, pm: Data<ProcessManager>) -> Answer {
    Asked::of(&request)?.finish()?;
    let (by, force) = by_and_force(payload).await?;
    let restarted = handle_of(&request, &pm)?.asked(by, force).restart().await?;
    Ok(several(&restarted, false))
}

fn several(runs: &[Run], done: bool) -> HttpResponse {
    let items: Vec<_> = runs.iter().map(wire::Run::of).collect();
    let mut response = if done { HttpResponse::Ok() } else { HttpResponse::Accepted() };
    response.json(wire::list(&items, None))
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
