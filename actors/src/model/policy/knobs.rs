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
    /// The delay is always `delay`.
    Constant,
}

/// How chance spreads a delay; the range is clipped first and sampled then, so the cap holds and no herd forms at it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    /// No chance: exactly the delay.
    None,
    /// From 0 to the delay.
    Full,
    /// From half the delay to the delay.
    #[default]
    Equal,
    /// From the base delay to three times the delay before.
    Decorrelated,
    /// The delay plus or minus this many thousandths of it.
    Proportional(u32),
}

/// How many automatic restarts are allowed within a time; beyond it the run is quarantined.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Intensity {
    /// The number of restarts that are allowed.
    pub restarts: u32,
    /// The span of time in which they are counted, in milliseconds.
    pub window_ms: u64,
}

/// When and how a failed run is tried again.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Automatic restarts after the first start; `None`: 5 for a job, no limit for a daemon.
    pub max_retries: Option<u32>,
    /// How the delay grows. Default exponential.
    pub backoff: Backoff,
    /// The first delay, in milliseconds. Default 1,000.
    pub delay_ms: u64,
    /// The growth of the delay, in thousandths. Default 2,000.
    pub factor_permille: u32,
    /// The longest delay, in milliseconds. Default 300,000.
    pub max_delay_ms: u64,
    /// The shortest delay, in milliseconds. Default 100.
    pub min_delay_ms: u64,
    /// How chance spreads the delay. Default equal.
    pub jitter: Jitter,
    /// How long a daemon must be healthy to forget earlier failures, in milliseconds; `None`: twice `max_delay`,
    /// within 1m and 10m.
    pub reset_after_ms: Option<u64>,
    /// The longest streak of failures, in milliseconds; a run gives up when its streak lasts longer. Default `None`:
    /// no limit.
    pub max_failing_ms: Option<u64>,
    /// The time over which starts that came due while no supervisor ran are spread, in milliseconds; 0: they start at
    /// once. Default 10,000.
    pub startup_spread_ms: u64,
    /// The most automatic restarts within a time; `None`: no limit. Default 10 in 60,000 ms.
    pub intensity: Option<Intensity>,
    /// Pause after a run exceeded `intensity`, in milliseconds. After the pause it gets one attempt; if that fails,
    /// it is quarantined again. A scope that gates the run may lengthen the pause. If neither sets one, the run ends
    /// as `quarantined` and needs an operator. Default `None`.
    #[serde(default)]
    pub quarantine_ms: Option<u64>,
    /// Whether a change of the program's rules forgets the failures of its runs: runs that wait begin to count anew,
    /// one in quarantine is let go, and a daemon that gave up is started. Breakers forget nothing. Default true.
    #[serde(default = "yes")]
    pub reset_on_config_change: bool,
    /// The longest wait that the other side may ask for, in milliseconds. Default 3,600,000.
    pub retry_after_max_ms: u64,
    /// Values given to builder methods that could not be read; [`Program::check`](crate::model::Program::check)
    /// reports them.
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
    /// The automatic restarts of a job that sets none: enough for a bad minute, few enough to be noticed.
    pub const JOB_RETRIES: u32 = 5;

    /// How long a daemon must be healthy to forget its failures, in milliseconds.
    #[must_use]
    pub fn reset_after_ms(&self) -> u64 {
        self.reset_after_ms.unwrap_or_else(|| self.max_delay_ms.saturating_mul(2).clamp(60_000, 600_000))
    }
}

/// The outcomes that the failure rate is computed from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Window {
    /// The largest number of outcomes: the latest ones.
    pub size: u32,
    /// How old an outcome may be, in milliseconds; 0: however old.
    pub age_ms: u64,
    /// The smallest number of outcomes; fewer decide nothing.
    pub min: u32,
}

/// Which parameters a probe gets.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeParams {
    /// Parameters that some class adjusts go to their minimum.
    #[default]
    Floor,
    /// The parameters as the run would have them.
    Current,
    /// The defaults of the parameters.
    Default,
}

impl ProbeParams {
    /// The name in the configuration file.
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
    /// Exit 0 only.
    Exit,
    /// Its `ready` line, unless that comes later than `slow_ready`; or exit 0 of a job.
    Ready,
    /// The first byte of its output; or exit 0 of a job.
    FirstOutput,
}

