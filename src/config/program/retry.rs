//! `[program.NAME.retry]`: when and how it is tried again.

use super::super::{
    diagnostic::Finding,
    fields::Fields,
    keys::{
        Kind::{Count, Duration, Flag, Jitter, Ratio, TableOrFalse, Word},
        Rows, key,
    },
};
use crate::{
    RetryPolicy,
    actors::model::{Backoff, Intensity},
};

pub(in super::super) static RETRY: Rows<RetryPolicy> = Rows(&[
    key("max_retries", Count, "(5; a daemon: no limit)", "Automatic restarts after the first start.")
        .sets(|it, key| key.put(&mut it.max_retries)),
    key("backoff", Word(&["exponential", "constant"]), "\"exponential\"", "How the delay grows.")
        .sets(|it, key| key.word(&mut it.backoff, &[Backoff::Exponential, Backoff::Constant])),
    key("delay", Duration, "\"1s\"", "First delay; `0s` needs `min_delay = \"0s\"`.")
        .sets(|it, key| key.put(&mut it.delay_ms)),
    key("factor", Ratio, "2.0", "Growth, 1.0 to 10.0.")
        .sets(|it, key| key.put(&mut it.factor_permille)),
    key("max_delay", Duration, "\"5m\"", "Longest delay.")
        .sets(|it, key| key.put(&mut it.max_delay_ms)),
    key(
        "min_delay",
        Duration,
        "\"100ms\"",
        "Shortest delay; not written, a shorter `delay` other than `0s` lowers it.",
    )
    .sets(|it, key| key.put(&mut it.min_delay_ms)),
    key("jitter", Jitter, "\"equal\"", "Chance in the delay: a word, or a share such as 0.2.")
        .sets(|it, key| key.put(&mut it.jitter)),
    key(
        "reset_after",
        Duration,
        "(twice max_delay, within 1m and 10m)",
        "A daemon healthy this long forgets earlier failures.",
    )
    .sets(|it, key| key.put(&mut it.reset_after_ms)),
    key("max_failing", Duration, "", "Give up when a streak of failures lasts longer.")
        .sets(|it, key| key.put(&mut it.max_failing_ms)),
    key(
        "startup_spread",
        Duration,
        "\"10s\"",
        "Starts that came due while no supervisor ran are spread over this.",
    )
    .sets(|it, key| key.put(&mut it.startup_spread_ms)),
    key(
        "intensity",
        TableOrFalse(&INTENSITY),
        "{ restarts = 10, window = \"1m\" }",
        "Beyond it the run is quarantined; `false`: off.",
    )
    .sets(|it, key| {
        if key.is_off() {
            it.intensity = None;
        } else if let Some(limit) = &mut it.intensity {
            key.fill(&INTENSITY, limit);
        }
    }),
    key(
        "quarantine",
        Duration,
        "(until an operator starts it)",
        "How long it is left alone then, 1m to 7d, before it gets one start; its breakers may ask for longer.",
    )
    .sets(|it, key| key.put(&mut it.quarantine_ms)),
    key(
        "reset_on_config_change",
        Flag,
        "true",
        "Whether other rules forget its failures: waiting runs count anew, a daemon that gave up starts.",
    )
    .sets(|it, key| key.put(&mut it.reset_on_config_change)),
    key("retry_after_max", Duration, "\"1h\"", "Longest wait that the other side may ask for.")
        .sets(|it, key| key.put(&mut it.retry_after_max_ms)),
]);

static INTENSITY: Rows<Intensity> = Rows(&[
    key("restarts", Count, "10", "Automatic restarts allowed …").sets(|it, key| key.put(&mut it.restarts)),
    key("window", Duration, "\"1m\"", "… in any such span.").sets(|it, key| key.put(&mut it.window_ms)),
]);

/// What the table says, and what follows from it for keys that are not written.
pub(super) fn retry(fields: &Fields<'_>, findings: &mut Vec<Finding>) -> RetryPolicy {
    let mut policy = RetryPolicy::default();
    RETRY.fill(&mut policy, fields, findings);
    if policy.backoff == Backoff::Constant && fields.get::<u64>("max_delay").is_none() {
        // A constant delay is its own longest one unless the file says otherwise.
        policy.max_delay_ms = policy.max_delay_ms.max(policy.delay_ms);
    }
    if !fields.table.contains_key("min_delay") {
        policy.lower_min_delay();
    }
    policy
}
