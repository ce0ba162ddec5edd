//! What is wrong with a definition, wherever it was written.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One thing wrong with a [`Program`](super::Program) or a policy.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// The kind of the mistake, such as `config.range`: stable, for programs.
    pub code: String,
    /// Where the mistake is, by the names of the configuration file: `retry.max_delay`, `classify[0].pattern`.
    pub path: String,
    /// The path of the other side of a contradiction, where there is one.
    pub other: Option<String>,
    /// What is wrong, as a sentence.
    pub message: String,
    /// One thing to do about it.
    pub help: String,
}

impl Problem {
    /// A problem of this kind at this place.
    #[must_use]
    pub fn new(
        code: &str,
        path: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            code: code.to_owned(),
            path: path.into(),
            other: None,
            message: message.into(),
            help: help.into(),
        }
    }

    /// Names the other side of the contradiction.
    #[must_use]
    pub fn against(mut self, other: impl Into<String>) -> Self {
        self.other = Some(other.into());
        self
    }

    /// Moves the path below this parent.
    #[must_use]
    pub fn below(mut self, parent: &str) -> Self {
        for path in std::iter::once(&mut self.path).chain(&mut self.other) {
            *path = if path.is_empty() { parent.to_owned() } else { format!("{parent}.{path}") };
        }
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}: {}", self.code, self.path, self.message)?;
        if self.help.is_empty() { Ok(()) } else { write!(f, "\n  help: {}", self.help) }
    }
}

/// The known name that a mistyped one most likely meant: nearest by edit distance, at most a third of its letters
/// (and at least one) away, because a wilder guess misleads, and with half of the longer one's letters in common, because
/// one letter for another is no typo of `x`; else one that begins with what was typed.
#[must_use]
pub fn did_you_mean<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Fewer letters begin too many names.
    const SHORTEST_BEGINNING: usize = 3;
    let known: Vec<&str> = known.into_iter().collect();
    let letters = typed.chars().count();
    let limit = (letters / 3).max(1);
    let fits =
        |distance: usize, name: &str| distance <= limit && 2 * distance <= letters.max(name.chars().count());
    let near = known.iter().map(|name| (edit_distance(typed, name), *name));
    let nearest = near.filter(|(distance, name)| fits(*distance, name)).min_by_key(|(distance, _)| *distance);
    let begun =
        || known.iter().copied().find(|name| typed.len() >= SHORTEST_BEGINNING && name.starts_with(typed));
    nearest.map(|(_, name)| name).or_else(begun)
}

/// The number of insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`; upper and lower
/// case are the same.
#[must_use]
pub fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (above[j] + usize::from(x != y)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *y && *x == b[j - 1] {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        let known = ["command", "cwd", "classify", "restart"];
        assert_eq!(did_you_mean("comand", known), Some("command"));
        assert_eq!(did_you_mean("commnad", known), Some("command"));
        assert_eq!(did_you_mean("Restart", known), Some("restart"));
        assert_eq!(did_you_mean("cdw", known), Some("cwd"));
        assert_eq!(did_you_mean("comm", known), Some("command"));
        assert_eq!(did_you_mean("interval", known), None);
        assert_eq!(did_you_mean("", known), None);
    }

    #[test]
    fn a_short_name_is_suggested_only_when_half_of_it_was_typed() {
        for (typed, known, meant) in [
            ("x", "y", false),
            ("", "y", false),
            ("x", "X", true),   // case counts for nothing
            ("x", "xy", true),  // a letter left out
            ("ab", "ac", true), // one of two
            ("ab", "ba", true), // a swap
            ("ab", "cd", false),
            ("abc", "abd", true),
            ("abc", "ade", false),
            ("abcd", "abce", true),
            ("abcd", "abef", false),
            ("abcdef", "abcdxy", true), // a third of the letters
            ("abcdef", "abcxyz", false),
        ] {
            assert_eq!(did_you_mean(typed, [known]), Some(known).filter(|_| meant), "{typed} {known}");
        }
    }
}