impl ProbeSuccess {
    /// The name in the configuration file.
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
    /// The number of probes at once.
    pub permits: u32,
    /// The number of successes that close the breaker.
    pub successes: u32,
    /// The weight of failures that opens the breaker again, in whole failures.
    pub failures: u32,
    /// How long a probe may take to report, in milliseconds; beyond it the probe loses its permit.
    pub lease_ms: u64,
    /// The parameters of a probe.
    pub params: ProbeParams,
    /// What proves a probe.
    pub success: ProbeSuccess,
    /// How long a probe must live to be proved by [`ProbeSuccess::Auto`], in milliseconds.
    pub stable_ms: u64,
}

/// What an expired lease means.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnProbeExpiry {
    /// It counts as a failure of the probe.
    #[default]
    Failure,
    /// The breaker opens again without a longer penalty.
    ReopenSameLevel,
    /// The permit returns, and nothing else changes.
    Release,
}

/// Grants after closing are at least `spacing` apart during `over`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Ramp {
    /// How long after closing the grants are spaced, in milliseconds; 0: off.
    pub over_ms: u64,
    /// The shortest time between two grants, in milliseconds.
    pub spacing_ms: u64,
}

/// What happens to living runs of the scope when it opens.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnOpen {
    /// The runs go on.
    #[default]
    Keep,
    /// The runs are stopped and wait, `blocked`, until the scope lets them go on. That is no failure: it counts
    /// nowhere.
    Stop,
}

/// Whether a breaker acts on the outcomes that it is told.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerMode {
    /// The breaker opens and closes by its rules.
    #[default]
    Auto,
    /// The breaker lets every start through and counts no outcome.
    Disabled,
    /// The breaker lets every start through, and says in the journal (`would_trip`) when its rules would have opened
    /// it.
    MetricsOnly,
}

impl BreakerMode {
    /// The name in the configuration file.
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
    /// Whether the breaker acts. Default auto.
    pub mode: BreakerMode,
    /// The weight of failures in a row that opens the breaker, in whole failures; 0: off. Default 5.
    pub failures: u32,
    /// The share of weighted failures that opens the breaker, in thousandths; 0: off. Default 500.
    pub failure_rate_permille: u32,
    /// The outcomes that the share is computed from. Default 20 outcomes of one hour, at least 5.
    pub window: Window,
    /// The time beyond which a start that becomes ready is slow, in milliseconds. Set together with
    /// `slow_rate_permille`. Default `None`: no start is slow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_ready_ms: Option<u64>,
    /// The share of slow starts, among those of the window that became ready, that opens the breaker, in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_rate_permille: Option<u32>,
    /// The first penalty, in milliseconds. Default 30,000.
    pub penalty_ms: u64,
    /// The growth of the penalty, in thousandths. Default 2,000.
    pub penalty_factor_permille: u32,
    /// The longest penalty, in milliseconds. Default 1,800,000.
    pub max_penalty_ms: u64,
    /// The chance that lengthens the penalty, in thousandths of it. Default 100.
    pub penalty_jitter_permille: u32,
    /// How long after the last change a success takes one level back, in milliseconds. Default 600,000, and never
    /// sooner than `penalty`.
    pub decay_after_ms: u64,
    /// The rules of probes.
    pub half_open: HalfOpen,
    /// What an expired lease means. Default failure.
    pub on_probe_expiry: OnProbeExpiry,
    /// The spacing of starts after closing. Default 1,000 ms during 60,000 ms.
    pub ramp: Ramp,
    /// What happens to living runs of the scope when it opens. Default keep.
    pub on_open: OnOpen,
    /// The tokens that retries of all runs in the scope share, besides those that all programs share. Default `None`:
    /// no such budget.
    #[serde(default)]
    pub retry_budget: Option<RetryBudget>,
    /// Pause of a run of the scope that was started by itself too often, in milliseconds, 60,000 to 604,800,000. The
    /// longest of this, of other scopes' and of [`RetryPolicy::quarantine_ms`] holds. Default `None`: the scope does
    /// not lengthen the pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine_ms: Option<u64>,
    /// Values given to builder methods that could not be read; [`Program::check`](crate::model::Program::check)
    /// reports them.
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
