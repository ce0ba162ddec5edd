//! `status`: one program or run in detail.

use crate::{
    answer::{items, text},
    args::{Format, Overview},
    client::Client,
    failure::Failure,
    overview, ps,
    screen::{self, Screen, Tint, escape},
    target::{Target, short},
    usage, when,
};
use serde_json::Value;

/// Runs of a program that are listed: what fits on a screen.
const RUNS: &str = "10";

pub(crate) fn status(client: &Client, screen: &mut Screen, ask: &Overview) -> Result<(), Failure> {
    let Some(name) = &ask.name else {
        let info = client.get("/info", &[])?;
        if ask.output == Format::Json {
            screen.line(&format!("{info:#}"))?;
            return Ok(screen.flush()?);
        }
        return overview::of_all(client, screen, &info);
    };
    let target = Target::find_with(client, name, &[("usage", "true")])?;
    let (Target::Program(_, answer) | Target::Run(_, answer)) = &target;
    if ask.output == Format::Json {
        screen.line(&format!("{answer:#}"))?;
        return Ok(screen.flush()?);
    }
    match &target {
        Target::Program(name, program) => of_program(client, screen, name, program)?,
        Target::Run(_, run) => of_run(screen, run)?,
    }
    screen.flush()?;
    overview::warn_of_store(client)
}

fn of_program(client: &Client, screen: &mut Screen, name: &str, program: &Value) -> Result<(), Failure> {
    let title = screen.paint(Tint::Strong, &escape(name));
    screen.line(&format!("{title}  {}", escape(text(program, "description"))))?;
    if let Some(note) = ps::note(program) {
        screen.line(&note)?;
    }
    let runs = client.get("/runs", &[("program", name), ("limit", RUNS)])?;
    let now = when::now();
    let rows: Vec<_> = items(&runs)
        .iter()
        .map(|run| {
            vec![
                (Tint::Plain, escape(short(text(run, "id")))),
                screen::phase(text(run, "phase")),
                (Tint::Plain, ps::attempts(run)),
                (Tint::Plain, escape(text(run, "created_at"))),
                (Tint::Plain, fields(run.get("params"))),
                (Tint::Plain, ps::why(run, now)),
            ]
        })
        .collect();
    if rows.is_empty() {
        return Ok(screen.line("never started")?);
    }
    screen.table(&["RUN", "STATE", "ATTEMPT", "ASKED FOR", "PARAMS", "WHY / NEXT"], &rows)?;
    overview::of_program(screen, program)
}

fn of_run(screen: &mut Screen, run: &Value) -> Result<(), Failure> {
    let now = when::now();
    let (tint, phase) = screen::phase(text(run, "phase"));
    let title = screen.paint(Tint::Strong, &escape(text(run, "id")));
    let phase = screen.paint(tint, &phase);
    screen.line(&format!("{title}  {}  {phase}  {}", escape(text(run, "program")), ps::why(run, now)))?;
    let by = match text(run, "requested_by") {
        "" => String::new(),
        by => format!(" by {}", escape(by)),
    };
    screen.line(&format!("asked for {}{by}", escape(text(run, "created_at"))))?;
    for (word, key) in [("params", "params"), ("labels", "labels"), ("counts", "counts")] {
        let fields = fields(run.get(key));
        if !fields.is_empty() {
            screen.line(&format!("{word}: {fields}"))?;
        }
    }
    if let Some((cpu, memory)) = usage::of(run) {
        screen.line(&format!("uses: {cpu} of a CPU, {memory} of memory"))?;
    }
    let attempts = run.get("attempts").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if attempts.is_empty() {
        return Ok(());
    }
    screen.line("")?;
    let rows: Vec<_> = attempts.iter().map(|attempt| attempt_row(attempt, now)).collect();
    let head = ["ATTEMPT", "PID", "STARTED", "LASTED", "END", "CLASS", "LINES", "PARAMS"];
    Ok(screen.table(&head, &rows)?)
}

fn attempt_row(attempt: &Value, now: jiff::Timestamp) -> Vec<(Tint, String)> {
    let number =
        |key: &str| attempt.get(key).and_then(Value::as_i64).map_or_else(|| "-".into(), |n| n.to_string());
    let ended = text(attempt, "ended_at");
    let begun = when::since(text(attempt, "started_at"), now);
    let lasted = begun.map(|ms| ms - when::since(ended, now).unwrap_or(0));
    let end = match (attempt.get("exit_code").and_then(Value::as_i64), attempt.get("signal")) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(Value::String(signal))) => escape(signal),
        (None, Some(Value::Number(signal))) => format!("signal {signal}"),
        _ if !text(attempt, "spawn_error").is_empty() => escape(text(attempt, "spawn_error")),
        _ if ended.is_empty() && !text(attempt, "ready_at").is_empty() => "lives, ready".into(),
        _ if ended.is_empty() => "lives".into(),
        _ => "not seen".into(),
    };
    let class = match text(attempt, "class") {
        "" => (Tint::Dim, "-".to_owned()),
        class => (Tint::Bad, escape(class)),
    };
    let lines = match attempt.get("items").and_then(Value::as_u64) {
        Some(items) => format!("{} ({items} items)", number("lines")),
        None => number("lines"),
    };
    vec![
        (Tint::Plain, number("number")),
        (Tint::Plain, number("pid")),
        (Tint::Plain, when::time_of_day(text(attempt, "started_at"))),
        (Tint::Plain, lasted.map_or_else(|| "-".into(), when::span)),
        (Tint::Plain, end),
        class,
        (Tint::Plain, lines),
        (Tint::Plain, fields(attempt.get("params"))),
    ]
}

/// `host=shop.example qpi=50`
fn fields(object: Option<&Value>) -> String {
    let fields = object.and_then(Value::as_object).into_iter().flatten();
    let texts: Vec<_> = fields
        .map(|(name, value)| match value {
            Value::String(text) => format!("{}={}", escape(name), escape(text)),
            value => format!("{}={}", escape(name), escape(&value.to_string())),
        })
        .collect();
    texts.join(" ")
}
