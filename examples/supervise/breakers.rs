//! `breaker` and `classes`.

use crate::{
    answer::{items, next_cursor, text},
    args::{BreakerAct, Classes, Format, Listing, Scope, ShortFile},
    client::{Client, percent},
    failure::{Failure, code},
    screen::{Screen, Tint, escape},
    when,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Breakers in one answer: the most that the daemon gives.
const PAGE: &str = "1000";

pub(crate) fn breaker(client: &Client, screen: &mut Screen, act: Option<&BreakerAct>) -> Result<(), Failure> {
    let table = Listing { output: Format::Table, short: ShortFile::default() };
    match act {
        None => list(client, screen, &table),
        Some(BreakerAct::Ls(listing)) => list(client, screen, listing),
        Some(BreakerAct::Reset(scope)) => operate(client, screen, scope, "reset"),
        Some(BreakerAct::Open(scope)) => operate(client, screen, scope, "open"),
        Some(BreakerAct::Close(scope)) => operate(client, screen, scope, "close"),
        Some(BreakerAct::Disable(scope)) => operate(client, screen, scope, "disable"),
        Some(BreakerAct::MetricsOnly(scope)) => operate(client, screen, scope, "metrics_only"),
        Some(BreakerAct::Auto(scope)) => operate(client, screen, scope, "auto"),
    }
}

fn list(client: &Client, screen: &mut Screen, ask: &Listing) -> Result<(), Failure> {
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("limit", PAGE)];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = client.get("/breakers", &query)?;
        all.extend(items(&page).iter().cloned());
        cursor = next_cursor(&page);
        if cursor.is_none() {
            break;
        }
    }
    if ask.output == Format::Json {
        screen.line(&format!("{:#}", json!({"items": all, "next_cursor": null})))?;
        return Ok(screen.flush()?);
    }
    let rows: Vec<_> = all.iter().map(row).collect();
    screen.table(&["SCOPE", "STATE", "LEVEL", "UNTIL", "WHY"], &rows)?;
    Ok(screen.flush()?)
}

fn row(breaker: &Value) -> Vec<(Tint, String)> {
    let (tint, shape) = match text(breaker, "state") {
        "closed" => (Tint::Good, '●'),
        "half_open" => (Tint::Waiting, '◐'),
        "disabled" | "metrics_only" => (Tint::Dim, '○'),
        _ => (Tint::Bad, '▲'),
    };
    // Of one that is closed the latest change says nothing of what has come since.
    let failures = breaker.get("failures").and_then(Value::as_f64).unwrap_or(0.0);
    let row = match text(breaker, "state") {
        "closed" if failures > 0.0 => format!("{failures} failures in a row, by weight; "),
        _ => String::new(),
    };
    let level = breaker.get("level").map_or_else(|| "-".into(), Value::to_string);
    let until = match text(breaker, "until") {
        "" => "-".into(),
        until => when::until(until, when::now()),
    };
    vec![
        (Tint::Strong, escape(text(breaker, "scope"))),
        (tint, format!("{shape} {}", escape(text(breaker, "state")))),
        (Tint::Plain, level),
        (Tint::Plain, until),
        (Tint::Plain, format!("{row}{}", escape(text(breaker, "why")))),
    ]
}

fn operate(client: &Client, screen: &mut Screen, ask: &Scope, act: &str) -> Result<(), Failure> {
    let mut body = json!({});
    if let Some(ttl) = &ask.ttl {
        body["ttl"] = json!(ttl);
    }
    if let Some(reason) = &ask.reason {
        body["reason"] = json!(reason);
    }
    let (_, breaker) = client.post(&format!("/breakers/{}/{act}", percent(&ask.scope)), &[], &body)?;
    let state = escape(text(&breaker, "state"));
    if act == "close" && state == "open" {
        // It opened by itself, and the word for that is another one.
        return Err(Failure::new(
            code::FAILED,
            format!("{} stays open: nobody forced it", escape(&ask.scope)),
        )
        .help("`supervise breaker reset SCOPE` closes it and forgets its failures"));
    }
    screen.line(&format!("{} is {state}", escape(&ask.scope)))?;
    Ok(screen.flush()?)
}

pub(crate) fn classes(client: &Client, screen: &mut Screen, ask: &Classes) -> Result<(), Failure> {
    let program = ask.program.as_deref().map(|program| ("program", program));
    let answer = client.get("/classes", program.as_slice())?;
    if ask.output == Format::Json {
        screen.line(&format!("{answer:#}"))?;
        return Ok(screen.flush()?);
    }
    let cell = |rule: &Value, key| (Tint::Plain, escape(text(rule, key)));
    let rows: Vec<_> = items(&answer)
        .iter()
        .map(|rule| vec![cell(rule, "name"), cell(rule, "class"), cell(rule, "matches")])
        .collect();
    screen.table(&["RULE", "CLASS", "MATCHES"], &rows)?;
    let weight = |rule: &Value| rule.get("weight").map_or_else(|| "-".to_owned(), Value::to_string);
    let known = items(&answer).iter().map(|rule| (text(rule, "class"), weight(rule), text(rule, "help")));
    let known: BTreeSet<_> = known.collect();
    let plain = |text: &str| (Tint::Plain, escape(text));
    let row = |(class, weight, help): &(&str, String, &str)| vec![plain(class), plain(weight), plain(help)];
    let rows: Vec<_> = known.iter().map(row).collect();
    screen.line("")?;
    screen.table(&["CLASS", "WEIGHT", "MEANS, AND WHAT TO DO"], &rows)?;
    Ok(screen.flush()?)
}
