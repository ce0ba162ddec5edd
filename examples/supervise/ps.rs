//! `ps`: programs and living runs, and why each of them is where it is.

use crate::{
    answer::{items, text},
    args::{Format, Listing},
    client::Client,
    failure::Failure,
    overview,
    screen::{self, Screen, Tint, escape},
    target::short,
    usage, when,
};
use jiff::Timestamp;
use serde_json::Value;

const HEAD: [&str; 9] = ["NAME", "STATE", "RUN", "ATTEMPT", "PID", "UP", "CPU", "MEM", "WHY / NEXT"];

pub(crate) fn ps(client: &Client, screen: &mut Screen, ask: &Listing) -> Result<(), Failure> {
    let answer = client.get("/programs", &[("usage", "true")])?;
    if ask.output == Format::Json {
        screen.line(&format!("{answer:#}"))?;
        return Ok(screen.flush()?);
    }
    let now = when::now();
    let mut rows = Vec::new();
    for program in items(&answer) {
        let name = text(program, "name");
        match (living(program), last(program)) {
            ([], None) => rows.push(never_run(name)),
            ([], Some(run)) => rows.push(row(name, run, now, note(program))),
            (runs, _) => rows.extend(runs.iter().map(|run| row(name, run, now, note(program)))),
        }
    }
    screen.table(&HEAD, &rows)?;
    screen.flush()?;
    overview::warn_of_store(client)
}

/// The runs of a program that are not over.
pub(crate) fn living(program: &Value) -> &[Value] {
    program.get("living").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The newest run of a program that is over.
pub(crate) fn last(program: &Value) -> Option<&Value> {
    program.get("last").filter(|run| run.is_object())
}

fn never_run(name: &str) -> Vec<(Tint, String)> {
    let mut cells = vec![(Tint::Strong, escape(name)), (Tint::Dim, "· idle".into())];
    cells.extend((2..HEAD.len() - 1).map(|_| (Tint::Dim, "-".into())));
    cells.push((Tint::Dim, "never started".into()));
    cells
}

/// What has to be known of the program beside its runs.
pub(crate) fn note(program: &Value) -> Option<String> {
    let flag = |key: &str| program.get(key) == Some(&Value::Bool(true));
    if flag("removed") {
        return Some("removed from the configuration: not started again once it ends".to_owned());
    }
    let by_hand = !text(program, "stopped_by_operator").is_empty();
    let start =
        || format!("stopped by an operator, until `supervise start {}`", escape(text(program, "name")));
    (by_hand && flag("autostart")).then(start)
}

fn row(name: &str, run: &Value, now: Timestamp, note: Option<String>) -> Vec<(Tint, String)> {
    let pid = run.get("pid").and_then(Value::as_i64);
    let dash = || "-".to_owned();
    let (cpu, memory) = usage::of(run).unwrap_or_else(|| (dash(), dash()));
    vec![
        (Tint::Strong, escape(name)),
        screen::phase(text(run, "phase")),
        (Tint::Plain, escape(short(text(run, "id")))),
        (Tint::Plain, attempts(run)),
        (Tint::Plain, pid.map_or_else(dash, |pid| pid.to_string())),
        (Tint::Plain, up(run, now).unwrap_or_else(dash)),
        (Tint::Plain, cpu),
        (Tint::Plain, memory),
        (
            Tint::Plain,
            [Some(why(run, now)).filter(|why| !why.is_empty()), note]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" · "),
        ),
    ]
}

/// `3/6`, or `3` when there is no limit.
pub(crate) fn attempts(run: &Value) -> String {
    let number = |key: &str| run.get(key).and_then(Value::as_u64);
    match (number("attempt"), number("max_attempts")) {
        (None | Some(0), _) => "-".into(),
        (Some(attempt), None) => attempt.to_string(),
        (Some(attempt), Some(max)) => format!("{attempt}/{max}"),
    }
}

/// How long the living process lives.
fn up(run: &Value, now: Timestamp) -> Option<String> {
    run.get("pid").and_then(Value::as_i64)?;
    let attempt = run.get("attempts").and_then(Value::as_array)?.last()?;
    Some(when::span(when::since(text(attempt, "started_at"), now)?))
}

/// The latest failure while it matters, what holds the run, and what comes next.
pub(crate) fn why(run: &Value, now: Timestamp) -> String {
    let phase = text(run, "phase");
    let mut parts = Vec::new();
    let held = run.get("held").filter(|held| held.is_object());
    if let Some(reason) = run.get("reason").filter(|_| !matches!(phase, "running" | "succeeded" | "stopped"))
    {
        parts.extend(failure(reason));
    }
    if let Some(held) = held {
        parts.push(escape(text(held, "why")));
    }
    let next = held.map_or("", |held| text(held, "retry_at"));
    match phase {
        "backoff" => parts.push(format!("retry {}", when::until(text(run, "next_attempt_at"), now))),
        "blocked" if !next.is_empty() => parts.push(format!("asks again {}", when::until(next, now))),
        "failed" | "quarantined" => parts.push(format!("supervise why {}", short(text(run, "id")))),
        _ => {}
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" · ")
}

/// `rate_limited (exit 1): HTTP 429 from shop.example`
pub(crate) fn failure(reason: &Value) -> Option<String> {
    let class = text(reason, "class");
    if class.is_empty() {
        return None;
    }
    let mut out = escape(class);
    match (reason.get("exit_code").and_then(Value::as_i64), reason.get("signal")) {
        (Some(code), _) => out.push_str(&format!(" (exit {code})")),
        (None, Some(Value::String(signal))) => out.push_str(&format!(" ({})", escape(signal))),
        (None, Some(Value::Number(signal))) => out.push_str(&format!(" (signal {signal})")),
        _ => {}
    }
    // An exit that nothing in the output explains has nothing but itself for a message.
    let message = text(reason, "message");
    if !message.is_empty() && !out.ends_with(&format!("({message})")) {
        out.push_str(&format!(": {}", escape(text(reason, "message"))));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_says_why_and_what_comes_next() {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        let run = json!({"id": "01JD07M3ABCDEFGHJKMNPQRSTV", "phase": "backoff", "attempt": 3, "max_attempts": 6,
            "next_attempt_at": "2026-11-23T12:04:12Z",
            "reason": {"class": "rate_limited", "exit_code": 1, "message": "HTTP 429\u{7}"}});
        assert_eq!(why(&run, now), "rate_limited (exit 1): HTTP 429\\x07 · retry in 4m 12s (12:04:12Z)");
        assert_eq!(attempts(&run), "3/6");
    }

    #[test]
    fn an_old_failure_of_a_run_that_goes_well_is_not_shown() {
        let run = json!({"phase": "running", "reason": {"class": "network"}});
        assert_eq!(why(&run, Timestamp::UNIX_EPOCH), "");
    }
}
