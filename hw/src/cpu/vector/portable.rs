//! Sixteen floats in an array: any processor.

use half::{bf16, f16};

use super::{LANES, Vector};

/// Sixteen floats in an array.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Vector for Portable {
    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; LANES])
    }

    #[inline(always)]
    fn load(from: &[f32; LANES]) -> Self {
        Self(*from)
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        *to = self.0;
    }

    #[inline(always)]
    fn load_f32_bytes(from: &[u8; 64]) -> Self {
        let parts = from.as_chunks::<4>().0;
        Self(std::array::from_fn(|i| f32::from_le_bytes(parts[i])))
    }

    #[inline(always)]
    fn load_f16_bytes(from: &[u8; 32]) -> Self {
        let parts = from.as_chunks::<2>().0;
        Self(std::array::from_fn(|i| {
            f16::from_le_bytes(parts[i]).to_f32_const()
        }))
    }

    #[inline(always)]
    fn load_bf16_bytes(from: &[u8; 32]) -> Self {
        let parts = from.as_chunks::<2>().0;
        Self(std::array::from_fn(|i| {
            bf16::from_le_bytes(parts[i]).to_f32_const()
        }))
    }

    #[inline(always)]
    fn load_f16(from: &[u16; LANES]) -> Self {
        Self(from.map(|bits| f16::from_bits(bits).to_f32_const()))
    }

    #[inline(always)]
    fn store_f16(self, to: &mut [u16; LANES]) {
        *to = self.0.map(|x| f16::from_f32_const(x).to_bits());
    }

    #[inline(always)]
    fn load_i8_bytes(from: &[u8; LANES]) -> Self {
        Self(from.map(|byte| f32::from(byte.cast_signed())))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }

    #[inline(always)]
    fn fma(self, by: Self, plus: Self) -> Self {
        Self(std::array::from_fn(|i| {
            self.0[i].mul_add(by.0[i], plus.0[i])
        }))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn abs(self) -> Self {
        Self(self.0.map(f32::abs))
    }

    #[inline(always)]
    fn round(self) -> Self {
        Self(self.0.map(f32::round_ties_even))
    }

    #[inline(always)]
    fn power_of_two(self) -> Self {
        Self(
            self.0
                .map(|x| f32::from_bits(((x as i32).wrapping_add(127) << 23).cast_unsigned())),
        )
    }

    #[inline(always)]
    fn select_above(self, limit: Self, yes: Self, no: Self) -> Self {
        Self(std::array::from_fn(|i| {
            if self.0[i] > limit.0[i] {
                yes.0[i]
            } else {
                no.0[i]
            }
        }))
    }

    #[inline(always)]
    fn to_bytes(self) -> ([u32; 4], i32) {
        let (mut words, mut sum) = ([0; 4], 0);
        for (i, x) in self.0.into_iter().enumerate() {
            let byte = x as i8;
            words[i / 4] |= u32::from(byte.cast_unsigned()) << (i % 4 * 8);
            sum += i32::from(byte);
        }
        (words, sum)
    }

    #[inline(always)]
    fn is_finite(self) -> bool {
        self.0.iter().all(|x| x.is_finite())
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let mut lanes = self.0;
        for half in [8, 4, 2, 1] {
            for i in 0..half {
                lanes[i] += lanes[i + half];
            }
        }
        lanes[0]
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        self.0.iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }
}
