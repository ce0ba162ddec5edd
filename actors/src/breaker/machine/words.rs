//! The trip rules, and the sentences that are shown.

use super::{
    state::{Row, Word},
    terms::Outcome,
    window::Share,
};
use crate::model::{BreakerPolicy, BreakerState, Decimal, format_duration_ms};
use std::collections::VecDeque;

/// Why a closed scope must open now, after a failure; `None` when it stays closed. `share` is that of the failures,
/// if this failure counts in it.
pub(super) fn trip(
    policy: &BreakerPolicy,
    row: Row,
    share: Option<Share>,
    recent: &VecDeque<String>,
) -> Option<String> {
    if policy.failures > 0 && row.permille >= u64::from(policy.failures) * 1_000 {
        let weighing = if row.permille == u64::from(row.count) * 1_000 {
            String::new()
        } else {
            format!(" weighing {}", permille(row.permille))
        };
        return Some(format!(
            "{} in a row ({}){weighing} reached failures = {}",
            counted(row.count, "failure"),
            latest(recent, row.count),
            policy.failures
        ));
    }
    let (rate, share) = (u64::from(policy.failure_rate_permille), share?);
    if rate > 0 && share.outcomes >= policy.window.min && share.permille >= rate {
        return Some(format!(
            "{} of the last {} failed ({}), a share of {} that reached failure_rate = {}",
            share.failures,
            counted(share.outcomes, "outcome"),
            latest(recent, share.failures),
            permille(share.permille),
            permille(rate)
        ));
    }
    None
}

/// Why a closed scope must open now, after a slow start; `None` when it stays closed.
pub(super) fn too_slow(policy: &BreakerPolicy, starts: Share) -> Option<String> {
    let (limit_ms, rate) = (policy.slow_ready_ms?, policy.slow_rate_permille?);
    (starts.outcomes >= policy.window.min && starts.permille >= u64::from(rate)).then(|| {
        format!(
            "{} of the last {} became ready later than slow_ready = {}, a share of {} that reached slow_rate = {}",
            starts.failures,
            counted(starts.outcomes, "start"),
            format_duration_ms(limit_ms),
            permille(starts.permille),
            permille(u64::from(rate))
        )
    })
}

/// Why a probe proves nothing although it is ready.
pub(super) fn slow_probe(after_ms: u64, limit_ms: u64) -> String {
    let (after, limit) = (format_duration_ms(after_ms), format_duration_ms(limit_ms));
    format!("the probe was ready after {after}, later than slow_ready = {limit}")
}

/// Why an outcome changes nothing.
pub(super) fn late(word: &Word<'_>, state: BreakerState, lateness: Lateness) -> String {
    let said = match (word.outcome, word.class) {
        (Outcome::Success, _) => "a success".to_owned(),
        (Outcome::Ready { .. }, _) => "the readiness".to_owned(),
        (Outcome::FirstOutput, _) => "the first output".to_owned(),
        (Outcome::Neutral, None) => "an end that says nothing".to_owned(),
        (Outcome::Neutral, Some(class)) => format!("an end that says nothing here ({class})"),
        (
            Outcome::Failure { .. } | Outcome::Lowering { .. } | Outcome::Trip | Outcome::TripAtFloor,
            class,
        ) => class.map_or_else(|| "a failure".to_owned(), |class| format!("a failure ({class})")),
    };
    match lateness {
        Lateness::OtherEpoch => format!(
            "{said} of a start from before the breaker changed; it is {state} and hears only starts since"
        ),
        Lateness::NoPermit => {
            format!("{said} of a start that has had its say, or whose lease is over; it is {state}")
        }
    }
}

/// Why an outcome comes too late.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lateness {
    /// The attempt started before the latest change.
    OtherEpoch,
    /// The run holds no permit, or no longer holds one.
    NoPermit,
}

/// Why a class opens a scope without counting.
pub(super) fn tripped(class: &str) -> String {
    format!("a failure ({class}) of a class with trips = true")
}

/// Why a parameter at its floor opens a scope without counting.
pub(super) fn tripped_at_floor(class: &str) -> String {
    format!("a failure ({class}) with a parameter at its floor whose on_floor is \"trip\"")
}

/// Why an outcome for a scope that is not known changes nothing.
pub(super) fn forgotten() -> String {
    "the scope was idle for so long that it was forgotten".to_owned()
}

/// The operator's name and reason in words: `by alice: site is down`.
pub(super) fn by_whom(by: Option<&str>, reason: Option<&str>) -> String {
    let who = by.map_or_else(|| "by an operator".to_owned(), |by| format!("by {by}"));
    match reason {
        Some(reason) => format!("{who}: {reason}"),
        None => who,
    }
}

fn counted(n: u32, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

fn latest(recent: &VecDeque<String>, count: u32) -> String {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let known = count.min(recent.len());
    // "5 rate_limited" is read sooner than the same word five times.
    let mut groups: Vec<(&str, usize)> = Vec::new();
    for class in recent.iter().skip(recent.len() - known) {
        match groups.last_mut() {
            Some((last, count)) if last == class => *count += 1,
            _ => groups.push((class, 1)),
        }
    }
    let named = |(class, count): &(&str, usize)| {
        if *count == 1 { (*class).to_owned() } else { format!("{count} {class}") }
    };
    let names: Vec<_> = groups.iter().map(named).collect();
    let more = if known < count { "latest: " } else { "" };
    format!("{more}{}", names.join(", "))
}

fn permille(x: u64) -> Decimal {
    Decimal { micros: i64::try_from(x).unwrap_or(i64::MAX).saturating_mul(1_000) }
}
