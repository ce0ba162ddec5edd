//! Ids for new runs: later ones are greater, so that who asked first is first in every line.

use crate::model::{RunId, Timestamp};

/// From one id to the next. Odd, so that ends of ids, by which people name runs, differ for as long as possible.
const STEP: u128 = 0x9E37_79B9_7F4A_7C15_F39D;
/// Between ids of one millisecond: odd too, and small enough that half a trillion of them stay below the next one.
const STEP_WITHIN: u128 = 0x5F_35D7_6E4B;
/// 79 of the 80 bits: the first id of a millisecond leaves room above it.
const MASK: u128 = (1 << 79) - 1;

/// A source of run ids, seeded once from the system.
#[derive(Debug)]
pub(super) struct RunIds {
    chance: u128,
    last_ms: u64,
    last: u128,
}

impl RunIds {
    pub(super) const fn new(seed: u128) -> Self {
        Self { chance: seed, last_ms: 0, last: 0 }
    }

    /// Greater than every id before, also within a millisecond and after a clock was set back.
    pub(super) fn next(&mut self, now: Timestamp) -> RunId {
        if now.0 > self.last_ms {
            self.chance = self.chance.wrapping_add(STEP);
            (self.last_ms, self.last) = (now.0, self.chance & MASK);
        } else {
            self.last += STEP_WITHIN;
        }
        RunId::from_parts(self.last_ms, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn later_ids_are_greater_and_their_ends_differ() {
        let mut ids = RunIds::new(u128::MAX);
        let times = (0..5_000).map(|n| 1_000_000 + n / 50 % 70);
        let made: Vec<_> = times.map(|ms| ids.next(Timestamp(ms))).collect();
        assert!(made.is_sorted_by(|a, b| a < b));
        let ends: BTreeSet<_> = made.iter().map(|id| id.short()).collect();
        assert_eq!(ends.len(), made.len());
    }
}
