//! The walk: a TOML tree with positions and the table of keys in, typed values with positions out. Everything that is
//! unknown or of the wrong type is found on the way, and the rest goes on.

use super::{
    arguments::WHEN,
    diagnostic::{At, Finding, Severity},
    keys::{Keys, Kind},
    not_yet::not_yet,
    tree::{Node, Table, Value},
    values,
};
use crate::actors::model::did_you_mean;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// What others call our keys: the files of other supervisors are where many come from.
const FOREIGN: &[(&str, &str)] = &[
    ("cmd", "command"),
    ("exec", "command"),
    ("directory", "cwd"),
    ("working_directory", "cwd"),
    ("environment", "env"),
    ("autorestart", "restart"),
    ("startretries", "retry.max_retries"),
    ("max_attempts", "retry.max_retries"),
    ("stopsignal", "stop_signal"),
    ("stopwaitsecs", "stop_timeout"),
    ("exitcodes", "success_exit_codes"),
    ("instances", "max_concurrent"),
    ("numprocs", "max_concurrent"),
    ("groups", "breakers"),
    ("base", "delay"),
    ("programs", "program"),
    ("cooldown", "adjust_cooldown"),
    ("failure_threshold", "failures"),
    ("floor", "min"),
    ("ceiling", "max"),
];

/// A walk through one file.
pub(super) struct Walk<'a> {
    pub(super) file: usize,
    pub(super) text: &'a str,
    pub(super) path: Vec<String>,
    pub(super) findings: Vec<Finding>,
}

