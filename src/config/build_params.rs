//! From tables of typed values to arguments, the working directory and parameters.

use super::{
    build_rules::{Fields, absolute},
    diagnostic::Finding,
    document::folder_of,
    walk::{Node, Value},
};
use crate::{Arg, Param, ParamKind};
use std::path::{Path, PathBuf};

impl<'a> Fields<'a> {
    /// As [`Self::path_of`], for a path with places for values: braces of the file's own folder are none.
    pub(super) fn folder_of(&self, node: &Node) -> Option<PathBuf> {
        let Value::Text(text) = &node.value else { return None };
        match self.sources.get(node.at.file) {
            Some(source) if node.at.file != self.home => {
                let home = absolute(folder_of(&source.path)).display().to_string();
                Some(Path::new(&home.replace('{', "{{").replace('}', "}}")).join(text))
            }
            _ => Some(PathBuf::from(text)),
        }
    }

    /// Arguments. One that cannot be read keeps its place, so that the numbers of the others stay true.
    pub(super) fn args(&self, key: &str) -> Option<Vec<Arg>> {
        Some(self.items(key)?.iter().map(|node| self.arg(node)).collect())
    }

    fn arg(&self, node: &'a Node) -> Arg {
        let text = |node: &Node| match &node.value {
            Value::Text(text) => text.clone(),
            _ => "unreadable".to_owned(),
        };
        match &node.value {
            Value::List(group) => Arg::Group(group.iter().map(text).collect()),
            Value::Table(table) => {
                let fields = Self { table, ..*self };
                Arg::When {
                    when: fields.text("when").unwrap_or_else(|| "unreadable".into()),
                    args: fields.args("args").unwrap_or_default(),
                    otherwise: fields.args("else").unwrap_or_default(),
                }
            }
            _ => Arg::One(text(node)),
        }
    }

    pub(super) fn param(&self, name: &str, findings: &mut Vec<Finding>) -> Param {
        let kind = match self.text("type").as_deref() {
            Some("list") => {
                let items = Box::new(self.kind(self.text("items").as_deref()));
                let max_items = self.optional("max_items").unwrap_or(Param::MAX_ITEMS);
                ParamKind::List { items, max_items }
            }
            word => self.kind(word),
        };
        let is_list = matches!(kind, ParamKind::List { .. });
        let is_choice = matches!(kind.of_one(), ParamKind::Choice(_));
        let sound = !matches!(self.value("type"), Some(Value::Bad));
        for (key, fits, help) in [
            ("choices", is_choice, "write type = \"choice\""),
            ("items", is_list, "write type = \"list\""),
            ("max_items", is_list, "write type = \"list\""),
        ] {
            if let Some(node) = self.table.get(key).filter(|_| !fits && sound) {
                let message = format!("`{key}` needs {}", help.trim_start_matches("write "));
                findings.push(Finding::error(node.at, "config.conflict", message, help));
            }
        }
        let mut spec = Param::new(name, kind);
        spec.required = self.flag("required").unwrap_or_default();
        spec.default = self.scalar("default");
        spec.min = self.scalar("min");
        spec.max = self.scalar("max");
        spec.secret = self.flag("secret").unwrap_or_default();
        spec.env = self.text("env");
        spec.allow_dash = self.flag("allow_dash").unwrap_or_default();
        spec.adjust_scope = self.text("adjust_scope");
        spec.adjust_cooldown_ms = self.optional("adjust_cooldown");
        self.fill_return(&mut spec);
        spec.settle();
        spec
    }

    /// The kind of one value that a word names.
    fn kind(&self, word: Option<&str>) -> ParamKind {
        match word {
            Some("integer") => ParamKind::Integer,
            Some("decimal") => ParamKind::Decimal,
            Some("boolean") => ParamKind::Boolean,
            Some("duration") => ParamKind::Duration,
            Some("url") => ParamKind::Url,
            Some("choice") => ParamKind::Choice(self.texts("choices").unwrap_or_default()),
            _ => ParamKind::String,
        }
    }
}
