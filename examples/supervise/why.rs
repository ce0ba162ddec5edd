//! `why`: the decisions that led to the present state.

use crate::{
    answer::text,
    args::{Format, Question},
    client::Client,
    failure::Failure,
    screen::{Screen, Tint, escape},
    target::Target,
    when,
};
use serde_json::Value;

/// Characters of a run's id that tell it from others, as `ps` shows them.
const SHOWN_OF_ID: usize = 8;

pub(crate) fn why(client: &Client, screen: &mut Screen, ask: &Question) -> Result<(), Failure> {
    let target = Target::find(client, &ask.name)?;
    let answer = client.get(&format!("{}/why", target.path()), &[])?;
    if ask.output == Format::Json {
        screen.line(&format!("{answer:#}"))?;
        return Ok(screen.flush()?);
    }
    let summary = screen.paint(Tint::Strong, &escape(text(&answer, "summary")));
    screen.line(&summary)?;
    let list = |key| answer.get(key).and_then(Value::as_array).into_iter().flatten();
    for run in list("runs") {
        screen.line(&format!("  {}", escape(text(run, "text"))))?;
    }
    for breaker in list("breakers").filter_map(Value::as_str) {
        screen.line(&format!("  breaker {}", escape(breaker)))?;
    }
    if list("chain").next().is_some() {
        let id = list("runs").next().map(|run| text(run, "run")).unwrap_or_default();
        let end = id.get(id.len().saturating_sub(SHOWN_OF_ID)..).filter(|end| !end.is_empty());
        let whose = end.map(|end| format!(" to run {end}")).unwrap_or_default();
        heading(screen, &format!("what happened{whose}"))?;
    }
    for step in list("chain") {
        moment(screen, &when::time_of_day(text(step, "at")), text(step, "text"))?;
    }
    for (key, word) in [("holds", "held by"), ("next", "next")] {
        if !text(&answer, key).is_empty() {
            let word = screen.paint(Tint::Strong, word);
            screen.line(&format!("{word}: {}", escape(text(&answer, key))))?;
        }
    }
    if let Some(forecast) = answer.get("forecast").filter(|forecast| !forecast.is_null()) {
        heading(screen, text(forecast, "given"))?;
        for step in forecast.get("steps").and_then(Value::as_array).into_iter().flatten() {
            let at = Some(text(step, "at")).filter(|at| !at.is_empty()).map(when::time_of_day);
            moment(screen, &at.unwrap_or_default(), text(step, "text"))?;
        }
    }
    for advice in list("advice") {
        let word = screen.paint(Tint::Strong, "help");
        let command = command(advice).map(|command| format!(": supervise {command}")).unwrap_or_default();
        screen.line(&format!("{word}: {}", escape(&format!("{}{command}", text(advice, "text")))))?;
    }
    Ok(screen.flush()?)
}

/// The command that does what is advised; `None` where it is done elsewhere, or by a daemon that knows more than we do.
fn command(advice: &Value) -> Option<String> {
    let run = text(advice, "run");
    let whose = match run.get(run.len().saturating_sub(SHOWN_OF_ID)..) {
        Some(end) if !end.is_empty() => end,
        _ => text(advice, "program"),
    };
    let force = advice.get("force").and_then(Value::as_bool).unwrap_or(false);
    match text(advice, "act") {
        "start" if force => Some(format!("start {whose} --force")),
        act @ ("logs" | "start" | "retry" | "stop") => Some(format!("{act} {whose}")),
        "run" => {
            let required = advice.get("required").and_then(Value::as_array).into_iter().flatten();
            let given: String = required.filter_map(Value::as_str).map(|name| format!(" {name}=…")).collect();
            Some(format!("run {whose}{given}"))
        }
        "breaker_reset" => Some(format!("breaker reset {}", text(advice, "scope"))),
        _ => None,
    }
}

fn heading(screen: &mut Screen, text: &str) -> Result<(), Failure> {
    let text = screen.paint(Tint::Strong, &escape(text));
    Ok(screen.line(&format!("{text}:"))?)
}

/// A time of day, or nothing in its place, and what it is about.
fn moment(screen: &mut Screen, at: &str, text: &str) -> Result<(), Failure> {
    let at = screen.paint(Tint::Dim, &format!("{at:<9}"));
    Ok(screen.line(&format!("  {at}  {}", escape(text)))?)
}
