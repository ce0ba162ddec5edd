//! The reference page, from the table of keys.

use super::{
    arguments::WHEN,
    keys::{Keys, Kind},
    not_yet::NOT_YET,
    root::ROOT,
};
use std::fmt::Write as _;

const ARGUMENTS: &str = r#"
## Arguments

An entry of `args`, and of `command` behind its first, is

- a **text**: one argument. It is left out when a parameter in it is unset;
- a **group**, `["--since", "{since}"]`: arguments that are left out together when a parameter in them is unset;
- a **choice** by a boolean parameter, `{ when = "headless", args = ["--headless"], else = ["--window"] }`.

With `{tags*}` of a list a text, or a group as a whole, is there once for each item: `["--tag", "{tags*}"]` gives
`--tag a --tag b`. An empty list is unset. `check` warns of `"--since", "{since}"` without a group: when `since` is unset, the
option would stand alone.

| key | type | default | meaning |
|---|---|---|---|
"#;

const PLACES: &str = r#"
## Places for values

| place | stands for | where |
|---|---|---|
| `{name}` | the value of a parameter | `args`, `command` behind its first, `cwd`, values of `env`, `breakers`, `adjust_scope` |
| `{name:lower}` | the same in lower case: `Shop.example` and `shop.example` are one scope | everywhere |
| `{name.host}` | the host of a `url`, in lower case, without port, brackets and a last dot | everywhere |
| `{name*}` | each item of a `list` | `args`, `command` |
| `{program}` | the program's name | everywhere |
| `{run}`, `{attempt}` | the run's id; the number of the attempt, from 1 | everywhere but in `breakers` and `adjust_scope`, which runs share |
| `{{`, `}}` | braces themselves | everywhere |

No parameter can be called `program`, `run` or `attempt`. A value stays inside its argument, begins none with `-` (unless
`allow_dash`, a number, or behind `--`), and leads nowhere out of the text that stands before it in `cwd`; what may be unset
cannot be in `cwd`. A scope of `breakers` begins with a word of yours: not with a value, and not with `program:`, `user:` or
`global`. Variables of the environment (`${NAME}`) are not filled in. A value is never read by a shell of ours; in
`["sh", "-c", "echo {name}"]` it is read by yours, and `check` warns of it: write `["sh", "-c", "echo \"$1\"", "sh", "{name}"]`.
"#;

/// The reference of the configuration file as Markdown: every key with type, default and meaning.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Configuration file\n\nMade from the table of keys in `src/config`; a test compares. The example\n\
         [`supervise.toml`](../../examples/supervise.toml) teaches the keys that matter most.\n",
    );
    section(&mut page, "", &ROOT);
    page.push_str(ARGUMENTS);
    rows(&mut page, &WHEN);
    page.push_str(PLACES);
    page.push_str("\n## Accepted, not yet acted upon\n\n");
    for entry in NOT_YET {
        let _ = writeln!(page, "- `{}`: {}", entry.path, entry.why);
    }
    page
}

fn section(page: &mut String, path: &str, keys: Keys) {
    let title = if path.is_empty() { "Top of the file".to_owned() } else { format!("`[{path}]`") };
    let _ = write!(page, "\n## {title}\n\n| key | type | default | meaning |\n|---|---|---|---|\n");
    rows(page, keys);
    for key in keys.iter() {
        let below = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        match &key.kind {
            // They repeat `[program.NAME]` and `[program.NAME.breaker]`.
            Kind::Table(_) | Kind::Tables(_) if ["defaults", "breaker"].contains(&below.as_str()) => {}
            Kind::Table(keys) | Kind::TableOrFalse(keys) | Kind::Rows(keys) => section(page, &below, *keys),
            Kind::Tables(keys) => section(page, &format!("{below}.NAME"), *keys),
            _ => {}
        }
    }
}

fn rows(page: &mut String, keys: Keys) {
    for key in keys.iter() {
        let default = match key.default {
            "" => "none".to_owned(),
            sentence if sentence.starts_with('(') => sentence.trim_matches(['(', ')']).to_owned(),
            value => format!("`{value}`"),
        };
        let kind = describe(&key.kind).replace('|', "\\|");
        let doc = key.doc.replace('|', "\\|");
        let _ = writeln!(page, "| `{}` | {kind} | {default} | {doc} |", key.name);
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
