//! Settings of a breaker that contradict each other, beside those of its counters in [`check`](super::check).

use super::{BreakerPolicy, RetryPolicy};
use crate::model::{Problem, format_duration_ms};

impl BreakerPolicy {
    /// That neither failures in a row nor their share can open it. Then only a class that trips could.
    pub(super) fn never_opens(&self) -> Option<Problem> {
        let slow = self.slow_ready_ms.is_some() || self.slow_rate_permille.is_some();
        let counts = self.failures > 0 || self.failure_rate_permille > 0 || slow;
        (!counts).then(|| {
            Problem::new(
                "config.conflict",
                "failures",
                "the breaker can never open: `failures` and `failure_rate` are both 0",
                "set one of them, give a class trips = true, or write breaker = false",
            )
            .against("failure_rate")
        })
    }

    /// What a slow start is and how many open it belong together.
    pub(super) fn check_slow(&self) -> Option<Problem> {
        let problem = |code, path, message, help| Some(Problem::new(code, path, message, help));
        match (self.slow_ready_ms, self.slow_rate_permille) {
            (None, None) => None,
            (Some(_), None) => problem(
                "config.conflict",
                "slow_ready",
                "`slow_ready` without `slow_rate`: slow starts would decide nothing",
                "write for example slow_rate = 0.5, the share of slow starts that opens it",
            ),
            (None, Some(_)) => problem(
                "config.conflict",
                "slow_rate",
                "`slow_rate` without `slow_ready`: no start would be slow",
                "write for example slow_ready = \"10s\", after which a start is slow",
            ),
            (Some(0), Some(_)) => problem(
                "config.range",
                "slow_ready",
                "`slow_ready` is 0s: every start would be slow",
                "write for example \"10s\"",
            ),
            (Some(_), Some(rate)) if !(1..=1_000).contains(&rate) => problem(
                "config.range",
                "slow_rate",
                "`slow_rate` must be between 0.001 and 1.0 with at most three decimals",
                "write for example 0.5, or leave slow_ready and slow_rate out",
            ),
            (Some(_), Some(_)) => None,
        }
    }

    /// Times that contradict each other, with paths below `breaker`.
    pub(super) fn check_times(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        // A policy that lengthens the penalty does not contradict a time that it never set: the penalty holds then.
        let written = self.decay_after_ms != Self::default().decay_after_ms;
        if written && self.decay_after_ms < self.penalty_ms {
            let (decay, penalty) =
                (format_duration_ms(self.decay_after_ms), format_duration_ms(self.penalty_ms));
            let message = format!("`decay_after` ({decay}) is shorter than `penalty` ({penalty})");
            let help = format!("write decay_after = \"{penalty}\" or longer, or a shorter penalty");
            found.push(Problem::new("config.conflict", "decay_after", message, help).against("penalty"));
        }
        found
    }

    /// The conflict of a breaker's `quarantine` with a program that never begins one, because it has no `intensity`.
    pub(in crate::model) fn quarantine_never_begins(&self, retry: &RetryPolicy) -> Option<Problem> {
        (self.quarantine_ms.is_some() && retry.intensity.is_none()).then(|| {
            Problem::new(
                "config.conflict",
                "breaker.quarantine",
                "`quarantine` never begins: the program has intensity = false",
                "leave quarantine out, or write for example retry.intensity = { restarts = 10, window = \"1m\" }",
            )
            .against("retry.intensity")
        })
    }

    /// How long after the last change a success takes one level back.
    #[must_use]
    pub fn decay_after_ms(&self) -> u64 {
        self.decay_after_ms.max(self.penalty_ms)
    }
}
