//! The knobs, with the defaults of the configuration file. Times are milliseconds, ratios permille.

use super::RetryBudget;
use crate::model::Problem;
use serde::{Deserialize, Serialize};

/// How the delay between attempts grows.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    /// `delay · factor^(n-1)`, at most `max_delay`.
    #[default]
    Exponential,
    /// Always `delay`.
    Constant,
}

/// How chance spreads a delay; the range is clipped first and sampled then, so the cap holds and no herd forms at it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    /// Exactly the delay.
    None,
    /// 0 to the delay.
    Full,
    /// Half the delay to the delay.
    #[default]
    Equal,
    /// The base delay to three times the one before.
    Decorrelated,
    /// The delay plus or minus this many thousandths.
    Proportional(u32),
}

/// So many automatic restarts within a time; beyond it the run is quarantined.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Intensity {
    /// Restarts allowed …
    pub restarts: u32,
    /// … in any span of so many milliseconds.
    pub window_ms: u64,
}

/// When and how a failed run is tried again.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Automatic restarts after the first start; `None`: 5 for a job, no limit for a daemon.
    pub max_retries: Option<u32>,
    /// The law. Default exponential.
    pub backoff: Backoff,
    /// First delay. Default 1,000.
    pub delay_ms: u64,
    /// Growth in thousandths. Default 2,000.
    pub factor_permille: u32,
    /// Longest delay. Default 300,000.
    pub max_delay_ms: u64,
    /// Shortest delay. Default 100.
    pub min_delay_ms: u64,
    /// Chance. Default equal.
    pub jitter: Jitter,
    /// A daemon healthy this long forgets earlier failures; `None`: twice `max_delay`, within 1m and 10m.
    pub reset_after_ms: Option<u64>,
    /// Give up when a streak of failures lasts longer; default none.
    pub max_failing_ms: Option<u64>,
    /// Starts that came due while no supervisor ran are spread over this. Default 10,000; 0: they
    /// start at once.
    pub startup_spread_ms: u64,
    /// Default 10 in 60,000; `None`: off.
    pub intensity: Option<Intensity>,
    /// How long a run is left alone that was started by itself more often than that; then it gets one start, whose failure
    /// quarantines it again. A scope that gates it may ask for longer. `None` there too: it ends, and an operator may start
    /// it.
    #[serde(default)]
    pub quarantine_ms: Option<u64>,
    /// Whether a change of the program's rules forgets the failures of its runs: those that wait begin to count anew, one
    /// in quarantine is let go, and a daemon that gave up is started. Breakers forget nothing. Default true.
    #[serde(default = "yes")]
    pub reset_on_config_change: bool,
    /// Longest wait that the other side may ask for. Default 3,600,000.
    pub retry_after_max_ms: u64,
    /// What a builder method was given and could not read; [`Program::check`](crate::model::Program::check) tells.
    #[serde(skip)]
    pub(crate) rejected: Vec<Problem>,
}

const fn yes() -> bool {
    true
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: None,
            backoff: Backoff::Exponential,
            delay_ms: 1_000,
            factor_permille: 2_000,
            max_delay_ms: 300_000,
            min_delay_ms: 100,
            jitter: Jitter::Equal,
            reset_after_ms: None,
            max_failing_ms: None,
            startup_spread_ms: 10_000,
            intensity: Some(Intensity { restarts: 10, window_ms: 60_000 }),
            quarantine_ms: None,
            reset_on_config_change: true,
            retry_after_max_ms: 3_600_000,
            rejected: Vec::new(),
        }
    }
}

impl RetryPolicy {
    /// Automatic restarts of a job that says nothing else: enough for a bad minute, few enough to be noticed.
    pub const JOB_RETRIES: u32 = 5;

    /// How long a daemon must be healthy to forget its failures.
    #[must_use]
    pub fn reset_after_ms(&self) -> u64 {
        self.reset_after_ms.unwrap_or_else(|| self.max_delay_ms.saturating_mul(2).clamp(60_000, 600_000))
    }
}

/// The outcomes that the rate rule looks at.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Window {
    /// The last so many …
    pub size: u32,
    /// … that are younger than this; 0: however old.
    pub age_ms: u64,
    /// Fewer than these decide nothing.
    pub min: u32,
}

/// Which parameters a probe gets.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeParams {
    /// Parameters that some class adjusts go to their minimum.
    #[default]
    Floor,
    /// As the run would have them.
    Current,
    /// The defaults.
    Default,
}

impl ProbeParams {
    /// Its name in the configuration file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Current => "current",
            Self::Default => "default",
        }
    }
}

/// What proves a probe.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeSuccess {
    /// Alive for `stable` without a classified error, or exit 0 of a job.
    #[default]
    Auto,
    /// Only exit 0.
    Exit,
    /// Its `ready` line, unless that comes later than `slow_ready`; or exit 0 of a job.
    Ready,
    /// The first byte of its output; or exit 0 of a job.
    FirstOutput,
}

