//! `[program.NAME.breaker]` and `[breaker."…"]`: the rules of a scope.

use super::{
    diagnostic::Finding,
    fields::Fields,
    keys::{
        Kind::{Count, Duration, Ratio, Table, Word},
        Rows, key,
    },
    retry_budget::BUDGET,
};
use crate::{
    BreakerMode, BreakerPolicy, OnOpen, OnProbeExpiry, ProbeParams, ProbeSuccess, RetryBudget,
    actors::model::{HalfOpen, Ramp, Window},
};

pub(super) static BREAKER: Rows<BreakerPolicy> = Rows(&[
    key(
        "mode",
        Word(&["auto", "disabled", "metrics_only"]),
        "\"auto\"",
        "`disabled`: lets everybody through; `metrics_only`: likewise, and journals `would_trip`.",
    )
    .sets(|it, key| {
        key.word(&mut it.mode, &[BreakerMode::Auto, BreakerMode::Disabled, BreakerMode::MetricsOnly]);
    }),
    key("failures", Count, "5", "Weighted failures in a row that open it; 0: off.")
        .sets(|it, key| key.put(&mut it.failures)),
    key(
        "failure_rate",
        Ratio,
        "0.5",
        "Share of failures that opens it; 0.0: off. One that lowered a parameter is not in it: the next attempt asks for less.",
    )
    .sets(|it, key| key.put(&mut it.failure_rate_permille)),
    key("window", Table(&WINDOW), "{ size = 20, age = \"1h\", min = 5 }", "What the share is taken of.")
        .sets(|it, key| key.fill(&WINDOW, &mut it.window)),
    key(
        "slow_ready",
        Duration,
        "",
        "A start is slow that is ready later than this; needs `ready` of the program.",
    )
    .sets(|it, key| key.put(&mut it.slow_ready_ms)),
    key("slow_rate", Ratio, "", "Share of slow starts, among those that became ready, that opens it.")
        .sets(|it, key| key.put(&mut it.slow_rate_permille)),
    key("penalty", Duration, "\"30s\"", "First penalty.")
        .sets(|it, key| key.put(&mut it.penalty_ms)),
    key("penalty_factor", Ratio, "2.0", "Growth of the penalty, 1.0 to 10.0.")
        .sets(|it, key| key.put(&mut it.penalty_factor_permille)),
    key("max_penalty", Duration, "\"30m\"", "Longest penalty.")
        .sets(|it, key| key.put(&mut it.max_penalty_ms)),
    key("penalty_jitter", Ratio, "0.1", "Chance that only lengthens it.")
        .sets(|it, key| key.put(&mut it.penalty_jitter_permille)),
    key(
        "decay_after",
        Duration,
        "\"10m\"",
        "A success this long after the last change takes one level back.",
    )
    .sets(|it, key| key.put(&mut it.decay_after_ms)),
    key("half_open", Table(&HALF_OPEN), "", "Trial runs after the penalty.")
        .sets(|it, key| key.fill(&HALF_OPEN, &mut it.half_open)),
    key(
        "on_probe_expiry",
        Word(&["failure", "reopen_same_level", "release"]),
        "\"failure\"",
        "What an expired lease means.",
    )
    .sets(|it, key| {
        let meanings = [
            OnProbeExpiry::Failure, OnProbeExpiry::ReopenSameLevel, OnProbeExpiry::Release,
        ];
        key.word(&mut it.on_probe_expiry, &meanings);
    }),
    key("ramp", Table(&RAMP), "{ over = \"1m\", spacing = \"1s\" }", "Spacing of starts after closing.")
        .sets(|it, key| key.fill(&RAMP, &mut it.ramp)),
    key(
        "on_open",
        Word(&["keep", "stop"]),
        "\"keep\"",
        "Living runs of the scope when it opens; a stopped one goes on when it may.",
    )
    .sets(|it, key| key.word(&mut it.on_open, &[OnOpen::Keep, OnOpen::Stop])),
    key(
        "retry_budget",
        Table(&BUDGET),
        "",
        "Tokens that retries of all runs in the scope share, beside `[retry_budget]`; off without it.",
    )
    .sets(|it, key| {
        if key.table().is_some() {
            key.fill(&BUDGET, it.retry_budget.insert(RetryBudget::default()));
        }
    }),
    key(
        "quarantine",
        Duration,
        "",
        "How long its runs are left alone that were restarted too often, 1m to 7d; the longest holds, also the program's.",
    )
    .sets(|it, key| key.put(&mut it.quarantine_ms)),
]);

static WINDOW: Rows<Window> = Rows(&[
    key("size", Count, "20", "The last so many outcomes …").sets(|it, key| key.put(&mut it.size)),
    key("age", Duration, "\"1h\"", "… younger than this; `0s`: however old.")
        .sets(|it, key| key.put(&mut it.age_ms)),
    key("min", Count, "5", "Fewer decide nothing.").sets(|it, key| key.put(&mut it.min)),
]);

static HALF_OPEN: Rows<HalfOpen> = Rows(&[
    key("permits", Count, "1", "Probes at once.")
        .sets(|it, key| key.put(&mut it.permits)),
    key("successes", Count, "1", "Successes that close.")
        .sets(|it, key| key.put(&mut it.successes)),
    key("failures", Count, "1", "Failures that open again.")
        .sets(|it, key| key.put(&mut it.failures)),
    key(
        "lease",
        Duration,
        "\"5m\"",
        "A probe that has not reported by then loses its permit. At least `60s` and `stable` together where `success = \"auto\"`, which its life proves; else 1s.",
    )
    .sets(|it, key| key.put(&mut it.lease_ms)),
    key("params", Word(&["floor", "current", "default"]), "\"floor\"", "Parameters of a probe.")
        .sets(|it, key| {
            key.word(&mut it.params, &[ProbeParams::Floor, ProbeParams::Current, ProbeParams::Default]);
        }),
    key(
        "success",
        Word(&["auto", "exit", "ready", "first_output"]),
        "\"auto\"",
        "What proves a probe: alive for `stable` or exit 0 | only exit 0 | its `ready` line or exit 0 | its first output or exit 0.",
    )
    .sets(|it, key| {
        let meanings = [
            ProbeSuccess::Auto, ProbeSuccess::Exit, ProbeSuccess::Ready, ProbeSuccess::FirstOutput,
        ];
        key.word(&mut it.success, &meanings);
    }),
    key("stable", Duration, "\"60s\"", "See `success`: with any other than `auto` it plays no part.")
        .sets(|it, key| key.put(&mut it.stable_ms)),
]);

static RAMP: Rows<Ramp> = Rows(&[
    key("over", Duration, "\"1m\"", "How long; `0s`: off.").sets(|it, key| key.put(&mut it.over_ms)),
    key("spacing", Duration, "\"1s\"", "How far apart.").sets(|it, key| key.put(&mut it.spacing_ms)),
]);

/// What the table of a breaker says, a program's own or a shared one.
pub(super) fn breaker_of(fields: &Fields<'_>, findings: &mut Vec<Finding>) -> BreakerPolicy {
    let mut policy = BreakerPolicy::default();
    BREAKER.fill(&mut policy, fields, findings);
    policy
}
