//! `simulate`: a scenario played by the rules of a file, or a live journal decided again; one record a line.

use crate::{
    args::{Connection, Simulate},
    client::{Client, config_file},
    facade,
    failure::{Failure, code},
    target::Target,
};
use actix_process::{
    actors::model::RunId,
    config,
    simulate::{self, Compared, Replay, Written},
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::Path,
};

pub(crate) fn simulate(connection: &Connection, ask: &Simulate) -> Result<u8, Failure> {
    if let Some(run) = &ask.from_journal {
        return from_journal(&Client::new(connection)?, run);
    }
    let file = ask.config.clone().unwrap_or_else(|| config_file(connection));
    let rules = facade::load(&file)?;
    let scenario = config::load_scenario(ask.scenario.as_deref().unwrap_or(Path::new("")), &rules, ask.until)
        .map_err(|errors| Failure::new(code::USAGE, errors.to_string()))?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in simulate::run(&rules, scenario, ask.seed) {
        let line = line.map_err(|error| {
            // What came before is worth seeing.
            let _ = out.flush();
            Failure::new(code::USAGE, error.to_string()).help("mend the scenario or the rule it names")
        })?;
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    Ok(0)
}

/// Decides the whole journal again, and shows what was decided about one run, the scopes that it met, and all of them.
fn from_journal(client: &Client, run: &str) -> Result<u8, Failure> {
    let (run, _) = Target::find_run(client, run)?;
    let compared = decide_again(client)?;
    let about = |one: &Compared| {
        one.live.as_ref().or(one.again.as_ref()).map(|record| (record.run, record.scope.clone()))
    };
    let own = |of: Option<RunId>| of.is_some_and(|id| id.to_string() == run);
    let scopes: BTreeSet<_> =
        compared.iter().filter_map(about).filter(|(of, _)| own(*of)).filter_map(|(_, scope)| scope).collect();
    let (mut shown, mut differing) = (0, 0);
    let mut out = io::BufWriter::new(io::stdout().lock());
    for one in &compared {
        let line = |record: &Option<_>| record.as_ref().and_then(simulate::record_line);
        let (live, again) = (line(&one.live), line(&one.again));
        if !one.agrees() {
            differing += 1;
            writeln!(out, "{}", json!({"kind": "differs", "live": live, "again": again}))?;
            continue;
        }
        let is_shown = about(one).is_some_and(|(of, scope)| match (of, scope) {
            (of, Some(scope)) => own(of) || of.is_none() && scopes.contains(&scope),
            (None, None) => true,
            (of, None) => own(of),
        });
        if let Some(line) = live.filter(|_| is_shown) {
            shown += 1;
            writeln!(out, "{line}")?;
        }
    }
    out.flush()?;
    let all = compared.len();
    eprintln!("{all} decisions made again, {differing} differ; {shown} about {run} and its scopes shown");
    if !compared.iter().filter_map(about).any(|(of, _)| own(of)) {
        let why = format!("the journal tells nothing of {run} that can be decided again");
        return Err(Failure::new(code::FAILED, why).help(OLDEST));
    }
    Ok(u8::from(differing > 0))
}

/// What is missing is older than what is kept.
const OLDEST: &str = "the journal keeps what fits into `[store.retention] journal`, and a replay begins where a supervisor opened the store";

/// Every decision in the daemon's journal, and the same one made here.
fn decide_again(client: &Client) -> Result<Vec<Compared>, Failure> {
    let (mut replay, mut cursor, mut compared) = (None, "0.0".to_owned(), Vec::new());
    loop {
        let page = client.get("/recording", &[("cursor", &cursor)])?;
        let seed = page["seed"].as_str().and_then(|seed| seed.parse().ok()).unwrap_or_default();
        let replay = replay.get_or_insert_with(|| Replay::new(seed));
        let commits = page["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        if commits.is_empty() {
            compared.extend(replay.finish());
            return Ok(compared);
        }
        for commit in commits {
            let lines = |name: &str| {
                let lines = commit[name].as_array().map(Vec::as_slice).unwrap_or_default();
                lines.iter().map(|line| line.to_string().into_bytes()).collect()
            };
            let (records, inputs) = (lines("records"), lines("inputs"));
            compared.extend(replay.take(&Written { records, inputs, ..Written::default() }));
        }
        cursor = page["next_cursor"].as_str().unwrap_or_default().to_owned();
    }
}
