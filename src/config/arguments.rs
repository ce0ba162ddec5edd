//! Arguments: texts, groups that are there together, and those that a parameter chooses.

use super::{
    fields::Fields,
    keys::{
        Kind::{Args, Text},
        Whole, Written, key,
    },
    tree::{Node, Value},
};
use crate::Arg;

/// An argument that a boolean parameter chooses.
pub(super) static WHEN: Whole = Whole(&[
    key("when", Text, "", "The boolean parameter; unset, it is false."),
    key("args", Args, "[]", "Arguments where it is true."),
    key("else", Args, "[]", "Arguments where it is not."),
]);

/// What stands in place of a text that cannot be read.
const UNREADABLE: &str = "unreadable";

impl Written<'_> {
    /// The list of arguments that the value is.
    pub(super) fn arguments(&self) -> Option<Vec<Arg>> {
        arguments(self.node, self.fields)
    }
}

/// One that cannot be read keeps its place, so that the numbers of the others stay true.
fn arguments(node: &Node, fields: &Fields<'_>) -> Option<Vec<Arg>> {
    match &node.value {
        Value::List(items) => Some(items.iter().map(|item| argument(item, fields)).collect()),
        _ => None,
    }
}

fn argument(node: &Node, fields: &Fields<'_>) -> Arg {
    let text = |node: &Node| match &node.value {
        Value::Text(text) => text.clone(),
        _ => UNREADABLE.to_owned(),
    };
    match &node.value {
        Value::List(group) => Arg::Group(group.iter().map(text).collect()),
        Value::Table(table) => {
            let fields = fields.of(table);
            let below = |key: &str| table.get(key).and_then(|node| arguments(node, &fields));
            Arg::When {
                when: fields.text("when").unwrap_or_else(|| UNREADABLE.into()),
                args: below("args").unwrap_or_default(),
                otherwise: below("else").unwrap_or_default(),
            }
        }
        _ => Arg::One(text(node)),
    }
}
