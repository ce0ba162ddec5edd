//! How delays grow: the one place that knows the `backoff` crate.
//!
//! The crate gives the exponential curve and nothing else. Its own jitter may exceed the longest delay, its elapsed
//! limit counts from construction, and the value that `next_backoff` returns carries up to a nanosecond of chance even
//! with a randomisation factor of zero; so the curve is read from `current_interval`, which is exact.

use crate::model::{Backoff, RetryPolicy, RetryTerms};
use backoff::{ExponentialBackoff, backoff::Backoff as _};
use foldhash::fast::RandomState;
use std::{collections::HashMap, time::Duration};

/// The numbers of one class of one program.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Law {
    /// Exponential or constant.
    pub(super) backoff: Backoff,
    /// First delay, in milliseconds; never above `max_ms`.
    pub(super) base_ms: u64,
    /// Longest delay, in milliseconds.
    pub(super) max_ms: u64,
    /// Shortest delay, in milliseconds; never above `max_ms`.
    pub(super) min_ms: u64,
    /// Growth in thousandths; under 1,000 counts as 1,000, because a delay never shrinks.
    pub(super) factor_permille: u32,
}

impl Law {
    /// The numbers of the program, with those that the class sets in their place.
    #[must_use]
    pub(super) fn of(policy: &RetryPolicy, terms: &RetryTerms) -> Self {
        let max_ms = terms.max_delay_ms.unwrap_or(policy.max_delay_ms);
        Self {
            backoff: policy.backoff,
            base_ms: terms.delay_ms.unwrap_or(policy.delay_ms).min(max_ms),
            max_ms,
            min_ms: policy.min_delay_ms.min(max_ms),
            factor_permille: policy.factor_permille,
        }
    }

    /// One delay, as [`Curves::raw`] returns it.
    #[cfg(test)]
    pub(super) fn raw(&self, n: u32) -> u64 {
        Curves::default().raw(self, n)
    }

    /// The curve at its first delay.
    fn curve(&self) -> ExponentialBackoff {
        let first = Duration::from_millis(self.base_ms);
        ExponentialBackoff {
            current_interval: first,
            initial_interval: first,
            randomization_factor: 0.0,
            // A factor such as 1.001 has no exact double; the one below it turns 1001 ms into 1000 when the crate cuts
            // to whole nanoseconds. The next one above never falls short, and is too much only beyond half an hour.
            multiplier: (f64::from(self.factor_permille.max(1_000)) / 1_000.0).next_up(),
            max_interval: Duration::from_millis(self.max_ms),
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        }
    }
}

/// The number of curves that are kept. Programs that share the defaults have one for each delay that a class sets.
const CURVES: usize = 256;

/// The number of steps of a curve that are kept: with a factor of 1.01 the delay has doubled ten times by then.
const STEPS: u32 = 700;

/// Delays that were computed before. Without them each step would read the clock and draw a number, and use neither.
#[derive(Debug, Default)]
pub(super) struct Curves(HashMap<Law, Curve, RandomState>);

/// The beginning of a curve, as far as it was asked for.
#[derive(Debug)]
struct Curve {
    delays_ms: Vec<u64>,
    latest: ExponentialBackoff,
    /// Whether the last delay repeats for ever.
    whole: bool,
}

impl Curves {
    /// The delay in milliseconds after the `n`th failure in a row, before chance. Non-decreasing in `n`; 0 counts as 1.
    ///
    /// Takes as many steps as the curve needs to reach its end, however large `n` is: about 20 with a factor of 2.
    #[must_use]
    pub(super) fn raw(&mut self, law: &Law, n: u32) -> u64 {
        if law.backoff == Backoff::Constant {
            return law.base_ms;
        }
        if self.0.len() >= CURVES && !self.0.contains_key(law) {
            self.0.clear();
        }
        self.0.entry(*law).or_insert_with(|| Curve::of(law)).at(law, n)
    }
}

impl Curve {
    fn of(law: &Law) -> Self {
        Self { delays_ms: vec![law.base_ms.min(law.max_ms)], latest: law.curve(), whole: false }
    }

    fn at(&mut self, law: &Law, n: u32) -> u64 {
        let index = usize::try_from(n.min(STEPS).saturating_sub(1)).unwrap_or(usize::MAX);
        while !self.whole && self.delays_ms.len() <= index {
            self.whole = !step(&mut self.latest);
            if !self.whole {
                self.delays_ms.push(in_ms(&self.latest, law));
            }
        }
        if !self.whole && n > STEPS {
            // No run is expected to fail so often with a curve so flat; if one does, the curve goes on.
            let mut further = self.latest.clone();
            for _ in STEPS..n {
                if !step(&mut further) {
                    break;
                }
            }
            return in_ms(&further, law);
        }
        self.delays_ms.get(index).or(self.delays_ms.last()).copied().unwrap_or(law.base_ms)
    }
}

/// Makes one step of the curve. Returns whether the delay changed.
fn step(curve: &mut ExponentialBackoff) -> bool {
    let before = curve.current_interval;
    let _ = curve.next_backoff();
    curve.current_interval != before
}

fn in_ms(curve: &ExponentialBackoff, law: &Law) -> u64 {
    u64::try_from(curve.current_interval.as_millis()).unwrap_or(u64::MAX).min(law.max_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The law in integers, as it is specified: whole nanoseconds, cut at every step, stopped at the cap.
    fn raw_in_integers(law: &Law, n: u32) -> u64 {
        let max = u128::from(law.max_ms) * 1_000_000;
        let mut ns = u128::from(law.base_ms) * 1_000_000;
        for _ in 1..n {
            let next = (ns * u128::from(law.factor_permille) / 1_000).min(max);
            if next == ns {
                break;
            }
            ns = next;
        }
        u64::try_from(ns / 1_000_000).unwrap()
    }

    fn law(base_ms: u64, factor_permille: u32, max_ms: u64) -> Law {
        Law { backoff: Backoff::Exponential, base_ms, max_ms, min_ms: 0, factor_permille }
    }

    #[test]
    fn the_crate_and_the_integers_agree_everywhere() {
        let (mut samples, mut curves) = (0, Curves::default());
        for base in [1, 7, 100, 250, 999, 1_000, 1_001, 30_000, 86_400] {
            for factor in [1_000, 1_001, 1_010, 1_100, 1_234, 1_500, 1_999, 2_000, 2_718, 3_000, 10_000] {
                for max in [1, 1_000, 60_000, 300_000, 3_600_000, 604_800_000] {
                    if base > max {
                        continue;
                    }
                    let law = law(base, factor, max);
                    for n in (1..=60).chain([100, 1_000, u32::MAX]) {
                        assert_eq!(curves.raw(&law, n), raw_in_integers(&law, n), "{law:?} n={n}");
                        samples += 1;
                    }
                }
            }
        }
        assert!(samples > 25_000, "{samples}");
    }

    #[test]
    fn delays_double_until_the_longest() {
        let law = law(1_000, 2_000, 10_000);
        let delays: Vec<_> = [0, 1, 2, 3, 4, 5, 6, u32::MAX].iter().map(|n| law.raw(*n)).collect();
        assert_eq!(delays, [1_000, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
    }

    #[test]
    fn constant_and_zero_stay_what_they_are() {
        assert_eq!(Law { backoff: Backoff::Constant, ..law(500, 2_000, 10_000) }.raw(9), 500);
        assert_eq!(law(0, 2_000, 10_000).raw(9), 0);
        assert_eq!(law(0, 2_000, 0).raw(u32::MAX), 0);
    }
}
