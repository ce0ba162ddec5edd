//! What would happen? A scenario played by the real rule books in virtual time.
//!
//! ```
//! use actix_process::{config, simulate};
//! use std::path::Path;
//!
//! let rules = config::parse(
//!     r#"
//!     [program.scraper]
//!     command = ["scrape"]
//!     retry = { delay = "1s", jitter = "none", max_retries = 2 }
//!     "#,
//!     Path::new("supervise.toml"),
//! )?;
//! let scenario = config::parse_scenario(
//!     r#"
//!     until = "1h"
//!     [[start]]
//!     program = "scraper"
//!     [[script]]
//!     program = "scraper"
//!     attempts = [{ lasts = "10s", exit = 1 }, { lasts = "40s", exit = 0 }]
//!     "#,
//!     Path::new("scenario.toml"),
//!     &rules,
//!     None,
//! )?;
//! let journal: Vec<_> = simulate::run(&rules, scenario, 0).collect::<Result<_, _>>()?;
//! let last = journal.last().ok_or("an empty journal")?;
//! assert_eq!((last["kind"].as_str(), last["at_ms"].as_u64()), (Some("run_ended"), Some(51_000)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::{ProcessManager, config::Config};
use actix_process_actors::{
    model::{JournalRecord, RunId},
    simulate::{Setup, Told},
};
use serde_json::{Map, Value, json};

pub use actix_process_actors::{
    model::Written,
    simulate::{Compared, Replay, Scenario, SimulateError},
};

/// Plays a scenario by these rules, and tells its journal: one JSON object for each record, in order of time. Times are
/// milliseconds since the scenario began, and runs have the names that the scenario gives them.
///
/// `autostart` is ignored: only the scenario starts anything. Equal seeds draw equal delays, on every machine.
///
/// # Errors
/// [`SimulateError`] as the last item, when the scenario cannot be played to its end.
pub fn run(
    config: &Config,
    scenario: Scenario,
    seed: u64,
) -> impl Iterator<Item = Result<Value, SimulateError>> + use<> {
    let setup = Setup {
        programs: config.programs.clone(),
        shared_breakers: config.shared_breakers.clone(),
        retry_budget: config.retry_budget,
        seed,
    };
    let mut simulation = actix_process_actors::simulate::Simulation::new(setup, scenario);
    std::iter::from_fn(move || {
        loop {
            let told = match simulation.next()? {
                Ok(told) => told,
                Err(error) => return Some(Err(error)),
            };
            if let Some(line) = line(&told, |id| simulation.name_of(id)) {
                return Some(Ok(line));
            }
        }
    })
}

/// Decides again everything that the journal of this manager tells, from what it was told, and compares: the machines of
/// here and now against the decisions that were made live, by this version or an older one.
///
/// # Errors
/// The store cannot be read, or the supervisor is gone.
pub async fn decide_again(pm: &ProcessManager) -> crate::Result<Vec<Compared>> {
    let (mut replay, mut after, mut compared) = (None, (0, 0), Vec::new());
    loop {
        let page = pm.recording(after, PAGE_BYTES).await?;
        let replay = replay.get_or_insert_with(|| Replay::new(page.seed));
        let Some(last) = page.commits.last() else {
            compared.extend(replay.finish());
            return Ok(compared);
        };
        after = last.place;
        page.commits.iter().for_each(|commit| compared.extend(replay.take(commit)));
    }
}

/// Bytes of the journal read at once: a few milliseconds of the store's time.
const PAGE_BYTES: usize = 1 << 20;

/// A journal record as a line of the output, with the run's own identity.
#[must_use]
pub fn record_line(record: &JournalRecord) -> Option<Value> {
    of_record(record, |_| None)
}

/// One line of the output; nothing for what only a live supervisor has: process ids, a configuration being read.
fn line<'a>(told: &Told, name_of: impl Fn(RunId) -> Option<&'a str>) -> Option<Value> {
    match told {
        Told::Record(record) => of_record(record, name_of),
        Told::Refused { at, run, error } => Some(json!({
            "at_ms": at.0, "kind": "start_refused", "run": run, "why": error.to_string(),
        })),
    }
}

fn of_record<'a>(record: &JournalRecord, name_of: impl Fn(RunId) -> Option<&'a str>) -> Option<Value> {
    // What an operator did is the scenario's own word; the kinds that follow from it are told.
    const NOT_TOLD: [&str; 3] = ["attempt_spawned", "program_configured", "stop_requested"];
    let Ok(Value::Object(mut fields)) = serde_json::to_value(record) else { return None };
    let kind = fields.get("kind").and_then(Value::as_str).unwrap_or_default();
    if NOT_TOLD.contains(&kind) {
        return None;
    }
    fields.remove("seq");
    if let Some(run) = record.run.and_then(name_of) {
        fields.insert("run".into(), run.into());
    }
    for (name, value) in &mut fields {
        if name.ends_with("_ms") && value.as_u64() == Some(u64::MAX) {
            *value = Value::Null;
        }
    }
    // Time and kind first: what a reader looks for at the left.
    let mut ordered = Map::new();
    for name in ["at_ms", "kind"] {
        if let Some(value) = fields.remove(name) {
            ordered.insert(name.into(), value);
        }
    }
    ordered.extend(fields);
    Some(Value::Object(ordered))
}
