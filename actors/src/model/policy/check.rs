//! Settings that contradict each other, with the names of the configuration file.

use super::{BreakerPolicy, HalfOpen, Jitter, ProbeSuccess, RetryPolicy};
use crate::model::{Problem, format_duration_ms};

/// The longest delay and the longest penalty, in milliseconds: a week. A longer wait is a decision for an operator.
pub(in crate::model) const LONGEST_WAIT_MS: u64 = 7 * 86_400_000;
/// Shortest quarantine: a shorter one would be one more delay.
const SHORTEST_QUARANTINE_MS: u64 = 60_000;
/// Shortest penalty: below it the breaker opens and closes faster than a process starts.
const SHORTEST_PENALTY_MS: u64 = 100;
/// Slowest start that a lease must leave room for, beside the time that proves a probe.
const START_TIME_MS: u64 = 60_000;
/// Growth factors in thousandths: 1 is constant, and 10 reaches every cap in a few steps.
const FACTOR: std::ops::RangeInclusive<u32> = 1_000..=10_000;
/// Most outcomes and failures that a breaker counts: each is kept and saved.
const MOST_OUTCOMES: u32 = 1_000;

fn range(path: &str, message: impl Into<String>, help: impl Into<String>) -> Problem {
    Problem::new("config.range", path, message, help)
}

fn conflict(path: &str, other: &str, message: impl Into<String>, help: impl Into<String>) -> Problem {
    Problem::new("config.conflict", path, message, help).against(other)
}

fn factor(path: &str, permille: u32) -> Option<Problem> {
    (!FACTOR.contains(&permille)).then(|| {
        range(
            path,
            format!("`{path}` must be between 1.0 and 10.0 with at most three decimals"),
            "1.0 keeps the time constant, 2.0 doubles it each time",
        )
    })
}

/// `path` must not be shorter than `other`.
fn not_below(path: &str, ms: u64, other: &str, floor_ms: u64) -> Option<Problem> {
    (ms < floor_ms).then(|| {
        let (own, floor) = (format_duration_ms(ms), format_duration_ms(floor_ms));
        conflict(
            path,
            other,
            format!("`{path}` ({own}) is shorter than `{other}` ({floor})"),
            format!("write {path} = \"{floor}\" or longer, or a shorter {other}"),
        )
    })
}

fn not_over_a_week(path: &str, ms: u64) -> Option<Problem> {
    (ms > LONGEST_WAIT_MS)
        .then(|| range(path, format!("`{path}` is longer than 7d"), "write \"7d\" or a shorter time"))
}

/// What holds `without` it is a part of the help.
fn quarantine_range(ms: u64, without: &str) -> Option<Problem> {
    let bounds = SHORTEST_QUARANTINE_MS..=LONGEST_WAIT_MS;
    (!bounds.contains(&ms)).then(|| {
        range(
            "quarantine",
            "`quarantine` must be between 1m and 7d",
            format!("write for example \"1h\", or leave it out: then {without}"),
        )
    })
}

