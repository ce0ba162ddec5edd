//! How a program reports that it is ready.

use super::{Program, StreamChoice, check::check_regex};
use crate::model::{BreakerPolicy, ProbeSuccess, Problem};
use serde::{Deserialize, Serialize};

/// The line with which an attempt says that it is ready: `ready = { pattern = 'listening on' }` in a file.
///
/// The first whole line that matches counts, as it is stored; what is written later makes no attempt ready again.
/// From then on the program counts as ready: what it says is believed, because it cannot be seen from outside.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[must_use]
pub struct Ready {
    /// A Rust regular expression on one line of output.
    pub pattern: String,
    /// The streams in which the pattern looks. Default both streams.
    pub stream: StreamChoice,
}

impl Ready {
    /// Ready with the first line of either stream that this Rust regular expression matches.
    pub fn pattern(pattern: impl Into<String>) -> Self {
        Self { pattern: pattern.into(), stream: StreamChoice::Any }
    }

    /// Sets the streams in which the pattern looks. Default both streams.
    pub const fn stream(mut self, choice: StreamChoice) -> Self {
        self.stream = choice;
        self
    }
}

/// The part of a breaker's rules that needs a `ready` rule: the key, below the breaker, and how it is written.
pub(super) fn needs_ready(policy: &BreakerPolicy) -> Option<(&'static str, &'static str)> {
    if policy.slow_ready_ms.is_some() {
        Some(("slow_ready", "`slow_ready`"))
    } else if policy.half_open.success == ProbeSuccess::Ready {
        Some(("half_open.success", "`half_open.success = \"ready\"`"))
    } else {
        None
    }
}

impl Program {
    /// Sets the line with which an attempt says that it is ready. Default none: readiness is not asked for.
    #[must_use]
    pub fn ready(mut self, ready: Ready) -> Self {
        self.ready = Some(ready);
        self
    }

    pub(super) fn check_ready(&self, found: &mut Vec<Problem>) {
        if let Some(ready) = &self.ready {
            check_regex("ready.pattern", &ready.pattern, 0, found);
        } else if let Some((path, key)) = self.breaker.as_deref().and_then(needs_ready) {
            let message = format!("{key} needs a `ready` rule: nothing else says when `{}` is", self.name);
            let help = "write for example ready = { pattern = 'listening on' }";
            let problem = Problem::new("config.conflict", format!("breaker.{path}"), message, help);
            found.push(problem.against("ready"));
        }
    }
}
