//! What must not be stored: values of secrets, matches of the program's patterns, and terminal escapes if it says so.

use super::cut::Cut;
use crate::model::Program;
use regex::bytes::{Regex, RegexBuilder};

/// Stands in place of what was taken out.
const STARS: &[u8] = b"***";

/// Terminal escapes: CSI, OSC, and the two-byte ones.
const ESCAPES: &str = r"(?-u)\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[@-Z\\^_])";

/// See [`SIZE_LIMIT`](super::classify): the same bound for the same reason.
const SIZE_LIMIT: usize = 8 << 20;

/// Takes things out of lines.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    hide: Option<Regex>,
    strip: Option<Regex>,
    secrets: Vec<Vec<u8>>,
}

/// Lines from which something was taken out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cleaned {
    /// The lines.
    pub bytes: Vec<u8>,
    /// Where they end now.
    pub lines: Cut,
    /// Lines whose length changed, with the length they had.
    pub raw_lengths: Vec<(u32, u64)>,
}

impl Redactor {
    /// For a program and the secrets of one run. With it come patterns that cannot be used, each in a sentence.
    #[must_use]
    pub fn new(program: &Program, secrets: &[String]) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        // A secret of several lines shows as several lines.
        let mut secrets: Vec<Vec<u8>> = secrets
            .iter()
            .flat_map(|s| s.lines())
            .filter(|s| !s.is_empty())
            .map(|s| s.as_bytes().to_vec())
            .collect();
        // The longest first: one may be the beginning of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let mut patterns: Vec<String> = secrets
            .iter()
            .map(|secret| format!("(?:{})", regex::escape(&String::from_utf8_lossy(secret))))
            .collect();
        for (n, pattern) in program.output.redact.iter().enumerate() {
            match build(pattern) {
                Ok(_) => patterns.push(format!("(?:{pattern})")),
                Err(error) => problems.push(format!("redact[{n}]: {error}")),
            }
        }
        let mut all = |pattern: &str| build(pattern).map_err(|error| problems.push(error.to_string())).ok();
        let hide = if patterns.is_empty() { None } else { all(&patterns.join("|")) };
        let strip = if program.output.strip_ansi { all(ESCAPES) } else { None };
        (Self { hide, strip, secrets }, problems)
    }

    /// The secrets' values: a line must not be split in the middle of one.
    #[must_use]
    pub fn secrets(&self) -> &[Vec<u8>] {
        &self.secrets
    }

    /// The lines without what must not be stored; nothing when they may stay as they are.
    #[must_use]
    pub fn clean(&self, bytes: &[u8], lines: &Cut) -> Option<Cleaned> {
        let somewhere = |pattern: &Option<Regex>| pattern.as_ref().is_some_and(|p| p.is_match(bytes));
        if !somewhere(&self.hide) && !somewhere(&self.strip) {
            return None;
        }
        let mut cleaned = Cleaned { bytes: Vec::with_capacity(bytes.len()), ..Cleaned::default() };
        let mut start = 0;
        for (line, end) in (0_u32..).zip(&lines.ends) {
            let whole = bytes.get(start..*end as usize).unwrap_or_default();
            let before = cleaned.bytes.len();
            let (text, newline) = whole.strip_suffix(b"\n").map_or((whole, false), |text| (text, true));
            cleaned.bytes.extend_from_slice(&self.line(text));
            if newline {
                cleaned.bytes.push(b'\n');
            } else if cleaned.bytes.len() == before {
                // A line without a newline must not vanish: its end is known by its bytes.
                cleaned.bytes.push(b' ');
            }
            if cleaned.bytes.len() - before != whole.len() {
                cleaned.raw_lengths.push((line, whole.len() as u64));
            }
            let now = u32::try_from(cleaned.bytes.len()).unwrap_or(u32::MAX);
            cleaned.lines.ends.push(now);
            if lines.splits.binary_search(end).is_ok() {
                cleaned.lines.splits.push(now);
            }
            start = *end as usize;
        }
        Some(cleaned)
    }

    /// One line.
    fn line(&self, text: &[u8]) -> Vec<u8> {
        let stripped = match &self.strip {
            Some(strip) => strip.replace_all(text, &b""[..]).into_owned(),
            None => text.to_vec(),
        };
        match &self.hide {
            Some(hide) => hide.replace_all(&stripped, STARS).into_owned(),
            None => stripped,
        }
    }

    /// A line that is not finished. The beginning of a secret at its end is held back: its rest may come. Returns what
    /// may be shown and how many of the bytes that stands for.
    #[must_use]
    pub fn unfinished(&self, text: &[u8]) -> (Vec<u8>, usize) {
        let mut length = text.len();
        for secret in &self.secrets {
            let longest = secret.len().saturating_sub(1).min(text.len());
            let held = (1..=longest).rev().find(|n| text.get(text.len() - n..) == secret.get(..*n));
            length = length.min(text.len() - held.unwrap_or(0));
        }
        let shown = text.get(..length).unwrap_or_default();
        (if self.hide.is_some() || self.strip.is_some() { self.line(shown) } else { shown.to_vec() }, length)
    }
}

fn build(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).multi_line(true).size_limit(SIZE_LIMIT).build()
}
