//! Chance: seeded, repeatable, and never beyond the cap.
//!
//! The range is clipped to the shortest and the longest delay first and sampled then. Sampling first and clipping then
//! puts many runs on exactly the longest delay, where they come back as a herd.

use super::law::Law;
use crate::model::{Jitter, RunId, high_half, part_of, split_mix_64};

/// The delay in milliseconds: `raw_ms` spread by `jitter`, between the law's shortest and longest delay.
///
/// `previous_ms` is the preceding delay, which decorrelated jitter uses. `u` is the drawn number.
#[must_use]
pub(super) fn spread(jitter: Jitter, law: &Law, raw_ms: u64, previous_ms: Option<u64>, u: u32) -> u64 {
    let permille = |r: u64, p: u64| u64::try_from(u128::from(r) * u128::from(p) / 1_000).unwrap_or(u64::MAX);
    let (low, high) = match jitter {
        Jitter::None => (raw_ms, raw_ms),
        Jitter::Full => (0, raw_ms),
        Jitter::Equal => (raw_ms / 2, raw_ms),
        Jitter::Decorrelated => {
            (law.base_ms, previous_ms.unwrap_or(law.base_ms).saturating_mul(3).max(law.base_ms))
        }
        Jitter::Proportional(p) => {
            let part = permille(raw_ms, u64::from(p.min(1_000)));
            (raw_ms - part, raw_ms.saturating_add(part))
        }
    };
    let floor = law.min_ms.min(law.max_ms);
    let high = high.clamp(floor, law.max_ms);
    let low = low.clamp(floor, high);
    low + part_of(high - low, u)
}

/// The drawn number of this run's `count`th restart: the same on every machine, unrelated between runs.
#[must_use]
pub(super) fn draw(seed: u64, run: RunId, count: u64) -> u32 {
    high_half(split_mix_64(seed ^ hash(run) ^ count))
}

/// By how much a start that came due while no supervisor ran is delayed, in milliseconds, below `over_ms`. It depends
/// on the run's identity alone, so that a second restart in the middle moves no run.
#[must_use]
pub fn startup_spread_ms(run: RunId, over_ms: u64) -> u64 {
    part_of(over_ms, high_half(hash(run)))
}

/// A hash that stays the same for ever, which the standard library's does not promise.
fn hash(run: RunId) -> u64 {
    let wide = u128::from_be_bytes(run.to_bytes());
    let half = |x: u128| u64::try_from(x & u128::from(u64::MAX)).unwrap_or(0);
    split_mix_64(half(wide) ^ split_mix_64(half(wide >> 64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Backoff;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const LAW: Law = Law {
        backoff: Backoff::Exponential,
        base_ms: 1_000,
        max_ms: 60_000,
        min_ms: 100,
        factor_permille: 2_000,
    };

    fn jitters() -> impl Strategy<Value = Jitter> {
        prop_oneof![
            Just(Jitter::None),
            Just(Jitter::Full),
            Just(Jitter::Equal),
            Just(Jitter::Decorrelated),
            (0..=1_000u32).prop_map(Jitter::Proportional),
        ]
    }

    #[test]
    fn each_jitter_has_its_range() {
        for (jitter, previous, low, high) in [
            (Jitter::None, None, 8_000, 8_000),
            (Jitter::Full, None, 100, 7_999),
            (Jitter::Equal, None, 4_000, 7_999),
            (Jitter::Proportional(250), None, 6_000, 9_999),
            (Jitter::Decorrelated, None, 1_000, 2_999),
            (Jitter::Decorrelated, Some(9_000), 1_000, 26_999),
        ] {
            assert_eq!(spread(jitter, &LAW, 8_000, previous, 0), low, "{jitter:?}");
            assert_eq!(spread(jitter, &LAW, 8_000, previous, u32::MAX), high, "{jitter:?}");
        }
    }

    #[test]
    fn overdue_starts_stay_where_they_are_spread() {
        let run = RunId::from_parts(5, 7);
        assert_eq!(startup_spread_ms(run, 10_000), startup_spread_ms(run, 10_000));
        assert_eq!(startup_spread_ms(run, 0), 0);
        let places: BTreeSet<_> =
            (0..100).map(|i| startup_spread_ms(RunId::from_parts(5, i), 10_000) / 1_000).collect();
        assert_eq!(places.len(), 10, "all seconds are used");
    }

    proptest! {
        // I11: in the end of a long row of failures many delays differ, and none of them is where all meet.
        #[test]
        fn no_herd_forms_at_the_longest_delay(
            jitter in prop_oneof![
                Just(Jitter::Equal),
                Just(Jitter::Full),
                Just(Jitter::Decorrelated),
                (100..=1_000u32).prop_map(Jitter::Proportional),
            ],
            base_ms in 1..10_000u64,
            max_ms in 10_000..604_800_000u64,
            factor_permille in 1_500..=10_000u32,
        ) {
            let law = Law { base_ms, max_ms, factor_permille, ..LAW };
            let raw = law.raw(u32::MAX);
            let delays: BTreeSet<_> =
                (0..4_096).map(|i: u32| spread(jitter, &law, raw, Some(raw), i << 20)).collect();
            prop_assert!(delays.len() >= 1_000, "{}", delays.len());
        }

        #[test]
        fn every_delay_is_between_the_shortest_and_the_longest(
            jitter in jitters(),
            base in 0..700_000_000u64,
            max in 0..604_800_000u64,
            min in 0..700_000_000u64,
            factor in 1_500..=10_000u32,
            n in 1..=u32::MAX,
            previous in proptest::option::of(0..=u64::MAX),
            u in 0..=u32::MAX,
        ) {
            let law = Law {
                backoff: Backoff::Exponential,
                base_ms: base.min(max),
                max_ms: max,
                min_ms: min.min(max),
                factor_permille: factor,
            };
            let raw = law.raw(n);
            prop_assert!(raw <= max && raw <= law.raw(n.saturating_add(1)));
            let delay = spread(jitter, &law, raw, previous, u);
            prop_assert!((min.min(max)..=max).contains(&delay), "{delay}");
        }

        #[test]
        fn the_same_seed_draws_the_same(seed in 0..=u64::MAX, run in 0..=u128::MAX, count in 0..50u64) {
            let run = RunId::from_bytes(run.to_be_bytes());
            prop_assert_eq!(draw(seed, run, count), draw(seed, run, count));
            prop_assert_ne!(split_mix_64(seed ^ count), split_mix_64(seed ^ (count + 1)));
        }
    }
}
