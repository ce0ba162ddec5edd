//! What a key is: name, type, default and meaning in one row, with what it sets. The walk, the reference page and the test of the
//! defaults go by these rows, and so does what is made of a table.

use super::{
    diagnostic::Finding,
    fields::{Fields, Read},
    tree::{Node, Value},
};
use std::fmt;

/// What a key may hold.
#[derive(Debug)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// A path, relative to the file it stands in.
    Path,
    /// `true` or `false`.
    Flag,
    /// A whole number from 0.
    Count,
    /// A whole number.
    Integer,
    /// Text with units of time; milliseconds.
    Duration,
    /// A duration, or the word `forever`.
    Lasts,
    /// A duration, or one with a minus sign.
    Step,
    /// Text with a unit of size; bytes.
    Size,
    /// A number with at most three decimals; thousandths.
    Ratio,
    /// A number with at most six decimals, or a duration; millionths.
    Amount,
    /// Text, a number, a boolean or a list of these: the value of a parameter.
    Scalar,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A signal by name.
    Signal,
    /// A word or a share.
    Jitter,
    /// A list of arguments, or one text to split.
    Argv,
    /// A list of arguments.
    Args,
    /// A text, a list of texts that are there together, or a table that a boolean parameter chooses.
    Arg,
    /// `{ multiply = … }`, `{ add = … }` or `{ set = … }`.
    Adjust,
    /// A list.
    List(&'static Self),
    /// Names of the writer's choice.
    Map(&'static Self),
    /// These keys.
    Table(Keys),
    /// Such a table, or `false`.
    TableOrFalse(Keys),
    /// Tables with names of the writer's choice.
    Tables(Keys),
    /// A list of such tables.
    Rows(Keys),
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// As it would be written; empty: none. In parentheses: a sentence.
    pub(super) default: &'static str,
    pub(super) doc: &'static str,
}

pub(super) const fn key(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind, default, doc }
}

impl Key {
    /// A row of a table that makes a `T`: what the key sets in it where it is written.
    pub(super) const fn sets<T>(self, set: fn(&mut T, &mut Written<'_>)) -> Row<T> {
        Row { key: self, set }
    }
}

// ── tables of keys ─────────────────────────────────────────────────────────────────────────────────────────────────────

/// The keys of one table.
pub(super) type Keys = &'static dyn TableOfKeys;

/// A table of keys, whatever it makes.
pub(super) trait TableOfKeys: Sync {
    /// The key at this place, in the order of the reference page.
    fn at(&self, n: usize) -> Option<&Key>;
}

impl dyn TableOfKeys {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Key> {
        (0..).map_while(|n| self.at(n))
    }

    pub(super) fn find(&self, name: &str) -> Option<&Key> {
        self.iter().find(|key| key.name == name)
    }
}

impl fmt::Debug for dyn TableOfKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|key| key.name)).finish()
    }
}

/// A table that is read as a whole, because its keys mean something together.
pub(super) struct Whole(pub(super) &'static [Key]);

impl TableOfKeys for Whole {
    fn at(&self, n: usize) -> Option<&Key> {
        self.0.get(n)
    }
}

/// A key and what it sets.
pub(super) struct Row<T> {
    key: Key,
    set: fn(&mut T, &mut Written<'_>),
}

/// A table whose keys set what they say in a `T`, each by itself, in this order.
pub(super) struct Rows<T: 'static>(pub(super) &'static [Row<T>]);

impl<T> TableOfKeys for Rows<T> {
    fn at(&self, n: usize) -> Option<&Key> {
        self.0.get(n).map(|row| &row.key)
    }
}

impl<T> Rows<T> {
    /// Sets what is written; the rest stays.
    pub(super) fn fill(&self, made: &mut T, fields: &Fields<'_>, findings: &mut Vec<Finding>) {
        for Row { key, set } in self.0 {
            if let Some(node) = fields.table.get(key.name) {
                set(made, &mut Written { key, node, fields, findings });
            }
        }
    }
}

/// A key that is written, and its value.
pub(super) struct Written<'a> {
    key: &'a Key,
    pub(super) node: &'a Node,
    /// The table that it stands in.
    pub(super) fields: &'a Fields<'a>,
    pub(super) findings: &'a mut Vec<Finding>,
}

impl<'a> Written<'a> {
    /// Into its field, unless it could not be read.
    pub(super) fn put<T: Read>(&self, field: &mut T) {
        if let Some(value) = T::read(self.node, self.fields) {
            *field = value;
        }
    }

    /// Into its field: what the word means. The meanings stand in the order of the key's words.
    pub(super) fn word<T: Copy>(&self, field: &mut T, meanings: &[T]) {
        let (Kind::Word(words), Value::Text(text)) = (&self.key.kind, &self.node.value) else { return };
        debug_assert_eq!(words.len(), meanings.len(), "each word of `{}` has a meaning", self.key.name);
        let meaning = words.iter().zip(meanings).find(|(word, _)| *word == text);
        *field = meaning.map_or(*field, |(_, meaning)| *meaning);
    }

    pub(super) fn is_off(&self) -> bool {
        matches!(self.node.value, Value::Off)
    }

    /// The table that it is.
    pub(super) fn table(&self) -> Option<Fields<'a>> {
        self.node.as_table().map(|table| self.fields.of(table))
    }

    /// Sets what the table says in its field.
    pub(super) fn fill<T>(&mut self, rows: &Rows<T>, field: &mut T) {
        if let Some(table) = self.node.as_table() {
            rows.fill(field, &self.fields.of(table), self.findings);
        }
    }
}
