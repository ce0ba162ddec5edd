//! `status` without a name: the supervisor at a glance; and the figures of one program.

use crate::{
    answer::text,
    client::Client,
    failure::Failure,
    screen::{Screen, Tint, escape},
    usage, when,
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The supervisor itself.
pub(crate) fn of_all(client: &Client, screen: &mut Screen, info: &Value) -> Result<(), Failure> {
    let number = |key: &str| info.get(key).and_then(Value::as_u64).unwrap_or(0);
    let up = when::span(i64::try_from(number("uptime_s") * 1_000).unwrap_or(i64::MAX));
    let title = format!("{} {}", escape(text(info, "name")), escape(text(info, "version")));
    let title = screen.paint(Tint::Strong, &title);
    screen.line(&format!("{title}  pid {}, up {up}, at {}", number("pid"), client.base()))?;
    let removed = match number("removed") {
        0 => String::new(),
        1 => ", and 1 run lives of a program that was removed; `supervise ps` shows it".to_owned(),
        runs => format!(", and {runs} runs live of programs that were removed; `supervise ps` shows them"),
    };
    screen.line(&format!("programs: {}{removed}", number("programs")))?;
    screen.line(&format!("runs: {}", counted(info.get("phases"), "none yet")))?;
    screen.line(&format!(
        "attempts: {} started, {} restarts",
        number("attempts_started"),
        number("restarts")
    ))?;
    screen.line(&format!("breakers: {}", counted(info.get("breakers"), "none asked yet")))?;
    let size =
        info.get("store_bytes").and_then(Value::as_u64).map_or("size unknown".to_owned(), usage::bytes);
    screen.line(&format!("store: {size} in {}", escape(text(info, "store"))))?;
    for key in TROUBLES {
        let trouble = text(info, key);
        if !trouble.is_empty() {
            let word = screen.paint(Tint::Bad, "trouble");
            screen.line(&format!("{word}: {}", escape(trouble)))?;
        }
    }
    Ok(screen.flush()?)
}

/// What may be wrong, by its name in `/info`.
const TROUBLES: [&str; 3] = ["room_trouble", "keeper_trouble", "store_trouble"];

/// Says what is wrong with keeper and store, beside what was asked for.
pub(crate) fn warn_of_store(client: &Client) -> Result<(), Failure> {
    let info = client.get("/info", &[])?;
    for key in TROUBLES {
        let trouble = text(&info, key);
        if !trouble.is_empty() {
            eprintln!("supervise: {}", escape(trouble));
        }
    }
    Ok(())
}

/// What was counted of a program since the supervisor started.
pub(crate) fn of_program(screen: &mut Screen, program: &Value) -> Result<(), Failure> {
    let Some(figures) = program.get("figures") else { return Ok(()) };
    let number = |key: &str| figures.get(key).and_then(Value::as_u64).unwrap_or(0);
    if number("attempts_started") == 0 {
        return Ok(());
    }
    screen.line("")?;
    screen.line(&format!(
        "since the supervisor started: attempts {}, restarts {}, runs ended: {}",
        number("attempts_started"),
        number("restarts"),
        counted(figures.get("runs_ended"), "none")
    ))?;
    let rows = error_rows(figures);
    if rows.is_empty() {
        return Ok(());
    }
    screen.line(&format!("errors, and how many a minute within the last {}s:", number("window_s")))?;
    Ok(screen.table(&["CLASS", "ATTEMPTS", "A MINUTE", "LINES", "A MINUTE", "RUNS FAILED"], &rows)?)
}

/// A row for each class that was seen anywhere.
fn error_rows(figures: &Value) -> Vec<Vec<(Tint, String)>> {
    let empty = Map::new();
    let of = |key: &str| figures.get(key).and_then(Value::as_object).unwrap_or(&empty);
    let (failures, lines, runs) = (of("failures"), of("error_lines"), of("runs_failed"));
    let classes: BTreeSet<&String> = failures.keys().chain(lines.keys()).chain(runs.keys()).collect();
    let cell = |tallies: &Map<String, Value>, class: &String, key: &str| {
        let value = tallies.get(class).and_then(|tally| tally.get(key));
        (Tint::Plain, value.map_or_else(|| "-".into(), Value::to_string))
    };
    let row = |class: &String| {
        vec![
            (Tint::Bad, escape(class)),
            cell(failures, class, "total"),
            cell(failures, class, "per_minute"),
            cell(lines, class, "total"),
            cell(lines, class, "per_minute"),
            (Tint::Plain, runs.get(class).map_or_else(|| "-".into(), Value::to_string)),
        ]
    };
    classes.into_iter().map(row).collect()
}

/// `2 running, 1 failed`
fn counted(counts: Option<&Value>, none: &str) -> String {
    let counts = counts.and_then(Value::as_object).into_iter().flatten();
    let texts: Vec<_> = counts.map(|(name, count)| format!("{count} {}", escape(name))).collect();
    if texts.is_empty() { none.to_owned() } else { texts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_class_has_one_row_wherever_it_was_seen() {
        let tally = |total: u64| json!({"total": total, "recent": total, "per_minute": 0.4});
        let figures = json!({"failures": {"network": tally(2)}, "error_lines": {"network": tally(9), "oom": tally(1)},
                             "runs_failed": {"network": 1}});
        let rows: Vec<Vec<String>> = error_rows(&figures)
            .into_iter()
            .map(|row| row.into_iter().map(|(_, text)| text).collect())
            .collect();
        assert_eq!(rows, [["network", "2", "0.4", "9", "0.4", "1"], ["oom", "-", "-", "1", "0.4", "-"]]);
    }

    #[test]
    fn counts_are_read_as_a_list() {
        assert_eq!(counted(Some(&json!({"failed": 1, "running": 2})), "none"), "1 failed, 2 running");
        assert_eq!(counted(Some(&json!({})), "none"), "none");
    }
}
