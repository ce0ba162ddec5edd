//! Policies in code, in the words of the configuration file.

use super::{
    Backoff, BreakerMode, BreakerPolicy, Intensity, Jitter, OnOpen, OnProbeExpiry, ProbeParams, ProbeSuccess,
    Ramp, RetryBudget, RetryPolicy, Window,
};
use crate::model::{Problem, parse_duration_ms};

/// Reads a duration given to a builder; what cannot be read is kept for the check.
pub(in crate::model) fn read_duration(path: &str, text: &str, rejected: &mut Vec<Problem>) -> Option<u64> {
    match parse_duration_ms(text) {
        Ok(ms) => Some(ms),
        Err(message) => {
            rejected.push(Problem::new("config.duration", path, message, "write for example \"5s\""));
            None
        }
    }
}

/// A ratio as thousandths; `u32::MAX`, which every check refuses, for what is no ratio with three decimals at most.
pub(in crate::model) fn permille(ratio: f64) -> u32 {
    /// Half a unit in the seventh decimal: what binary fractions add to three decimal ones is far below.
    const TOLERANCE: f64 = 5e-5;
    let scaled = ratio * 1000.0;
    let whole = scaled.round();
    if !(0.0..4e9).contains(&scaled) || (scaled - whole).abs() > TOLERANCE {
        return u32::MAX;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 4e9, see above"
    )]
    let permille = whole as u32;
    permille
}

macro_rules! durations {
    ($($(#[$doc:meta])* $method:ident => $($field:ident).+, $path:literal;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $method(mut self, time: impl AsRef<str>) -> Self {
            if let Some(ms) = read_duration($path, time.as_ref(), &mut self.rejected) {
                self.$($field).+ = ms.into();
            }
            self
        }
    )*};
}

/// Times are texts with a unit, as in `"1m30s"`; one that cannot be read comes out of
/// [`Program::check`](crate::model::Program::check).
impl RetryPolicy {
    /// Delays that begin with this one and double, up to `max_delay`. A delay below the default `min_delay` lowers
    /// that too, unless it is `"0s"`.
    #[must_use]
    pub fn exponential(delay: impl AsRef<str>) -> Self {
        let mut policy = Self::default().delay(delay);
        policy.lower_min_delay();
        policy
    }

    /// Always this delay. `max_delay` grows with it, and `min_delay` shrinks as in
    /// [`exponential`](Self::exponential).
    #[must_use]
    pub fn constant(delay: impl AsRef<str>) -> Self {
        let mut policy = Self::exponential(delay);
        policy.backoff = Backoff::Constant;
        policy.max_delay_ms = policy.max_delay_ms.max(policy.delay_ms);
        policy
    }

    /// Lets a short first delay lower the shortest one, unless that was set. Not to 0: a loop without any delay has
    /// to be asked for.
    pub const fn lower_min_delay(&mut self) {
        if self.delay_ms > 0 && self.delay_ms < self.min_delay_ms {
            self.min_delay_ms = self.delay_ms;
        }
    }

    durations! {
        /// First delay. `"0s"` restarts at once and needs `min_delay("0s")`.
        delay => delay_ms, "delay";
        /// Longest delay. Default 5 minutes.
        max_delay => max_delay_ms, "max_delay";
        /// Shortest delay. Default 100 ms.
        min_delay => min_delay_ms, "min_delay";
        /// A daemon healthy this long forgets earlier failures. Default twice `max_delay`, within 1 and 10 minutes.
        reset_after => reset_after_ms, "reset_after";
        /// Give up when a streak of failures lasts longer. Default none.
        max_failing => max_failing_ms, "max_failing";
        /// Pause of a run that was restarted too often, before it gets one start. Default: until an operator starts
        /// it.
        quarantine => quarantine_ms, "quarantine";
        /// Starts that came due while no supervisor ran are spread over this. Default 10 seconds.
        startup_spread => startup_spread_ms, "startup_spread";
        /// Longest wait that the other side may ask for. Default one hour.
        retry_after_max => retry_after_max_ms, "retry_after_max";
    }

    /// Automatic restarts after the first start. Default 5 for a job, no limit for a daemon.
    #[must_use]
    pub const fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = Some(retries);
        self
    }

    /// Whether a change of the program's rules forgets the failures of its runs. Default true.
    #[must_use]
    pub const fn reset_on_config_change(mut self, reset: bool) -> Self {
        self.reset_on_config_change = reset;
        self
    }

    /// Growth of the delay, 1.0 to 10.0 with at most three decimals. Default 2.0.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor_permille = permille(factor);
        self
    }

    /// Chance in the delay. Default equal.
    #[must_use]
    pub const fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets how many automatic restarts are allowed within a time; beyond it the run is quarantined. Default 10 in 1
    /// minute.
    #[must_use]
    pub fn intensity(mut self, restarts: u32, window: impl AsRef<str>) -> Self {
        if let Some(window_ms) = read_duration("intensity.window", window.as_ref(), &mut self.rejected) {
            self.intensity = Some(Intensity { restarts, window_ms });
        }
        self
    }

    /// Restarts as often as the delays allow.
    #[must_use]
    pub const fn no_intensity(mut self) -> Self {
        self.intensity = None;
        self
    }
}

impl Jitter {
    /// The delay plus or minus this share of it, 0.001 to 1.0 with at most three decimals.
    #[must_use]
    pub fn proportional(share: f64) -> Self {
        Self::Proportional(permille(share))
    }
}

