//! Typed access to the values of one table.

use super::{
    diagnostic::{At, Finding, Source},
    files::{absolute, folder_of},
    tree::{Node, Table, Value},
};
use crate::actors::model::{Adjust, Jitter, ParamValue};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// One table, and the files that its paths are relative to.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) table: &'a Table,
    pub(super) sources: &'a [Source],
    /// The file whose folder the program's paths are relative to.
    pub(super) home: usize,
}

/// A type that a value is read as. `None`: it is of another one, which was told when the file was walked.
pub(super) trait Read: Sized {
    /// The value of a key.
    fn read(node: &Node, fields: &Fields<'_>) -> Option<Self>;
}

/// Whole numbers within the type's range.
fn number<T: TryFrom<i64>>(node: &Node) -> Option<T> {
    match node.value {
        Value::Number(number) => T::try_from(number).ok(),
        _ => None,
    }
}

impl Read for u32 {
    fn read(node: &Node, _: &Fields<'_>) -> Option<Self> {
        number(node)
    }
}

impl Read for u64 {
    fn read(node: &Node, _: &Fields<'_>) -> Option<Self> {
        number(node)
    }
}

impl Read for i32 {
    fn read(node: &Node, _: &Fields<'_>) -> Option<Self> {
        number(node)
    }
}

impl Read for i64 {
    fn read(node: &Node, _: &Fields<'_>) -> Option<Self> {
        number(node)
    }
}

impl Read for bool {
    fn read(node: &Node, _: &Fields<'_>) -> Option<Self> {
        match node.value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        }
    }
}

impl Read for String {
    fn read(node: &Node, _: &Fields<'_>) -> Option<Self> {
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}

impl Read for ParamValue {
    fn read(node: &Node, _: &Fields<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(value) => Some(value.clone()),
            _ => None,
        }
    }
}

impl Read for Adjust {
    fn read(node: &Node, _: &Fields<'_>) -> Option<Self> {
        match node.value {
            Value::Adjust(adjust) => Some(adjust),
            _ => None,
        }
    }
}

impl Read for Jitter {
    fn read(node: &Node, _: &Fields<'_>) -> Option<Self> {
        match node.value {
            Value::Jitter(jitter) => Some(jitter),
            _ => None,
        }
    }
}

/// A path as written, or joined to the folder of its own file where that is another one than the program's.
impl Read for PathBuf {
    fn read(node: &Node, fields: &Fields<'_>) -> Option<Self> {
        let Value::Text(text) = &node.value else { return None };
        match fields.sources.get(node.at.file) {
            Some(source) if node.at.file != fields.home => {
                Some(absolute(&folder_of(&source.path).join(text)))
            }
            _ => Some(Self::from(text)),
        }
    }
}

/// What of a list can be read.
impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, fields: &Fields<'_>) -> Option<Self> {
        match &node.value {
            Value::List(items) => Some(items.iter().filter_map(|item| T::read(item, fields)).collect()),
            _ => None,
        }
    }
}

/// What of a table with names of the writer's choice can be read.
impl<T: Read> Read for BTreeMap<String, T> {
    fn read(node: &Node, fields: &Fields<'_>) -> Option<Self> {
        let read = |(name, node): (&String, &Node)| Some((name.clone(), T::read(node, fields)?));
        Some(node.as_table()?.iter().filter_map(read).collect())
    }
}

impl<T: Read> Read for Option<T> {
    fn read(node: &Node, fields: &Fields<'_>) -> Option<Self> {
        T::read(node, fields).map(Some)
    }
}

impl<'a> Fields<'a> {
    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.table.get(key).map(|node| &node.value)
    }

    /// The value of a key, where it is written and can be read.
    pub(super) fn get<T: Read>(&self, key: &str) -> Option<T> {
        T::read(self.table.get(key)?, self)
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.get(key)
    }

    /// The same files, another table.
    pub(super) const fn of(&self, table: &'a Table) -> Self {
        Self { table, ..*self }
    }

    pub(super) fn below(&self, key: &str) -> Option<Self> {
        self.table.get(key)?.as_table().map(|table| self.of(table))
    }

    pub(super) fn entries(&self, key: &str) -> impl Iterator<Item = (&'a String, &'a Node)> + use<'a> {
        self.below(key).map(|fields| fields.table).into_iter().flatten()
    }

    pub(super) fn items(&self, key: &str) -> Option<&'a [Node]> {
        match self.value(key)? {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The folder of the program's file.
    pub(super) fn home_folder(&self) -> PathBuf {
        let home = self.sources.get(self.home).map(|source| absolute(folder_of(&source.path)));
        home.unwrap_or_default()
    }

    /// As a path is read, for one with places for values: braces of the file's own folder are none.
    pub(super) fn folder_with_places(&self, node: &Node) -> Option<PathBuf> {
        let Value::Text(text) = &node.value else { return None };
        match self.sources.get(node.at.file) {
            Some(source) if node.at.file != self.home => {
                let home = absolute(folder_of(&source.path)).display().to_string();
                Some(Path::new(&home.replace('{', "{{").replace('}', "}}")).join(text))
            }
            _ => Some(PathBuf::from(text)),
        }
    }

    pub(super) fn require(&self, key: &str, at: At, findings: &mut Vec<Finding>) {
        if !self.table.contains_key(key) {
            let message = format!("`{key}` is missing");
            findings.push(Finding::error(at, "config.required", message, format!("write {key} = …")));
        }
    }
}
