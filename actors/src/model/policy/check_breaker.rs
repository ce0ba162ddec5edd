//! Settings of a breaker that contradict each other, beside those of its counters in [`check`](super::check).

use super::BreakerPolicy;
use crate::model::{Problem, format_duration_ms};

impl BreakerPolicy {
    /// That neither failures in a row nor their share can open it. Then only a class that trips could.
    pub(super) fn never_opens(&self) -> Option<Problem> {
        (self.failures == 0 && self.failure_rate_permille == 0).then(|| {
            Problem::new(
                "config.conflict",
                "failures",
                "the breaker can never open: `failures` and `failure_rate` are both 0",
                "set one of them, give a class trips = true, or write breaker = false",
            )
            .against("failure_rate")
        })
    }

    /// Times that contradict each other, with paths below `breaker`.
    pub(super) fn check_times(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        // Who lengthens the penalty has not contradicted a time that he never wrote: the penalty holds then.
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

    /// How long after the last change a success takes one level back.
    #[must_use]
    pub fn decay_after_ms(&self) -> u64 {
        self.decay_after_ms.max(self.penalty_ms)
    }
}
