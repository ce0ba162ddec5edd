//! Figures in answers: what was counted of a program, what a tree uses, and the supervisor at a glance.

use super::{asked::Asked, problem::Problem, runs::Answer, wire};
use crate::{ProcessManager, RunStatus, Status, Usage};
use actix_process_actors::{
    clock,
    figures::{Figures, Tally},
    model::RunId,
};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Whether CPU and memory are wanted (`?usage=true`): they cost a look at every process of the machine.
pub(super) fn wants_usage(asked: &mut Asked) -> Result<bool, Problem> {
    Ok(asked.word("usage", &[("true", true), ("false", false)])?.unwrap_or(false))
}

/// What the trees of these runs use; nothing unless it is wanted.
pub(super) async fn usage(
    pm: &ProcessManager,
    wanted: bool,
    runs: impl IntoIterator<Item = &RunStatus>,
) -> BTreeMap<RunId, Usage> {
    if wanted { pm.usage(runs).await } else { BTreeMap::new() }
}

/// Adds the member `usage` to the JSON of a run; a run without a process has none.
pub(super) fn with_usage(run: &RunStatus, mut json: Value, usages: &BTreeMap<RunId, Usage>) -> Value {
    if let (Some(usage), Some(object)) = (usages.get(&run.id), json.as_object_mut()) {
        let usage = json!({
            // A percent of one CPU, with a place after the point.
            "cpu_percent": wire::thousandths(usage.cpu_permille * 100),
            "memory_bytes": usage.memory_bytes,
            "processes": usage.processes,
        });
        object.insert("usage".into(), usage);
    }
    json
}

/// What was counted of a program.
pub(super) fn of_program(figures: &Figures) -> Value {
    let tallies = |tallies: &BTreeMap<String, Tally>| -> Map<String, Value> {
        let tally = |tally: &Tally| {
            json!({
                "total": tally.total,
                "recent": tally.recent,
                "per_minute": wire::thousandths(tally.per_minute_permille),
            })
        };
        tallies.iter().map(|(class, counted)| (class.clone(), tally(counted))).collect()
    };
    json!({
        "window_s": Figures::WINDOW_MS / 1_000,
        "attempts_started": figures.attempts_started,
        "restarts": figures.restarts,
        "runs_ended": figures.runs_ended,
        "runs_failed": figures.runs_failed,
        "failures": tallies(&figures.failures),
        "error_lines": tallies(&figures.error_lines),
    })
}

pub(super) async fn info(request: HttpRequest, pm: Data<ProcessManager>) -> Answer {
    Asked::of(&request)?.finish()?;
    let status = pm.status().await?;
    Ok(HttpResponse::Ok().json(of_all(&status, &pm)))
}

fn of_all(status: &Status, pm: &ProcessManager) -> Value {
    let info = &status.info;
    let phases: BTreeMap<_, _> = info.living.iter().chain(&info.ended).collect();
    json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "store": pm.store().to_string_lossy(),
        "store_bytes": status.store_bytes,
        "started_at": wire::time(info.started_at),
        "uptime_s": clock::now().since(info.started_at) / 1_000,
        "programs": info.programs,
        "removed": info.removed,
        "living": info.living,
        "phases": phases,
        "runs": info.runs,
        "attempts_started": info.attempts_started,
        "restarts": info.restarts,
        "breakers": status.breakers_by_state(),
        "store_trouble": info.store_trouble,
        "room_trouble": info.room_trouble,
        "keeper_trouble": info.keeper_trouble,
        "last_cursor": info.last_seq.to_string(),
    })
}
