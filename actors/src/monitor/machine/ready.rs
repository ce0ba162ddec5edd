//! The line with which an attempt says that it is ready.

use super::{classify::build, cut::Cut};
use crate::model::{Ready, Stream, StreamChoice};
use regex::bytes::Regex;

/// A `ready` rule, compiled.
#[derive(Clone, Debug)]
pub struct ReadyLine {
    pattern: Regex,
    stream: StreamChoice,
    /// Whether a block without a match has no line with a match.
    by_block: bool,
}

impl ReadyLine {
    /// Compiles the rule as rules of classes are compiled.
    ///
    /// # Errors
    /// The reason why the pattern cannot be used; configurations are checked before.
    pub fn of(rule: &Ready) -> Result<Self, String> {
        let pattern = build(&rule.pattern).map_err(|error| error.to_string())?;
        // Anchors of the whole text stand for those of the line, and flags that are taken back may change what a
        // line's end is.
        let text = rule.pattern.as_str();
        let of_text = [r"\A", r"\z"].iter().any(|anchor| text.contains(anchor));
        let of_flags = text.contains("(?") && text.contains('-');
        Ok(Self { pattern, stream: rule.stream, by_block: !of_text && !of_flags })
    }

    /// Whether one of these lines matches. A whole block without a match costs one search: a program that never says
    /// that it is ready may write for days.
    #[must_use]
    pub fn is_in(&self, bytes: &[u8], lines: &Cut, stream: Stream) -> bool {
        if !self.is_on(stream) {
            return false;
        }
        // Where an overlong line is split there is no newline, yet its parts count as lines.
        if self.by_block && lines.splits.is_empty() && !self.pattern.is_match(bytes) {
            return false;
        }
        let mut start = 0;
        lines.ends.iter().any(|end| {
            let line = bytes.get(start..*end as usize).unwrap_or_default();
            start = *end as usize;
            self.is_line(line)
        })
    }

    /// Whether the rule looks at this stream.
    #[must_use]
    pub fn is_on(&self, stream: Stream) -> bool {
        self.stream.includes(stream)
    }

    /// Whether this line matches, on whatever stream it is.
    #[must_use]
    pub fn is_line(&self, line: &[u8]) -> bool {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        self.pattern.is_match(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::cut, *};
    use proptest::prelude::*;

    fn ready(pattern: &str) -> ReadyLine {
        ReadyLine::of(&Ready::pattern(pattern)).unwrap()
    }

    fn is_in(rule: &ReadyLine, text: &[u8], max_line: usize) -> bool {
        rule.is_in(text, &cut(text, max_line, None, usize::MAX, true), Stream::Stderr)
    }

    #[test]
    fn a_line_says_it_alone_on_its_stream_and_not_together_with_the_next() {
        for (pattern, text, says) in [
            ("listening on", "starting\nlistening on 80\n", true),
            ("listening on", "listening\non 80\n", false),
            (r"listening\son", "listening\non 80\n", false),
            ("^up$", "go\r\nup\r\n", true),
            (r"\Aup\z", "go\nup\ngo\n", true),
            ("(?i)UP", "going up\n", true),
            ("up", "", false),
        ] {
            assert_eq!(is_in(&ready(pattern), text.as_bytes(), 1_000), says, "{pattern} in {text:?}");
        }
        let stdout = ReadyLine::of(&Ready::pattern("up").stream(StreamChoice::Stdout)).unwrap();
        assert!(!is_in(&stdout, b"up\n", 1_000));
        assert!(ReadyLine::of(&Ready::pattern("(")).is_err());
    }

    proptest! {
        #[test]
        fn the_answer_depends_on_the_lines_alone(
            text in "[ab\r\n]{0,200}",
            pattern in prop::sample::select(vec!["^ab", "b$", "a\\sb", "(?-m)^a$", "\\Aab\\z", "^$", "\\bab\\b", "ba|\\Bb"]),
        ) {
            let rule = ready(pattern);
            let lines = cut(text.as_bytes(), 64, None, usize::MAX, true);
            let mut start = 0;
            let one_by_one = lines.ends.iter().any(|end| {
                let line = &text.as_bytes()[start..*end as usize];
                start = *end as usize;
                rule.is_line(line)
            });
            prop_assert_eq!(is_in(&rule, text.as_bytes(), 64), one_by_one);
        }
    }
}
