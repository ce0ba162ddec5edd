//! Ids of new runs.

use crate::model::{RunId, Timestamp};

/// A source of run ids: seeded once from the system, then counted through. Each id sorts behind the one before, those of
/// one millisecond too: lines of waiting runs are ordered by it.
#[derive(Debug)]
pub(super) struct Ids {
    random: u128,
    last: Timestamp,
    /// The upper half of the random bits, which is counted up within a millisecond.
    upper: u128,
}

impl Ids {
    /// Half of the 80 random bits. The lower half is what people type, so it looks different each time.
    const HALF: u32 = 40;

    pub(super) const fn new(seed: u128) -> Self {
        Self { random: seed, last: Timestamp(0), upper: 0 }
    }

    pub(super) fn next(&mut self, at: Timestamp) -> RunId {
        // An odd step walks through all 2^80 values before one repeats.
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15_F39D);
        if at > self.last {
            self.last = at;
            // One bit is left free, so that counting never overflows within a millisecond.
            self.upper = (self.random >> Self::HALF) & ((1 << (Self::HALF - 1)) - 1);
        } else {
            self.upper += 1;
        }
        let lower = self.random & ((1 << Self::HALF) - 1);
        RunId::from_parts(self.last.0, (self.upper << Self::HALF) | lower)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_millisecond_and_of_a_clock_that_steps_back_sort_as_they_were_asked_for() {
        let mut ids = Ids::new(u128::MAX / 3);
        let made: Vec<_> = [5, 5, 5, 4, 6, 6].map(Timestamp).into_iter().map(|at| ids.next(at)).collect();
        assert!(made.is_sorted_by(|a, b| a < b), "{made:?}");
        let ends: std::collections::BTreeSet<_> = made.iter().map(|id| id.short()).collect();
        assert_eq!(ends.len(), made.len(), "what people type differs");
    }
}
