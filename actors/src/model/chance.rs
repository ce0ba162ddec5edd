//! Chance that can be replayed: numbers drawn from a seed, the same on every machine and for ever.
//!
//! The standard library's hashes promise neither, so a decision that depends on chance could not be told again.

/// SplitMix64, one step: small, well mixed, and the same everywhere.
pub(crate) const fn split_mix_64(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The better mixed half, as a number that counts as a fraction of 2³².
pub(crate) fn high_half(x: u64) -> u32 {
    u32::try_from(x >> 32).unwrap_or(u32::MAX)
}

/// `part` (a fraction of 2³²) of `whole`, rounded down.
pub(crate) fn part_of(whole: u64, part: u32) -> u64 {
    u64::try_from((u128::from(whole) * u128::from(part)) >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_mix_64_is_the_published_one() {
        assert_eq!(split_mix_64(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(split_mix_64(1_234_567), 6_457_827_717_110_365_317);
    }

    #[test]
    fn a_part_is_never_the_whole() {
        assert_eq!(part_of(1_000, 0), 0);
        assert_eq!(part_of(1_000, u32::MAX), 999);
        assert_eq!(part_of(u64::MAX, 1 << 31), u64::MAX / 2);
    }
}
