//! Activations as bytes.
//!
//! Decides how a row of floats becomes blocks of 32 bytes with one scale (as `reference/matmul.rs`
//! defines it) and how the blocks lie in memory. Refuses to know which weights they meet.
//!
//! A rounded row of `blocks` blocks (a multiple of four, the last ones zero) is one slice of words:
//!
//! | part | words | what |
//! |---|---|---|
//! | bytes | 8 per block | 32 signed bytes |
//! | scales | 1 | f32 |
//! | moments | 1 | f32: scale times the sum of the bytes, for types with a minimum |
//! | debts | 1 | i32: minus the sum of the bytes, for types around a zero |
//! | halves | 1 | two i16: the sums of the first and the last 16 bytes, for Q6_K |

use crate::cpu::vector::{LANES, Vector, kernel};

/// Words of one block over all parts.
pub(in crate::cpu) const BLOCK_WORDS: usize = 12;

/// Blocks of a row of `columns` floats: a multiple of four.
pub(in crate::cpu) fn blocks_of(columns: usize) -> usize {
    columns.div_ceil(128) * 4
}

/// A rounded row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounded<'a> {
    pub(super) bytes: &'a [u32],
    pub(super) scales: &'a [u32],
    pub(super) moments: &'a [u32],
    pub(super) debts: &'a [u32],
    pub(super) halves: &'a [u32],
}

impl<'a> Rounded<'a> {
    pub(super) fn of(words: &'a [u32]) -> Self {
        let blocks = words.len() / BLOCK_WORDS;
        let (bytes, rest) = words.split_at(blocks * 8);
        let (scales, rest) = rest.split_at(blocks);
        let (moments, rest) = rest.split_at(blocks);
        let (debts, halves) = rest.split_at(blocks);
        Self {
            bytes,
            scales,
            moments,
            debts,
            halves,
        }
    }
}

kernel!(
    /// Rounds a row of floats into `words`.
    round = round_generic(x: &[f32], words: &mut [u32])
);

#[inline(always)]
fn round_generic<V: Vector>(x: &[f32], words: &mut [u32]) {
    let blocks = words.len() / BLOCK_WORDS;
    let (bytes, rest) = words.split_at_mut(blocks * 8);
    let (scales, rest) = rest.split_at_mut(blocks);
    let (moments, rest) = rest.split_at_mut(blocks);
    let (debts, halves) = rest.split_at_mut(blocks);
    let whole = x.as_chunks::<32>().0;
    let parts = bytes.as_chunks_mut::<8>().0.iter_mut();
    let sums = moments.iter_mut().zip(debts).zip(halves);
    for (index, ((bytes, scale), ((moment, debt), halves))) in
        parts.zip(scales).zip(sums).enumerate()
    {
        let Some(x) = whole.get(index) else {
            *bytes = [0; 8];
            (*scale, *moment, *debt, *halves) = (0, 0, 0, 0);
            continue;
        };
        let (low, high) = x.split_at(LANES);
        let (Some(low), Some(high)) = (low.as_array(), high.as_array()) else {
            continue;
        };
        let (low, high) = (V::load(low), V::load(high));
        // Zero where all are finite, NaN elsewhere.
        let finite = low.sub(low).add(high.sub(high)).sum();
        let most = low.abs().max(high.abs()).largest();
        if finite != 0.0 || most < SMALLEST {
            *bytes = [0; 8];
            (*moment, *debt, *halves) = (0, 0, 0);
            *scale = if finite == 0.0 { 0 } else { f32::NAN.to_bits() };
            if finite != 0.0 {
                *moment = *scale;
            }
            continue;
        }
        let inverse = V::splat(127.0 / most);
        let low = low.mul(inverse).round().to_bytes();
        let high = high.mul(inverse).round().to_bytes();
        let first: i32 = low.iter().map(|b| i32::from(*b)).sum();
        let second: i32 = high.iter().map(|b| i32::from(*b)).sum();
        let (low_words, high_words) = bytes.split_at_mut(4);
        pack(&low, low_words);
        pack(&high, high_words);
        let step = most * (1.0 / 127.0);
        *scale = step.to_bits();
        *moment = (step * (first + second) as f32).to_bits();
        *debt = (-(first + second)).cast_unsigned();
        *halves = (first as u32 & 0xffff) | (second as u32) << 16;
    }
}

/// Below it, the inverse of the scale would overflow.
const SMALLEST: f32 = 1e-30;

#[inline(always)]
fn pack(bytes: &[i8; LANES], words: &mut [u32]) {
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(bytes.map(i8::cast_unsigned));
    }
}
