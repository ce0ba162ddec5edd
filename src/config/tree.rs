//! What a file says, as values with their places.

use super::diagnostic::At;
use crate::actors::model::{Adjust, Jitter, ParamValue};
use std::collections::BTreeMap;

/// A value of the type its key asks for.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Text, words, paths.
    Text(String),
    /// A boolean.
    Flag(bool),
    /// Counts, milliseconds, bytes, thousandths, millionths, signals: whole numbers.
    Number(i64),
    /// The value of a parameter.
    Scalar(ParamValue),
    /// An adjustment.
    Adjust(Adjust),
    /// Jitter.
    Jitter(Jitter),
    /// A list.
    List(Vec<Node>),
    /// A table.
    Table(Table),
    /// Switched off.
    Off,
    /// Wrong, and said so: present, but without a value.
    Bad,
}

/// The keys of a table that are written, with their values.
pub(super) type Table = BTreeMap<String, Node>;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// What a message points at: the value, or the name of a table.
    pub(super) at: At,
    pub(super) value: Value,
}

impl Node {
    pub(super) fn as_table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }
}
