//! What words should hold, and numbers that look like chance: the same as `kernels/portable/diagnose.cu`.
//!
//! Decides nothing else.

/// What a word holds; the numbers are the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// The same everywhere.
    Constant(u64),
    /// One bit, which moves on with each word; the number says where it begins.
    Walking(u64),
    /// Its address.
    Address,
    /// What looks like chance, and depends on the address and a seed.
    Random(u64),
}

impl Pattern {
    /// As a kernel takes it: the kind, and what belongs to it.
    pub(super) fn parameters(self) -> [u64; 2] {
        match self {
            Self::Constant(word) => [0, word],
            Self::Walking(first) => [1, first],
            Self::Address => [2, 0],
            Self::Random(seed) => [3, seed],
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Constant(word) => write!(f, "{word:#018x} everywhere"),
            Self::Walking(first) => write!(f, "one bit that moves on, from bit {first}"),
            Self::Address => f.write_str("addresses"),
            Self::Random(seed) => write!(f, "random words of seed {seed}"),
        }
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): each bit of the input moves all of the output.
pub(super) fn mixed(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// A number of a factor of which products are exact: from -8 to 8.
pub(super) fn whole(seed: u64, index: u64) -> i64 {
    (mixed(index.wrapping_add(seed)) % 17) as i64 - 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixing_is_that_of_splitmix64() {
        // The first outputs of SplitMix64 of seed 1234567, as published with xoshiro (Vigna).
        let mut state: u64 = 1_234_567;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mixed(state)
        };
        assert_eq!(next(), 6_457_827_717_110_365_317);
        assert_eq!(next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn whole_numbers_have_their_range() {
        let all: Vec<i64> = (0..1_000).map(|index| whole(3, index)).collect();
        assert_eq!(all.iter().min(), Some(&-8));
        assert_eq!(all.iter().max(), Some(&8));
    }
}
