//! How many items an output tells of.

use super::{
    classify::{build, each_candidate, looks_at_lines},
    cut::Cut,
};
use crate::model::Program;
use regex::bytes::Regex;

/// The rule that finds items, compiled.
#[derive(Clone, Debug)]
pub struct Items {
    pattern: Regex,
    /// Whether the rule can look at many lines at once.
    by_block: bool,
}

impl Items {
    /// `None` for a program that does not count items, and for an expression that cannot be used: configurations are
    /// checked before.
    #[must_use]
    pub fn of(program: &Program) -> Option<Self> {
        let expression = program.success_items.as_deref()?;
        let pattern = build(expression).ok()?;
        Some(Self { pattern, by_block: !looks_at_lines(expression) })
    }

    /// The number of items after this block, given the number before it. It does not matter where blocks begin and
    /// end.
    #[must_use]
    pub fn in_block(&self, known: u64, bytes: &[u8], lines: &Cut) -> u64 {
        let mut count = known;
        let block = self.by_block.then_some(&self.pattern);
        each_candidate(block, bytes, lines, |_, line| count = self.in_line(count, line));
        count
    }

    /// The number of items after this line, given the number before it.
    #[must_use]
    pub fn in_line(&self, known: u64, line: &[u8]) -> u64 {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !self.has_capture() {
            return known.saturating_add(u64::from(self.pattern.is_match(line)));
        }
        let number = self.pattern.captures(line).and_then(|found| {
            let text = std::str::from_utf8(found.get(1)?.as_bytes()).ok()?;
            text.trim().parse().ok()
        });
        known.max(number.unwrap_or(0))
    }

    /// The number of items of two streams together.
    #[must_use]
    pub fn together(&self, one: u64, other: u64) -> u64 {
        if self.has_capture() { one.max(other) } else { one.saturating_add(other) }
    }

    fn has_capture(&self) -> bool {
        self.pattern.captures_len() > 1
    }
}