impl ProbeSuccess {
    /// Its name in the configuration file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Exit => "exit",
            Self::Ready => "ready",
            Self::FirstOutput => "first_output",
        }
    }

    pub(crate) const fn is_auto(&self) -> bool {
        matches!(self, Self::Auto)
    }
}

/// Trial runs after the penalty.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct HalfOpen {
    /// Probes at once.
    pub permits: u32,
    /// Successes that close.
    pub successes: u32,
    /// Failure weight (whole) that opens again.
    pub failures: u32,
    /// A probe that has not reported by then loses its permit.
    pub lease_ms: u64,
    /// Parameters of a probe.
    pub params: ProbeParams,
    /// What proves a probe.
    pub success: ProbeSuccess,
    /// See [`ProbeSuccess::Auto`].
    pub stable_ms: u64,
}

/// What an expired lease means.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnProbeExpiry {
    /// A failure of the probe.
    #[default]
    Failure,
    /// Open again without a longer penalty.
    ReopenSameLevel,
    /// Only the permit returns.
    Release,
}

/// Grants after closing are at least `spacing` apart during `over`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Ramp {
    /// How long; 0: off.
    pub over_ms: u64,
    /// How far apart.
    pub spacing_ms: u64,
}

/// What happens to living runs of the scope when it opens.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnOpen {
    /// They go on.
    #[default]
    Keep,
    /// They are stopped and wait, `blocked`, until the scope lets them go on. That is no failure: it counts nowhere.
    Stop,
}

/// Whether a breaker acts on what it hears.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerMode {
    /// It opens and closes by its rules.
    #[default]
    Auto,
    /// It lets everybody through and listens to nothing.
    Disabled,
    /// It lets everybody through, and says in the journal (`would_trip`) when its rules would have opened it.
    MetricsOnly,
}

impl BreakerMode {
    /// Its name in the configuration file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Disabled => "disabled",
            Self::MetricsOnly => "metrics_only",
        }
    }
}

/// When a scope refuses starts, and for how long.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BreakerPolicy {
    /// Whether it acts. Default auto.
    pub mode: BreakerMode,
    /// Weighted failures in a row that open it; 0: off. Default 5.
    pub failures: u32,
    /// Share of weighted failures that opens it; 0: off. Default 500.
    pub failure_rate_permille: u32,
    /// What the share is taken of. Default 20 outcomes of one hour, at least 5.
    pub window: Window,
    /// A start is slow that is ready later than this. Default: none is; set with `slow_rate_permille`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_ready_ms: Option<u64>,
    /// Share of slow starts, among those of the window that became ready, that opens it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_rate_permille: Option<u32>,
    /// First penalty. Default 30,000.
    pub penalty_ms: u64,
    /// Growth of the penalty in thousandths. Default 2,000.
    pub penalty_factor_permille: u32,
    /// Longest penalty. Default 1,800,000.
    pub max_penalty_ms: u64,
    /// Chance in thousandths, which only lengthens. Default 100.
    pub penalty_jitter_permille: u32,
    /// A success this long after the last change takes one level back. Default 600,000, and never sooner than
    /// `penalty`.
    pub decay_after_ms: u64,
    /// Trial runs.
    pub half_open: HalfOpen,
    /// What an expired lease means. Default failure.
    pub on_probe_expiry: OnProbeExpiry,
    /// Spacing after closing. Default 1,000 during 60,000.
    pub ramp: Ramp,
    /// What happens to living runs. Default keep.
    pub on_open: OnOpen,
    /// Tokens that retries of all runs in the scope share, beside those that all programs share. Default: no such budget.
    #[serde(default)]
    pub retry_budget: Option<RetryBudget>,
    /// How long a run of the scope is left alone that was started by itself too often, 60,000 to 604,800,000: the longest of
    /// this, of other scopes' and of [`RetryPolicy::quarantine_ms`] holds. Default: the scope has no say in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine_ms: Option<u64>,
    /// What a builder method was given and could not read; [`Program::check`](crate::model::Program::check) tells.
    #[serde(skip)]
    pub(crate) rejected: Vec<Problem>,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            mode: BreakerMode::Auto,
            failures: 5,
            failure_rate_permille: 500,
            window: Window { size: 20, age_ms: 3_600_000, min: 5 },
            slow_ready_ms: None,
            slow_rate_permille: None,
            penalty_ms: 30_000,
            penalty_factor_permille: 2_000,
            max_penalty_ms: 1_800_000,
            penalty_jitter_permille: 100,
            decay_after_ms: 600_000,
            half_open: HalfOpen {
                permits: 1,
                successes: 1,
                failures: 1,
                lease_ms: 300_000,
                params: ProbeParams::Floor,
                success: ProbeSuccess::Auto,
                stable_ms: 60_000,
            },
            on_probe_expiry: OnProbeExpiry::Failure,
            ramp: Ramp { over_ms: 60_000, spacing_ms: 1_000 },
            on_open: OnOpen::Keep,
            retry_budget: None,
            quarantine_ms: None,
            rejected: Vec::new(),
        }
    }
}
