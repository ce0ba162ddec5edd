//! How long retries were put off, in buckets.

/// Delays between attempts, counted by their length.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Delays {
    /// How many delays were not longer than the bound at the same index in [`Delays::BOUNDS_MS`], and longer than the
    /// one before; the last bucket counts those beyond every bound.
    pub buckets: [u64; Self::BOUNDS_MS.len() + 1],
    /// The sum of all delays, in milliseconds.
    pub sum_ms: u64,
}

impl Delays {
    /// Upper bounds of the buckets, in milliseconds: the delays that the built-in classes and common `max_delay`s
    /// distinguish, from a restart at once to a day.
    pub const BOUNDS_MS: [u64; 12] = [
        0, 100, 1_000, 5_000, 15_000, 60_000, 300_000, 900_000, 3_600_000, 14_400_000, 43_200_000, 86_400_000,
    ];

    pub(super) fn add(&mut self, delay_ms: u64) {
        let place = Self::BOUNDS_MS.iter().position(|bound| delay_ms <= *bound);
        if let Some(bucket) = self.buckets.get_mut(place.unwrap_or(Self::BOUNDS_MS.len())) {
            *bucket += 1;
        }
        self.sum_ms = self.sum_ms.saturating_add(delay_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_counted_once_at_the_first_bound_that_it_does_not_exceed() {
        for (delay_ms, place) in [(0, 0), (1, 1), (100, 1), (101, 2), (86_400_000, 11), (86_400_001, 12)] {
            let mut delays = Delays::default();
            delays.add(delay_ms);
            let mut expected = [0; 13];
            expected[place] = 1;
            assert_eq!((delays.buckets, delays.sum_ms), (expected, delay_ms), "{delay_ms}");
        }
        assert!(Delays::BOUNDS_MS.is_sorted_by(|a, b| a < b));
    }
}