impl RetryPolicy {
    /// Every contradiction, with paths below `retry`.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let mut found = self.rejected.clone();
        if self.delay_ms == 0 && self.min_delay_ms > 0 {
            found.push(conflict(
                "delay",
                "min_delay",
                "`delay` is 0s, which would restart in a tight loop",
                "write min_delay = \"0s\" as well if that is meant, else for example delay = \"1s\"",
            ));
        } else {
            found.extend(not_below("delay", self.delay_ms, "min_delay", self.min_delay_ms));
        }
        found.extend(not_below("max_delay", self.max_delay_ms, "delay", self.delay_ms));
        found.extend(not_over_a_week("max_delay", self.max_delay_ms));
        found.extend(factor("factor", self.factor_permille));
        if let Jitter::Proportional(share) = self.jitter
            && !(1..=1000).contains(&share)
        {
            found.push(range(
                "jitter",
                "`jitter` must be between 0.001 and 1.0 with at most three decimals",
                "write a share such as 0.2, or one of none, full, equal, decorrelated",
            ));
        }
        if let Some(ms) = self.reset_after_ms {
            found.extend(not_below("reset_after", ms, "delay", self.delay_ms));
        }
        if self.max_failing_ms.is_some_and(|ms| ms < 1_000) {
            found.push(range(
                "max_failing",
                "`max_failing` is shorter than one second",
                "leave it out for no limit",
            ));
        }
        found.extend(self.check_intensity());
        found.extend(self.check_quarantine());
        found
    }

    fn check_quarantine(&self) -> Option<Problem> {
        let ms = self.quarantine_ms?;
        if self.intensity.is_none() {
            return Some(conflict(
                "quarantine",
                "intensity",
                "`quarantine` never begins: intensity = false",
                "leave quarantine out, or write for example intensity = { restarts = 10, window = \"1m\" }",
            ));
        }
        quarantine_range(ms, "an operator ends it")
    }

    fn check_intensity(&self) -> Option<Problem> {
        let intensity = self.intensity?;
        let window = format_duration_ms(intensity.window_ms);
        if intensity.restarts == 0 || intensity.window_ms == 0 {
            let path = if intensity.restarts == 0 { "intensity.restarts" } else { "intensity.window" };
            return Some(range(path, format!("`{path}` is 0"), "write intensity = false to switch it off"));
        }
        // A policy that slows the delays down does not contradict a limit that it never set.
        if Self::default().intensity == Some(intensity) {
            return None;
        }
        let least_ms = u64::from(intensity.restarts).saturating_mul(self.min_delay_ms);
        (least_ms >= intensity.window_ms).then(|| {
            conflict(
                "intensity",
                "min_delay",
                format!(
                    "`intensity` can never be exceeded: {} restarts at least {} apart take longer than {window}",
                    intensity.restarts,
                    format_duration_ms(self.min_delay_ms)
                ),
                "allow fewer restarts, widen the window, or write intensity = false",
            )
        })
    }

    /// What is allowed but probably not meant, with paths below `retry`; `retries` is the limit in force.
    #[must_use]
    pub fn advice(&self, retries: Option<u32>) -> Vec<Problem> {
        let mut found = Vec::new();
        if let Some(ms) = self.reset_after_ms
            && ms < self.max_delay_ms
        {
            found.push(conflict(
                "reset_after",
                "max_delay",
                "`reset_after` is shorter than `max_delay`: failures may be forgotten before the delay has grown",
                format!("write reset_after = \"{}\" or longer", format_duration_ms(self.max_delay_ms)),
            ));
        }
        if let (Some(limit_ms), Some(retries)) = (self.max_failing_ms, retries) {
            let fit = self.retries_within(limit_ms, retries);
            if fit < retries {
                found.push(conflict(
                    "max_failing",
                    "max_retries",
                    format!("only {fit} of {retries} retries fit into `max_failing`, by their delays alone"),
                    "write a longer max_failing, or fewer max_retries",
                ));
            }
        }
        found
    }

    /// The delays, before chance, between this many failures in a row.
    pub(in crate::model) fn delays_before(&self, failures: u32) -> u64 {
        let (mut delay_ms, mut sum_ms) = (self.delay_ms.min(self.max_delay_ms), 0_u64);
        let mut left = failures.saturating_sub(1);
        while left > 0 {
            sum_ms = sum_ms.saturating_add(delay_ms);
            left -= 1;
            let next_ms = delay_ms.saturating_mul(u64::from(self.factor_permille)) / 1000;
            let next_ms = next_ms.min(self.max_delay_ms);
            if self.backoff == super::Backoff::Constant || next_ms == delay_ms {
                return sum_ms.saturating_add(delay_ms.saturating_mul(u64::from(left)));
            }
            delay_ms = next_ms;
        }
        sum_ms
    }

    /// How many retries fit into a time by their delays alone, counted up to `limit`.
    fn retries_within(&self, time_ms: u64, limit: u32) -> u32 {
        let (mut delay_ms, mut sum_ms) = (self.delay_ms.min(self.max_delay_ms), 0_u64);
        for fit in 0..limit {
            sum_ms = sum_ms.saturating_add(delay_ms);
            if sum_ms > time_ms {
                return fit;
            }
            let next_ms = delay_ms.saturating_mul(u64::from(self.factor_permille)) / 1000;
            let next_ms = next_ms.min(self.max_delay_ms);
            if self.backoff == super::Backoff::Constant || next_ms == delay_ms {
                let more = (time_ms - sum_ms).checked_div(delay_ms).unwrap_or(u64::MAX);
                return limit
                    .min(fit.saturating_add(1).saturating_add(u32::try_from(more).unwrap_or(u32::MAX)));
            }
            delay_ms = next_ms;
        }
        limit
    }
}

