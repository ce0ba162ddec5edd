//! The simulator, as a user meets it: a configuration and a scenario in, journal lines out.

mod errors;
mod fine_print;
mod readiness;
mod rules;
mod turns;

use actix_process::{
    config::{self, Config, ConfigErrors},
    simulate,
};
use serde_json::Value;
use std::path::Path;

/// A job whose delays are exact.
const JOB: &str = r#"
[program.job]
command = ["job"]
retry = { delay = "1s", jitter = "none", max_retries = 3 }
breaker = false
"#;

fn rules(text: &str) -> Config {
    match config::parse(text, Path::new("supervise.toml")) {
        Ok(config) => config,
        Err(errors) => panic!("{errors}\nin\n{text}"),
    }
}

fn scenario(rules: &Config, text: &str) -> Result<simulate::Scenario, ConfigErrors> {
    config::parse_scenario(text, Path::new("scenario.toml"), rules, None)
}

/// Every line that a scenario leads to.
#[track_caller]
fn play(config: &str, text: &str) -> Vec<Value> {
    seeded(config, text, 0)
}

#[track_caller]
fn seeded(config: &str, text: &str, seed: u64) -> Vec<Value> {
    let rules = rules(config);
    let scenario = match scenario(&rules, text) {
        Ok(scenario) => scenario,
        Err(errors) => panic!("{errors}\nin\n{text}"),
    };
    let lines = simulate::run(&rules, scenario, seed).collect::<Result<Vec<_>, _>>();
    let lines = match lines {
        Ok(lines) => lines,
        Err(error) => panic!("not played to its end: {error}"),
    };
    assert!(lines.is_sorted_by_key(|line| line["at_ms"].as_u64()), "not in order of time: {lines:#?}");
    lines
}

/// Lines of one kind.
fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

/// A line in short: its time in seconds, its kind, and these fields as they are.
fn short(line: &Value, fields: &[&str]) -> String {
    let seconds = line["at_ms"].as_u64().unwrap_or_default() as f64 / 1_000.0;
    let mut text = format!("{seconds} {}", line["kind"].as_str().unwrap_or_default());
    for field in fields.iter().filter(|field| !line[**field].is_null()) {
        text.push_str(&format!(" {field}={}", line[*field].to_string().trim_matches('"')));
    }
    text
}

#[track_caller]
fn tells(lines: &[Value], fields: &[&str], expected: &[&str]) {
    let told: Vec<_> = lines.iter().map(|line| short(line, fields)).collect();
    assert_eq!(told, expected, "\n{}", told.join("\n"));
}
