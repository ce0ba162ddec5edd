//! Classification rules in code.

use super::{ClassifyRule, Matcher, StreamChoice};
use crate::model::{Problem, signal_number};

/// One classification rule: which class is found, and by what.
///
/// The first match in the order of [`Program::classify`](super::Program::classify) wins, before the built-in rules.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct Classify {
    pub(super) rule: ClassifyRule,
    pub(super) rejected: Vec<Problem>,
}

impl Classify {
    /// A Rust regular expression on one line of output, of either stream.
    pub fn pattern(class: impl Into<String>, pattern: impl Into<String>) -> Self {
        let matcher =
            Matcher::Pattern { pattern: pattern.into(), stream: StreamChoice::Any, retry_after: None };
        Self { rule: ClassifyRule { class: class.into(), matcher }, rejected: Vec::new() }
    }

    /// An exit code, 0 to 255.
    pub fn exit_code(class: impl Into<String>, code: i32) -> Self {
        Self {
            rule: ClassifyRule { class: class.into(), matcher: Matcher::ExitCode(code) },
            rejected: Vec::new(),
        }
    }

    /// The signal that ended it, by name: `"SIGKILL"` or `"KILL"`.
    pub fn signal(class: impl Into<String>, signal: &str) -> Self {
        let number = signal_number(signal);
        let rejected = number.is_none().then(|| unknown_signal("signal", signal)).into_iter().collect();
        let matcher = Matcher::Signal(number.unwrap_or(libc::SIGKILL));
        Self { rule: ClassifyRule { class: class.into(), matcher }, rejected }
    }

    /// An expression on the same line whose capture 1 says how long the other side asks to wait; for a pattern only.
    ///
    /// Understood are seconds (`7`, `2.5`), numbers with a unit (`1500ms`, `30s`, `5 minutes`, `1h30m`), the dates of HTTP (RFC
    /// 9110) and those of RFC 3339; fractions are rounded up to milliseconds. Anything else, and a date that has passed, is no
    /// hint. `retry_after_max` bounds it.
    pub fn retry_after(mut self, expression: impl Into<String>) -> Self {
        match &mut self.rule.matcher {
            Matcher::Pattern { retry_after, .. } => *retry_after = Some(expression.into()),
            Matcher::ExitCode(_) | Matcher::Signal(_) => self.rejected.push(only_for_patterns("retry_after")),
        }
        self
    }

    /// Sets the streams in which the pattern looks. Default both streams.
    pub fn stream(mut self, choice: StreamChoice) -> Self {
        match &mut self.rule.matcher {
            Matcher::Pattern { stream, .. } => *stream = choice,
            Matcher::ExitCode(_) | Matcher::Signal(_) => self.rejected.push(only_for_patterns("stream")),
        }
        self
    }
}

impl ClassifyRule {
    /// The rule that this matcher finds this class.
    #[must_use]
    pub fn new(class: impl Into<String>, matcher: Matcher) -> Self {
        Self { class: class.into(), matcher }
    }
}

fn only_for_patterns(path: &str) -> Problem {
    Problem::new(
        "config.conflict",
        path,
        format!("`{path}` needs a `pattern`: an exit code or signal has no line to look at"),
        "give the rule a pattern, or leave it out",
    )
}

pub(super) fn unknown_signal(path: &str, signal: &str) -> Problem {
    Problem::new(
        "config.signal",
        path,
        format!("`{signal}` is not a signal"),
        "write for example \"SIGTERM\"",
    )
}