/// Shortest lease of a probe that has to say something: below it nothing could.
const SHORTEST_LEASE_MS: u64 = 1_000;

impl HalfOpen {
    /// The shortest lease that a probe can prove itself in: a slow start (60s) and `stable`, where its life proves it, else
    /// one second.
    #[must_use]
    pub const fn shortest_lease_ms(&self) -> u64 {
        match self.success {
            ProbeSuccess::Auto => START_TIME_MS.saturating_add(self.stable_ms),
            ProbeSuccess::Exit | ProbeSuccess::Ready | ProbeSuccess::FirstOutput => SHORTEST_LEASE_MS,
        }
    }
}

impl BreakerPolicy {
    /// Every contradiction, with paths below `breaker`.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let mut found: Vec<_> = self.never_opens().into_iter().collect();
        found.extend(self.check_where_a_class_trips());
        found
    }

    /// The same for a breaker that some class opens at once (`trips = true`), so that it needs no counters.
    #[must_use]
    pub fn check_where_a_class_trips(&self) -> Vec<Problem> {
        let mut found = self.rejected.clone();
        if self.failures > MOST_OUTCOMES {
            found.push(range("failures", "`failures` is over 1000", "write 1000 or less"));
        }
        if self.failure_rate_permille > 1_000 {
            found.push(range(
                "failure_rate",
                "`failure_rate` must be between 0.0 and 1.0 with at most three decimals",
                "write for example 0.5",
            ));
        }
        found.extend(self.check_slow());
        found.extend(self.check_window());
        if self.penalty_ms < SHORTEST_PENALTY_MS {
            found.push(range("penalty", "`penalty` is shorter than 100ms", "write for example \"30s\""));
        }
        found.extend(not_below("max_penalty", self.max_penalty_ms, "penalty", self.penalty_ms));
        found.extend(not_over_a_week("max_penalty", self.max_penalty_ms));
        found.extend(factor("penalty_factor", self.penalty_factor_permille));
        if self.penalty_jitter_permille > 500 {
            found.push(range(
                "penalty_jitter",
                "`penalty_jitter` must be between 0.0 and 0.5 with at most three decimals",
                "write for example 0.1",
            ));
        }
        found.extend(self.check_times());
        found.extend(self.check_half_open());
        let budget = self.retry_budget.map(|budget| budget.check()).unwrap_or_default();
        found.extend(budget.into_iter().map(|problem| problem.below("retry_budget")));
        found.extend(self.quarantine_ms.and_then(|ms| quarantine_range(ms, "the program's own counts")));
        found
    }

    fn check_window(&self) -> Vec<Problem> {
        let window = self.window;
        let mut found = Vec::new();
        if !(1..=MOST_OUTCOMES).contains(&window.size) {
            found.push(range(
                "window.size",
                "`window.size` must be between 1 and 1000",
                "write for example 20",
            ));
        }
        if window.min == 0 {
            found.push(range("window.min", "`window.min` is 0", "write 1 or more; 5 is the default"));
        } else if window.min > window.size {
            found.push(conflict(
                "window.min",
                "window.size",
                format!(
                    "`window.min` ({}) is more than `window.size` ({}): the rate can never be judged",
                    window.min, window.size
                ),
                "write a smaller min or a larger size",
            ));
        }
        if (1..1_000).contains(&window.age_ms) {
            found.push(range(
                "window.age",
                "`window.age` is shorter than one second",
                "write \"1s\" or longer, or \"0s\" for no limit of age",
            ));
        }
        found
    }

    fn check_half_open(&self) -> Vec<Problem> {
        let half = self.half_open;
        let mut found = Vec::new();
        for (path, count) in [
            ("half_open.permits", half.permits),
            ("half_open.successes", half.successes),
            ("half_open.failures", half.failures),
        ] {
            if count == 0 {
                found.push(range(path, format!("`{path}` is 0"), "write 1 or more"));
            }
        }
        let useful = half.successes.saturating_add(half.failures).saturating_sub(1);
        if found.is_empty() && half.permits > useful {
            found.push(conflict(
                "half_open.permits",
                "half_open.successes",
                format!("{} probes at once, but {useful} already decide", half.permits),
                format!("write permits = {useful}, or ask for more successes or failures"),
            ));
        }
        if half.stable_ms < 1_000 {
            found.push(range(
                "half_open.stable",
                "`half_open.stable` is shorter than one second",
                "write for example \"60s\"",
            ));
        }
        let least_ms = half.shortest_lease_ms();
        if half.success != ProbeSuccess::Auto && half.lease_ms < least_ms {
            found.push(range(
                "half_open.lease",
                "`half_open.lease` is shorter than one second",
                "write for example \"5m\"",
            ));
        } else if half.lease_ms < least_ms {
            found.push(conflict(
                "half_open.lease",
                "half_open.stable",
                format!(
                    "`half_open.lease` ({}) ends before a slow start (60s) and `stable` ({}) are over",
                    format_duration_ms(half.lease_ms),
                    format_duration_ms(half.stable_ms)
                ),
                format!("write lease = \"{}\" or longer", format_duration_ms(least_ms)),
            ));
        }
        found
    }

    /// What is allowed but probably not meant, with paths below `breaker`; `timeout_ms` is that of an attempt, `retry`
    /// the rules of the program whose breaker it is.
    #[must_use]
    pub fn advice(&self, timeout_ms: Option<u64>, retry: &RetryPolicy) -> Vec<Problem> {
        let half = self.half_open;
        let slow = timeout_ms.is_some_and(|ms| ms > half.lease_ms);
        let mut found: Vec<_> = self.forgets_before_it_judges(retry).into_iter().collect();
        if half.success == ProbeSuccess::Exit && slow {
            found.push(conflict(
                "half_open.lease",
                "half_open.success",
                "`half_open.lease` is shorter than `timeout`: a slow probe loses its permit before exit 0 can prove it",
                "write a lease as long as timeout, or success = \"auto\"",
            ));
        }
        found
    }

    /// The rate is never judged when the delays between as many failures as it needs take longer than it remembers.
    pub(in crate::model) fn forgets_before_it_judges(&self, retry: &RetryPolicy) -> Option<Problem> {
        let window = self.window;
        let least_ms = retry.delays_before(window.min);
        let remembers = window.age_ms == 0 || least_ms < window.age_ms;
        (self.failure_rate_permille > 0 && !remembers).then(|| {
            conflict(
                "window.age",
                "window.min",
                format!(
                    "`window.age` ({}) is too short for `window.min`: the delays between {} failures of one run take {}",
                    format_duration_ms(window.age_ms),
                    window.min,
                    format_duration_ms(least_ms)
                ),
                "write a longer age or a smaller min, or failure_rate = 0.0 to count failures in a row alone",
            )
        })
    }
}
