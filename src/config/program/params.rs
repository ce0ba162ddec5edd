//! `[program.NAME.params.NAME]`: a parameter.

use super::super::{
    diagnostic::Finding,
    fields::Fields,
    keys::{
        Kind::{Amount, Count, Duration, Flag, List, Scalar, TableOrFalse, Text, Word},
        Rows, key,
    },
    tree::Value,
};
use crate::{OnFloor, Param, ParamKind, Restore};

/// The types of a parameter, as written.
const PARAM_TYPES: &[&str] =
    &["string", "integer", "decimal", "boolean", "duration", "url", "choice", "list"];

/// The types of a list's items, as written.
const ITEM_TYPES: &[&str] = &["string", "integer", "decimal", "boolean", "duration", "url", "choice"];

/// A parameter and what its type is made of.
pub(in super::super) struct Draft {
    param: Param,
    of_type: Option<String>,
    choices: Vec<String>,
    items: Option<String>,
    max_items: u32,
}

pub(in super::super) static PARAM: Rows<Draft> = Rows(&[
    key("type", Word(PARAM_TYPES), "\"string\"", "What it may hold.")
        .sets(|it, key| key.put(&mut it.of_type)),
    key(
        "choices",
        List(&Text),
        "",
        "The values of a `choice`; where a class adjusts it, the most cautious first.",
    )
    .sets(|it, key| key.put(&mut it.choices)),
    key("items", Word(ITEM_TYPES), "\"string\"", "What each item of a `list` may hold.")
        .sets(|it, key| key.put(&mut it.items)),
    key("max_items", Count, "64", "Most items of a `list`, 1 to 1000; one without an item is unset.")
        .sets(|it, key| key.put(&mut it.max_items)),
    key("required", Flag, "false", "A start without it is refused.")
        .sets(|it, key| key.put(&mut it.param.required)),
    key("default", Scalar, "", "Its value when none is given.")
        .sets(|it, key| key.put(&mut it.param.default)),
    key("min", Scalar, "", "Smallest value, also the floor of any adjustment.")
        .sets(|it, key| key.put(&mut it.param.min)),
    key("max", Scalar, "", "Largest value.")
        .sets(|it, key| key.put(&mut it.param.max)),
    key(
        "secret",
        Flag,
        "false",
        "Environment only; shown as `***`. The value lies in a file of the store (mode 0600) until the run is over: [child.md](child.md).",
    )
    .sets(|it, key| key.put(&mut it.param.secret)),
    key("env", Text, "", "The environment variable that carries it; of a `list` one item a line.")
        .sets(|it, key| key.put(&mut it.param.env)),
    key("allow_dash", Flag, "false", "Its value may begin an argument with `-`.")
        .sets(|it, key| key.put(&mut it.param.allow_dash)),
    key("adjust_scope", Text, "(the run)", "Siblings whose key renders the same share the adjusted value.")
        .sets(|it, key| key.put(&mut it.param.adjust_scope)),
    key(
        "adjust_cooldown",
        Duration,
        "(`60s` with `adjust_scope`, else `0s`)",
        "At most one decrease in this time.",
    )
    .sets(|it, key| key.put(&mut it.param.adjust_cooldown_ms)),
    key(
        "restore",
        TableOrFalse(&RESTORE),
        "",
        "How an adjusted value finds its way back, on success; `false`: it does not.",
    )
    .sets(|it, key| {
        if key.is_off() {
            it.param.restore = None;
        } else if key.table().is_some() {
            key.fill(&RESTORE, it.param.restore.insert(Restore::default()));
        }
    }),
    key(
        "on_floor",
        Word(&["continue", "trip", "give_up"]),
        "\"continue\"",
        "What a failure means that finds it at its floor: another attempt there | breakers open | the run ends.",
    )
    .sets(|it, key| key.word(&mut it.param.on_floor, &[OnFloor::Continue, OnFloor::Trip, OnFloor::GiveUp])),
]);

static RESTORE: Rows<Restore> = Rows(&[
    key("hold", Duration, "\"10m\"", "No increase sooner after a decrease.")
        .sets(|it, key| key.put(&mut it.hold_ms)),
    key("every", Duration, "\"5m\"", "At most one increase in this time.")
        .sets(|it, key| key.put(&mut it.every_ms)),
    key(
        "add",
        Amount,
        "(a tenth of what the run asked for, at least one; of a `choice` one step)",
        "What an increase adds.",
    )
    .sets(|it, key| key.put(&mut it.add_micros)),
    key(
        "avoid",
        Duration,
        "\"6h\"",
        "How long the value before the last decrease is avoided: the way back ends at nine tenths of it, of a `choice` below it.",
    )
    .sets(|it, key| key.put(&mut it.avoid_ms)),
]);

/// What the table says.
pub(super) fn param(name: &str, fields: &Fields<'_>, findings: &mut Vec<Finding>) -> Param {
    let param = Param::new(name, ParamKind::String);
    let mut draft =
        Draft { param, of_type: None, choices: Vec::new(), items: None, max_items: Param::MAX_ITEMS };
    PARAM.fill(&mut draft, fields, findings);
    let Draft { mut param, of_type, choices, items, max_items } = draft;
    param.kind = match of_type.as_deref() {
        Some("list") => ParamKind::List { items: Box::new(kind(items.as_deref(), choices)), max_items },
        word => kind(word, choices),
    };
    let is_list = matches!(param.kind, ParamKind::List { .. });
    let is_choice = matches!(param.kind.of_one(), ParamKind::Choice(_));
    let sound = !matches!(fields.value("type"), Some(Value::Bad));
    for (key, fits, help) in [
        ("choices", is_choice, "write type = \"choice\""),
        ("items", is_list, "write type = \"list\""),
        ("max_items", is_list, "write type = \"list\""),
    ] {
        if let Some(node) = fields.table.get(key).filter(|_| !fits && sound) {
            let message = format!("`{key}` needs {}", help.trim_start_matches("write "));
            findings.push(Finding::error(node.at, "config.conflict", message, help));
        }
    }
    param.settle();
    param
}

/// The kind of one value that a word names.
fn kind(word: Option<&str>, choices: Vec<String>) -> ParamKind {
    match word {
        Some("integer") => ParamKind::Integer,
        Some("decimal") => ParamKind::Decimal,
        Some("boolean") => ParamKind::Boolean,
        Some("duration") => ParamKind::Duration,
        Some("url") => ParamKind::Url,
        Some("choice") => ParamKind::Choice(choices),
        _ => ParamKind::String,
    }
}