impl Walk<'_> {
    pub(super) fn fail(&mut self, at: At, code: &str, message: impl Into<String>, help: impl Into<String>) {
        self.findings.push(Finding::error(at, code, message, help));
    }

    /// Where we are, as the reader would write it.
    fn here(&self) -> String {
        if self.path.is_empty() {
            "at the top of the file".into()
        } else {
            format!("in [{}]", self.path.join("."))
        }
    }

    /// A table of known keys.
    pub(super) fn table(&mut self, keys: Keys, table: &DeTable<'_>) -> Table {
        let mut out = Table::new();
        for (name, item) in table {
            let at = At::new(self.file, &name.span());
            match keys.find(name.get_ref()) {
                Some(key) => {
                    let node = self.named(key.name, at, &key.kind, item);
                    out.insert(key.name.to_owned(), node);
                }
                None => {
                    let message = format!("unknown key `{}` {}", name.get_ref(), self.here());
                    let help = self.help_for_unknown(keys, name.get_ref());
                    self.fail(at, "config.unknown_key", message, help);
                }
            }
        }
        out
    }

    /// One entry of a table: goes down, and warns of what is accepted without effect.
    fn named(&mut self, name: &str, at_key: At, kind: &Kind, item: &Spanned<DeValue<'_>>) -> Node {
        self.path.push(name.to_owned());
        let node = self.node(name, at_key, kind, item);
        if let Some(entry) = not_yet(&self.path)
            && !matches!(node.value, Value::Bad)
        {
            let written = self.text.get(item.span()).unwrap_or_default().trim_matches(['"', '\'']);
            if !entry.silent.contains(&written) {
                self.findings.push(Finding {
                    severity: Severity::Warning,
                    at: at_key,
                    code: "config.not_yet".into(),
                    message: format!("`{name}` is accepted, but {}", entry.why),
                    help: "it may stay for a later version, or go".into(),
                });
            }
        }
        self.path.pop();
        node
    }

    fn help_for_unknown(&self, keys: Keys, name: &str) -> String {
        let foreign = FOREIGN.iter().find(|(theirs, _)| theirs.eq_ignore_ascii_case(name));
        if let Some((_, ours)) = foreign
            && keys.find(ours.split('.').next().unwrap_or_default()).is_some()
        {
            return format!("it is called `{ours}` here");
        }
        if let Some(near) = did_you_mean(name, keys.iter().map(|key| key.name)) {
            return format!("did you mean `{near}`?");
        }
        let below = keys.iter().find(|key| match &key.kind {
            Kind::Table(keys) | Kind::TableOrFalse(keys) => keys.find(name).is_some(),
            _ => false,
        });
        if let Some(table) = below {
            let mut path = self.path.clone();
            path.push(table.name.to_owned());
            return format!("`{name}` belongs in [{}]", path.join("."));
        }
        let names: Vec<_> = keys.iter().map(|key| key.name).collect();
        format!("the keys here are {}", names.join(", "))
    }

    /// A value of this kind, or [`Value::Bad`] after telling why not.
    fn node(&mut self, name: &str, at_key: At, kind: &Kind, item: &Spanned<DeValue<'_>>) -> Node {
        let at_value = At::new(self.file, &item.span());
        let table = item.get_ref().as_table();
        let value = match (kind, table) {
            (Kind::Table(keys) | Kind::TableOrFalse(keys), Some(table)) => {
                Value::Table(self.table(*keys, table))
            }
            (Kind::TableOrFalse(_), None) if item.get_ref().as_bool() == Some(false) => Value::Off,
            (Kind::Tables(keys), Some(table)) => Value::Table(self.entries(table, &Kind::Table(*keys))),
            (Kind::Map(of), Some(table)) => Value::Table(self.entries(table, of)),
            (Kind::List(of), _) if item.get_ref().is_array() => Value::List(self.items(name, of, item)),
            (Kind::Rows(keys), _) if item.get_ref().is_array() => {
                Value::List(self.items(name, &Kind::Table(*keys), item))
            }
            (Kind::Argv | Kind::Args, _) if item.get_ref().is_array() => {
                Value::List(self.items(name, &Kind::Arg, item))
            }
            // A group: texts that are there together.
            (Kind::Arg, _) if item.get_ref().is_array() => Value::List(self.items(name, &Kind::Text, item)),
            (Kind::Arg, Some(table)) => Value::Table(self.choice(at_value, table)),
            _ => match values::read(name, kind, item.get_ref()) {
                Ok(value) => match value {
                    // An argument vector from one text: each element stands where the text stands.
                    values::Leaf::Words(words) => {
                        let node = |word| Node { at: at_value, value: Value::Text(word) };
                        Value::List(words.into_iter().map(node).collect())
                    }
                    values::Leaf::Value(value) => value,
                },
                Err(wrong) => {
                    self.fail(at_value, wrong.code, wrong.message, wrong.help);
                    Value::Bad
                }
            },
        };
        // What is said of an adjustment is mostly said of the parameter that it names.
        let by_name = matches!(value, Value::Table(_) | Value::List(_) | Value::Adjust(_));
        Node { at: if by_name { at_key } else { at_value }, value }
    }

    /// An argument that a parameter chooses. What is missing is there without a value, so that it is told once.
    fn choice(&mut self, at: At, table: &DeTable<'_>) -> Table {
        let told = self.findings.len();
        let mut out = self.table(&WHEN, table);
        if !out.contains_key("when") {
            let help = "write { when = \"NAME\", args = [\"--option\"] }, by a boolean parameter";
            self.fail(at, "config.required", "`when` is missing", help);
            out.insert("when".to_owned(), Node { at, value: Value::Bad });
        }
        if self.findings.len() > told && !out.contains_key("args") && !out.contains_key("else") {
            out.insert("args".to_owned(), Node { at, value: Value::Bad });
        }
        out
    }

    fn entries(&mut self, table: &DeTable<'_>, kind: &Kind) -> Table {
        let entry = |(name, item): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let name_text: &std::borrow::Cow<'_, str> = name.get_ref();
            let node = self.named(name_text, At::new(self.file, &name.span()), kind, item);
            (name_text.clone().into_owned(), node)
        };
        table.iter().map(entry).collect()
    }

    fn items(&mut self, name: &str, kind: &Kind, list: &Spanned<DeValue<'_>>) -> Vec<Node> {
        let items = list.get_ref().as_array().into_iter().flatten();
        items.map(|item| self.node(name, At::new(self.file, &item.span()), kind, item)).collect()
    }
}
