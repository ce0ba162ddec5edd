//! Where in the file the path of a problem leads.

use super::{
    Severity,
    diagnostic::{At, Finding},
    document::Document,
    tree::{Table, Value},
};
use crate::Problem;

/// Finds the place of each problem's path in the file.
pub(super) fn report(
    document: &mut Document,
    header: At,
    table: &Table,
    problems: Vec<Problem>,
    severity: Severity,
) {
    for problem in problems {
        let own = find(table, &problem.path);
        let other = problem.other.as_deref().map(|path| find(table, path));
        // A consequence of something wrong that was told already.
        let places = || std::iter::once(&own).chain(&other);
        if places().any(|place| place.bad) {
            continue;
        }
        // Beside something that could not be read, what is written may be wrong by itself. What is missing, or contradicts
        // something that is not written, may be a consequence of that.
        let certain = own.exact
            && match problem.code.as_str() {
                // What a value must be may be for the other to say, as a type is.
                "config.required" | "config.value" => false,
                "config.conflict" => other.as_ref().is_some_and(|other| other.exact),
                _ => true,
            };
        if places().any(|place| place.beside_bad) && !certain {
            continue;
        }
        let place = match other {
            Some(other) if !own.exact && other.exact => other,
            _ => own,
        };
        document.findings.push(Finding {
            severity,
            at: place.at.unwrap_or(header),
            code: problem.code,
            message: problem.message,
            help: problem.help,
        });
    }
}

/// Reports what is wrong with a value that is written, whatever else may be: in a file that could not be read whole.
pub(super) fn report_certain(document: &mut Document, table: &Table, problems: Vec<Problem>) {
    for problem in problems {
        let place = find(table, &problem.path);
        let of_what_is_missing = matches!(problem.code.as_str(), "config.required" | "config.conflict");
        if let Some(at) = place.at.filter(|at| place.exact && !document.is_guesswork(*at))
            && !place.bad
            && !place.beside_bad
            && problem.other.is_none()
            && !of_what_is_missing
        {
            document.findings.push(Finding::error(at, &problem.code, problem.message, problem.help));
        }
    }
}

/// Where a path leads.
struct Place {
    /// The nearest that is written.
    at: Option<At>,
    /// Whether it is the thing itself.
    exact: bool,
    /// Whether it could not be read.
    bad: bool,
    /// Whether something beside it, or beside what it is in, could not be read.
    beside_bad: bool,
}

fn find(table: &Table, path: &str) -> Place {
    let mut place = Place { at: None, exact: false, bad: false, beside_bad: false };
    let (mut table, mut rest, mut depth) = (table, path, 0);
    while !rest.is_empty() {
        // Names may have dots themselves: the longest written name that the path goes on with.
        let names = table.iter().filter(|(name, _)| {
            rest.strip_prefix(name.as_str())
                .is_some_and(|tail| tail.is_empty() || tail.starts_with(['.', '[']))
        });
        let Some((name, node)) = names.max_by_key(|(name, _)| name.len()) else { return place };
        place.at = Some(node.at);
        place.bad |= matches!(node.value, Value::Bad);
        place.beside_bad |= depth > 0 && table.values().any(|node| matches!(node.value, Value::Bad));
        rest = rest.get(name.len()..).unwrap_or_default();
        let mut inner = node;
        while let Some((index, tail)) = rest.strip_prefix('[').and_then(|tail| tail.split_once(']')) {
            let items = match &inner.value {
                Value::List(items) => items.as_slice(),
                _ => &[],
            };
            let Some(item) = index.parse::<usize>().ok().and_then(|index| items.get(index)) else {
                return place;
            };
            place.at = Some(item.at);
            place.bad |= matches!(item.value, Value::Bad);
            inner = item;
            rest = tail;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if rest.is_empty() {
            place.exact = true;
        }
        depth += 1;
        match &inner.value {
            Value::Table(below) => table = below,
            _ => return place,
        }
    }
    place
}