/// Times are texts with a unit, as in `"1m30s"`; one that cannot be read comes out of
/// [`Program::check`](crate::model::Program::check).
impl BreakerPolicy {
    /// Opens after this weight of failures in a row, and by no other rule unless [`failure_rate`](Self::failure_rate)
    /// is given too; [`default`](Self::default) has both. 0: by the default rate alone.
    #[must_use]
    pub fn failures(failures: u32) -> Self {
        let default = Self::default();
        let failure_rate_permille = if failures == 0 { default.failure_rate_permille } else { 0 };
        Self { failures, failure_rate_permille, ..default }
    }

    durations! {
        /// First penalty. Default 30 seconds.
        penalty => penalty_ms, "penalty";
        /// Longest penalty. Default 30 minutes.
        max_penalty => max_penalty_ms, "max_penalty";
        /// A success this long after the last change takes one level back. Default 10 minutes.
        decay_after => decay_after_ms, "decay_after";
        /// How long a probe may take to report before it loses its permit. Default 5 minutes.
        lease => half_open.lease_ms, "half_open.lease";
        /// How long a probe must live without a classified error to be proved. Default 1 minute.
        stable => half_open.stable_ms, "half_open.stable";
        /// Pause of a run of the scope that was restarted too often, 1 minute to 7 days. The longest of this, of
        /// other scopes' and of its program's holds. Default: the scope does not lengthen the pause.
        quarantine => quarantine_ms, "quarantine";
    }

    /// Sets the share of weighted failures that opens the breaker, 0.0 (off) to 1.0. A failure that lowered a
    /// parameter is not in it: the next attempt asks for less. Default 0.5, and off after
    /// [`failures`](Self::failures).
    #[must_use]
    pub fn failure_rate(mut self, rate: f64) -> Self {
        self.failure_rate_permille = permille(rate);
        self
    }

    /// The rate looks at the last `size` outcomes younger than `age` (`"0s"`: however old); fewer than `min` decide
    /// nothing. Default 20, one hour, 5.
    #[must_use]
    pub fn window(mut self, size: u32, age: impl AsRef<str>, min: u32) -> Self {
        if let Some(age_ms) = read_duration("window.age", age.as_ref(), &mut self.rejected) {
            self.window = Window { size, age_ms, min };
        }
        self
    }

    /// Sets when a start is slow: when it is ready later than `time`. The share `rate` of slow starts among those
    /// that became ready, 0.001 to 1.0, opens the breaker; the window is that of the failure rate. Needs
    /// [`Program::ready`](crate::model::Program::ready). Default: no start is slow.
    #[must_use]
    pub fn slow_ready(mut self, time: impl AsRef<str>, rate: f64) -> Self {
        if let Some(ms) = read_duration("slow_ready", time.as_ref(), &mut self.rejected) {
            (self.slow_ready_ms, self.slow_rate_permille) = (Some(ms), Some(permille(rate)));
        }
        self
    }

    /// Growth of the penalty, 1.0 to 10.0. Default 2.0.
    #[must_use]
    pub fn penalty_factor(mut self, factor: f64) -> Self {
        self.penalty_factor_permille = permille(factor);
        self
    }

    /// Chance that lengthens the penalty, 0.0 to 0.5 of it. Default 0.1.
    #[must_use]
    pub fn penalty_jitter(mut self, share: f64) -> Self {
        self.penalty_jitter_permille = permille(share);
        self
    }

    /// Sets the number of probes at once, of successes that close, and of failures that open again. Default 1, 1, 1.
    #[must_use]
    pub const fn half_open(mut self, permits: u32, successes: u32, failures: u32) -> Self {
        self.half_open.permits = permits;
        self.half_open.successes = successes;
        self.half_open.failures = failures;
        self
    }

    /// Sets which parameters a probe gets. Default floor.
    #[must_use]
    pub const fn probe_params(mut self, params: ProbeParams) -> Self {
        self.half_open.params = params;
        self
    }

    /// Sets what proves a probe. Default auto.
    #[must_use]
    pub const fn probe_success(mut self, success: ProbeSuccess) -> Self {
        self.half_open.success = success;
        self
    }

    /// What an expired lease means. Default failure.
    #[must_use]
    pub const fn on_probe_expiry(mut self, expiry: OnProbeExpiry) -> Self {
        self.on_probe_expiry = expiry;
        self
    }

    /// Grants after closing are at least `spacing` apart during `over`. Default 1 second during 1 minute.
    #[must_use]
    pub fn ramp(mut self, over: impl AsRef<str>, spacing: impl AsRef<str>) -> Self {
        let over = read_duration("ramp.over", over.as_ref(), &mut self.rejected);
        let spacing = read_duration("ramp.spacing", spacing.as_ref(), &mut self.rejected);
        if let (Some(over_ms), Some(spacing_ms)) = (over, spacing) {
            self.ramp = Ramp { over_ms, spacing_ms };
        }
        self
    }

    /// Sets whether the breaker acts. Default auto.
    #[must_use]
    pub const fn mode(mut self, mode: BreakerMode) -> Self {
        self.mode = mode;
        self
    }

    /// Tokens that retries of all runs in the scope share. Default: no such budget.
    #[must_use]
    pub const fn retry_budget(mut self, budget: RetryBudget) -> Self {
        self.retry_budget = Some(budget);
        self
    }

    /// Sets what happens to living runs when the breaker opens. Default keep.
    #[must_use]
    pub const fn on_open(mut self, on_open: OnOpen) -> Self {
        self.on_open = on_open;
        self
    }
}
