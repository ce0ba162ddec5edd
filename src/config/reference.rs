//! The reference page, from the table of keys.

use super::{
    keys::{Key, Kind, ROOT},
    not_yet::NOT_YET,
};
use std::fmt::Write as _;

/// The reference of the configuration file as Markdown: every key with type, default and meaning.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Configuration file\n\nMade from the table of keys in `src/config`; a test compares. The example\n\
         [`supervise.toml`](../../examples/supervise.toml) teaches the keys that matter most.\n",
    );
    section(&mut page, "", ROOT);
    page.push_str("\n## Accepted, not yet acted upon\n\n");
    for entry in NOT_YET {
        let _ = writeln!(page, "- `{}`: {}", entry.path, entry.why);
    }
    page
}

fn section(page: &mut String, path: &str, keys: &[Key]) {
    let title = if path.is_empty() { "Top of the file".to_owned() } else { format!("`[{path}]`") };
    let _ = write!(page, "\n## {title}\n\n| key | type | default | meaning |\n|---|---|---|---|\n");
    for key in keys {
        let default = match key.default {
            "" => "none".to_owned(),
            sentence if sentence.starts_with('(') => sentence.trim_matches(['(', ')']).to_owned(),
            value => format!("`{value}`"),
        };
        let kind = describe(&key.kind).replace('|', "\\|");
        let doc = key.doc.replace('|', "\\|");
        let _ = writeln!(page, "| `{}` | {kind} | {default} | {doc} |", key.name);
    }
    for key in keys {
        let below = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        match &key.kind {
            // They repeat `[program.NAME]` and `[program.NAME.breaker]`.
            Kind::Table(_) | Kind::Tables(_) if ["defaults", "breaker"].contains(&below.as_str()) => {}
            Kind::Table(keys) | Kind::TableOrFalse(keys) | Kind::Rows(keys) => section(page, &below, keys),
            Kind::Tables(keys) => section(page, &format!("{below}.NAME"), keys),
            _ => {}
        }
    }
}

fn describe(kind: &Kind) -> String {
    match kind {
        Kind::Text => "text".into(),
        Kind::Path => "path".into(),
        Kind::Flag => "boolean".into(),
        Kind::Count => "whole number".into(),
        Kind::Integer => "integer".into(),
        Kind::Duration => "duration".into(),
        Kind::Lasts => "duration | `forever`".into(),
        Kind::Step => "duration, may be negative".into(),
        Kind::Size => "size".into(),
        Kind::Ratio => "number, at most 3 decimals".into(),
        Kind::Amount => "number or duration".into(),
        Kind::Scalar => "value of the parameter's type".into(),
        Kind::Word(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" | "),
        Kind::Signal => "signal".into(),
        Kind::Jitter => "`none` | `full` | `equal` | `decorrelated` | number".into(),
        Kind::Argv => "list of arguments, or text".into(),
        Kind::Args => "list of arguments".into(),
        Kind::Arg => "argument".into(),
        Kind::Adjust => "adjustment".into(),
        Kind::List(of) => format!("list of {}", describe(of)),
        Kind::Map(of) => format!("table of {}", describe(of)),
        Kind::Table(_) => "table".into(),
        Kind::TableOrFalse(_) => "table | `false`".into(),
        Kind::Tables(_) => "tables by name".into(),
        Kind::Rows(_) => "list of tables".into(),
    }
}
