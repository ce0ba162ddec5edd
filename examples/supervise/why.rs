//! `why`: the decisions that led to the present state.

use crate::{
    args::{Format, Question},
    client::Client,
    failure::Failure,
    logs::text,
    screen::{Screen, Tint, escape},
    target::Target,
    when,
};
use serde_json::Value;

pub(crate) fn why(client: &Client, screen: &mut Screen, ask: &Question) -> Result<(), Failure> {
    let target = Target::find(client, &ask.name)?;
    let answer = client.get(&format!("{}/why", target.path()), &[])?;
    if ask.output == Format::Json {
        screen.line(&format!("{answer:#}"))?;
        return Ok(screen.flush()?);
    }
    let summary = screen.paint(Tint::Strong, &escape(text(&answer, "summary")));
    screen.line(&summary)?;
    for step in answer.get("chain").and_then(Value::as_array).into_iter().flatten() {
        let at = screen.paint(Tint::Dim, &when::time_of_day(text(step, "at")));
        screen.line(&format!("  {at}  {}", escape(text(step, "text"))))?;
    }
    for (key, word) in [("holds", "held by"), ("next", "next"), ("help", "help")] {
        if !text(&answer, key).is_empty() {
            let word = screen.paint(Tint::Strong, word);
            screen.line(&format!("{word}: {}", escape(text(&answer, key))))?;
        }
    }
    Ok(screen.flush()?)
}
