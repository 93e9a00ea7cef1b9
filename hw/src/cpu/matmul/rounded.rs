//! Activations as bytes.
//!
//! Decides how a row of floats becomes blocks of 32 bytes with one scale (as `reference/matmul.rs`
//! defines it) and how the blocks lie in memory. Refuses to know which weights they meet.
//!
//! What bounds it: arithmetic, some fifty instructions for 32 columns, once for all products that read the row, and where
//! a norm or a gate makes the row, while it is in the nearest cache. Products' rates count it.
//!
//! A rounded row is one slice of words, a [`Quad`] for each 128 floats; what a row lacks of its last
//! quad is zero.

use crate::cpu::vector::{LANES, Vector, kernel};

/// Words of one block over all parts.
pub(in crate::cpu) const BLOCK_WORDS: usize = 12;

/// Blocks of a row of `columns` floats: a multiple of four.
pub(in crate::cpu) fn blocks_of(columns: usize) -> usize {
    columns.div_ceil(128) * 4
}

/// Four blocks. All of a row lies behind one address, so that a tile of many rows needs few
/// registers for them.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Quad {
    /// 32 signed bytes of each block.
    pub(super) bytes: [u32; 32],
    pub(super) scales: [f32; 4],
    /// Scale times the sum of the bytes, for types with a minimum.
    pub(super) moments: [f32; 4],
    /// Minus the sum of the bytes, for types around a zero.
    pub(super) debts: [i32; 4],
    /// Two 16-bit sums, of the first and of the last 16 bytes, for Q6_K.
    halves: [u32; 4],
}

impl Quad {
    /// Minus the sums of the first and of the last 16 bytes of block `block`.
    #[inline(always)]
    pub(super) fn half_debts(&self, block: usize) -> [i32; 2] {
        let pair = self.halves[block].cast_signed();
        [-(pair << 16 >> 16), -(pair >> 16)]
    }
}

/// Words of a quad.
const QUAD_WORDS: usize = 4 * BLOCK_WORDS;

const _: () = assert!(size_of::<Quad>() == QUAD_WORDS * 4 && align_of::<Quad>() == 4);

/// The quads of a rounded row.
pub(super) fn quads(words: &[u32]) -> &[Quad] {
    let quads = words.len() / QUAD_WORDS;
    // SAFETY: so many quads fit, their alignment is that of a word, and any bits are valid for
    // them; see the assertion above.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), quads) }
}

/// The same, to write them.
fn quads_mut(words: &mut [u32]) -> &mut [Quad] {
    let quads = words.len() / QUAD_WORDS;
    // SAFETY: as in `quads`, and the borrow is exclusive.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), quads) }
}

kernel!(
    /// Rounds a row of floats into `words`.
    round = round_generic(x: &[f32], words: &mut [u32])
);

#[inline(always)]
fn round_generic<V: Vector>(x: &[f32], words: &mut [u32]) {
    let mut whole = x.as_chunks::<32>().0.iter();
    for quad in quads_mut(words) {
        for block in 0..4 {
            let bytes = &mut quad.bytes.as_chunks_mut::<8>().0[block];
            *bytes = [0; 8];
            quad.scales[block] = 0.0;
            quad.moments[block] = 0.0;
            quad.debts[block] = 0;
            quad.halves[block] = 0;
            let Some(x) = whole.next() else {
                continue;
            };
            let (low, high) = x.split_at(LANES);
            let (Some(low), Some(high)) = (low.as_array(), high.as_array()) else {
                continue;
            };
            let (low, high) = (V::load(low), V::load(high));
            if !(low.is_finite() && high.is_finite()) {
                quad.scales[block] = f32::NAN;
                quad.moments[block] = f32::NAN;
                continue;
            }
            let most = low.abs().max(high.abs()).largest();
            if most < SMALLEST {
                continue;
            }
            let inverse = V::splat(127.0 / most);
            let (low, first) = low.mul(inverse).round().to_bytes();
            let (high, second) = high.mul(inverse).round().to_bytes();
            let (low_words, high_words) = bytes.split_at_mut(4);
            low_words.copy_from_slice(&low);
            high_words.copy_from_slice(&high);
            let step = most * (1.0 / 127.0);
            quad.scales[block] = step;
            quad.moments[block] = step * (first + second) as f32;
            quad.debts[block] = -(first + second);
            quad.halves[block] = (first as u32 & 0xffff) | (second as u32) << 16;
        }
    }
}

/// About how long a row takes on one thread.
pub(in crate::cpu) fn row_ns(columns: usize) -> usize {
    columns / 8 + 1
}

/// Below it, the inverse of the scale would overflow.
const SMALLEST: f32 = 1e-30;
