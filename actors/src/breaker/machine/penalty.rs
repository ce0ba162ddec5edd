//! How long an open breaker refuses starts.

use crate::model::{BreakerPolicy, Scope, high_half, split_mix_64};

/// The penalty of a level in milliseconds, before chance: `penalty · factor^(level-1)`, at most `max_penalty`.
#[must_use]
pub fn of_level(policy: &BreakerPolicy, level: u32) -> u64 {
    curve(policy).take(usize::try_from(level.max(1)).unwrap_or(usize::MAX)).last().unwrap_or(0)
}

/// The first level whose penalty is the longest. Levels beyond it would change nothing but the time that it takes to
/// come down again.
#[must_use]
pub(super) fn top_level(policy: &BreakerPolicy) -> u32 {
    u32::try_from(curve(policy).count()).unwrap_or(u32::MAX)
}

/// A penalty with its chance, which only lengthens it: after the cap, so that scopes which opened together do not
/// come back together.
#[must_use]
pub(super) fn lengthened(penalty_ms: u64, jitter_permille: u32, u: u32) -> u64 {
    let most = u128::from(penalty_ms) * u128::from(jitter_permille) / 1_000;
    penalty_ms.saturating_add(u64::try_from((most * u128::from(u)) >> 32).unwrap_or(0))
}

/// The drawn number of this scope's `count`th opening, which is the same on every machine.
#[must_use]
pub(super) fn draw(seed: u64, scope: &Scope, count: u64) -> u32 {
    let hash = scope.0.bytes().fold(seed, |hash, byte| split_mix_64(hash ^ u64::from(byte)));
    high_half(split_mix_64(hash ^ count))
}

/// The penalties of level 1, 2 … up to the first that is the longest. Computed in whole nanoseconds, cut to
/// milliseconds at the end.
fn curve(policy: &BreakerPolicy) -> impl Iterator<Item = u64> {
    let max = u128::from(policy.max_penalty_ms) * 1_000_000;
    let first = (u128::from(policy.penalty_ms) * 1_000_000).min(max);
    let factor = u128::from(policy.penalty_factor_permille);
    std::iter::successors(Some(first), move |ns| {
        let next = (ns * factor / 1_000).min(max);
        (next > *ns).then_some(next)
    })
    .map(|ns| u64::try_from(ns / 1_000_000).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(penalty_ms: u64, penalty_factor_permille: u32, max_penalty_ms: u64) -> BreakerPolicy {
        BreakerPolicy { penalty_ms, penalty_factor_permille, max_penalty_ms, ..BreakerPolicy::default() }
    }

    #[test]
    fn penalties_double_up_to_the_longest_and_levels_end_there() {
        let policy = policy(30_000, 2_000, 1_800_000);
        let penalties: Vec<_> = (1..=8).map(|level| of_level(&policy, level)).collect();
        assert_eq!(penalties, [30_000, 60_000, 120_000, 240_000, 480_000, 960_000, 1_800_000, 1_800_000]);
        assert_eq!(top_level(&policy), 7);
    }

    #[test]
    fn a_penalty_that_does_not_grow_has_one_level() {
        assert_eq!(top_level(&policy(5_000, 1_000, 60_000)), 1);
        assert_eq!(top_level(&policy(5_000, 2_000, 5_000)), 1);
        assert_eq!(of_level(&policy(5_000, 1_000, 60_000), u32::MAX), 5_000);
        assert_eq!(of_level(&policy(0, 2_000, 60_000), 9), 0);
    }

    #[test]
    fn chance_only_lengthens() {
        assert_eq!(lengthened(1_000, 100, 0), 1_000);
        assert_eq!(lengthened(1_000, 100, u32::MAX), 1_099);
        assert_eq!(lengthened(1_000, 0, u32::MAX), 1_000);
        assert_eq!(lengthened(u64::MAX, 500, u32::MAX), u64::MAX);
    }

    #[test]
    fn scopes_and_openings_draw_different_numbers() {
        let (a, b) = (Scope::program("a"), Scope::program("b"));
        assert_eq!(draw(1, &a, 1), draw(1, &a, 1));
        assert_ne!(draw(1, &a, 1), draw(1, &b, 1));
        assert_ne!(draw(1, &a, 1), draw(1, &a, 2));
        assert_ne!(draw(1, &a, 1), draw(2, &a, 1));
    }
}
