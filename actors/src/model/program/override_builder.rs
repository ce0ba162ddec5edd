//! What a class does here, and how output is kept, in code.

use super::{Backlog, ClassOverride, OutputPolicy, StderrMode};
use crate::model::{
    Adjust, Inline, InlineAction, Problem, ScopeKind, parse_size,
    policy::{permille, read_duration},
};

/// Times are texts with a unit; one that cannot be read comes out of [`Program::check`](super::Program::check).
impl ClassOverride {
    /// A failure of the class is tried again; everything else as built in.
    #[must_use]
    pub fn retry() -> Self {
        Self { retry: Some(true), ..Self::default() }
    }

    /// A failure of the class ends the run; everything else as built in.
    #[must_use]
    pub fn no_retry() -> Self {
        Self { retry: Some(false), ..Self::default() }
    }

    /// Whether the failure counts towards `max_retries` and lengthens the delay.
    #[must_use]
    pub const fn counts(mut self, counts: bool) -> Self {
        self.counts = Some(counts);
        self
    }

    /// Sets the weight of the failure in a breaker, with at most three decimals; 0.0 is neutral.
    #[must_use]
    pub fn weight(mut self, weight: f64) -> Self {
        self.weight_permille = Some(permille(weight));
        self
    }

    /// Sets which breakers are told of the failure.
    #[must_use]
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = ScopeKind>) -> Self {
        self.scopes = Some(scopes.into_iter().collect());
        self
    }

    /// Makes one such failure open these breakers at once.
    #[must_use]
    pub const fn trips(mut self) -> Self {
        self.trips = Some(true);
        self
    }

    /// Sets the first delay in place of the program's.
    #[must_use]
    pub fn delay(mut self, time: impl AsRef<str>) -> Self {
        self.delay_ms = read_duration("delay", time.as_ref(), &mut self.rejected).or(self.delay_ms);
        self
    }

    /// Sets the longest delay in place of the program's.
    #[must_use]
    pub fn max_delay(mut self, time: impl AsRef<str>) -> Self {
        self.max_delay_ms =
            read_duration("max_delay", time.as_ref(), &mut self.rejected).or(self.max_delay_ms);
        self
    }

    /// Sets how many failures of the class in one row are tried again, besides the program's `max_retries`.
    #[must_use]
    pub const fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = Some(retries);
        self
    }

    /// Sets what a retry takes from the retry budget, in tokens with at most three decimals; 0.0 is free.
    #[must_use]
    pub fn cost(mut self, tokens: f64) -> Self {
        self.cost_permille = Some(permille(tokens));
        self
    }

    /// Decides which class an end has that shows several: the one with the highest priority. -1,000 to 1,000; default
    /// 0.
    #[must_use]
    pub const fn priority(mut self, priority: i32) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Sets how the failure changes a parameter for the next attempt, never outside its bounds.
    #[must_use]
    pub fn adjust(mut self, param: impl Into<String>, adjust: Adjust) -> Self {
        self.adjust.insert(param.into(), adjust);
        self
    }

    /// Sets what follows when `count` errors of the class come within `per`, while the attempt still runs.
    #[must_use]
    pub fn inline(mut self, count: u32, per: impl AsRef<str>, action: InlineAction) -> Self {
        if let Some(per_ms) = read_duration("inline.per", per.as_ref(), &mut self.rejected) {
            self.inline = Some(Inline { count, per_ms, action });
        }
        self
    }
}

/// Largest change in millionths that a floating-point number holds exactly.
const EXACT_MICROS: f64 = 9e15;

/// A number as millionths; `i64::MAX`, which the check refuses, for a number that has more than six decimals or is
/// none.
fn micros(number: f64) -> i64 {
    let scaled = (number * 1e6).round();
    if !scaled.is_finite() || scaled.abs() > EXACT_MICROS {
        return i64::MAX;
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 9e15, see above")]
    let micros = scaled as i64;
    micros
}

impl Adjust {
    /// Multiplies by this factor, with at most three decimals: `0.5` halves.
    #[must_use]
    pub fn multiply(factor: f64) -> Self {
        Self::Multiply { permille: permille(factor) }
    }

    /// Adds this many units of the parameter (seconds for a duration are 1,000); negative subtracts.
    #[must_use]
    pub fn add(units: impl Into<f64>) -> Self {
        Self::Add { micros: micros(units.into()) }
    }

    /// Sets the value to this many units of the parameter (milliseconds for a duration).
    #[must_use]
    pub fn set(units: impl Into<f64>) -> Self {
        Self::Set { micros: micros(units.into()) }
    }

    /// Moves this many places along the choices of a parameter, of which the first is the most cautious: -1 is one
    /// place towards it.
    #[must_use]
    pub const fn step(steps: i32) -> Self {
        Self::Step { steps }
    }
}

/// Sizes are texts with a unit, as in `"64KiB"`; one that cannot be read comes out of
/// [`Program::check`](super::Program::check).
impl OutputPolicy {
    fn size(&mut self, path: &str, text: &str) -> Option<u64> {
        parse_size(text)
            .map_err(|message| {
                self.rejected.push(Problem::new("config.size", path, message, "write for example \"64KiB\""));
            })
            .ok()
    }

    /// Sets the longest line; a longer one is split and marked. Default 64 KiB.
    #[must_use]
    pub fn max_line(mut self, size: impl AsRef<str>) -> Self {
        self.max_line = self.size("max_line", size.as_ref()).unwrap_or(self.max_line);
        self
    }

    /// Sets how much is kept in memory for each attempt. Default 1 MiB.
    #[must_use]
    pub fn recent(mut self, size: impl AsRef<str>) -> Self {
        self.recent = self.size("recent", size.as_ref()).unwrap_or(self.recent);
        self
    }

    /// Sets how much the child may have written that is not stored yet. Default 256 MiB.
    #[must_use]
    pub fn backlog(mut self, size: impl AsRef<str>) -> Self {
        self.backlog = self.size("backlog", size.as_ref()).unwrap_or(self.backlog);
        self
    }

    /// Sets what happens beyond the backlog. Default wait: the child waits while the store makes progress.
    #[must_use]
    pub const fn on_backlog(mut self, on_backlog: Backlog) -> Self {
        self.on_backlog = on_backlog;
        self
    }

    /// Sets how long the store may take nothing before waiting output is dropped and counted ([`Backlog::Wait`]).
    /// Default 5 seconds.
    #[must_use]
    pub fn stall(mut self, time: impl AsRef<str>) -> Self {
        if let Some(ms) = read_duration("output.stall", time.as_ref(), &mut self.rejected) {
            self.stall_ms = ms;
        }
        self
    }

    /// Sets where standard error goes. Default separate.
    #[must_use]
    pub const fn stderr(mut self, mode: StderrMode) -> Self {
        self.stderr = mode;
        self
    }

    /// Adds a regular expression whose matches are stored as `***`.
    #[must_use]
    pub fn redact(mut self, expression: impl Into<String>) -> Self {
        self.redact.push(expression.into());
        self
    }

    /// Removes terminal escapes before storing.
    #[must_use]
    pub const fn strip_ansi(mut self) -> Self {
        self.strip_ansi = true;
        self
    }
}
