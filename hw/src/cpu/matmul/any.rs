//! Products with quantised weights without vector instructions.
//!
//! Decides nothing of its own: blocks and sums are those of `reference/`, each block unpacked once
//! for all rows of activations.

use super::rounded::Quad;
use crate::dtype::Dtype;
use crate::reference::blocks;

/// Rows of activations that share an unpacked block.
pub(super) const MOST: usize = 16;

/// `out[m]` is the product of activations m with a row of weights.
pub(super) fn row(dtype: Dtype, weights: &[u8], x: &[&[Quad]], out: &mut [f32; MOST]) {
    let columns = weights.len() / dtype.block_bytes() * dtype.block_len();
    let mut sums = [[0.0_f32; 4]; MOST];
    for index in 0..columns / 32 {
        let block = blocks::unpack(dtype, weights, index);
        for (sums, x) in sums.iter_mut().zip(x) {
            let (quad, at) = (&x[index / 4], index % 4);
            let words = &quad.bytes[at * 8..][..8];
            let mut dots = [0_i32; 2];
            for (i, word) in words.iter().enumerate() {
                for (byte, quant) in word.to_le_bytes().iter().zip(&block.quants[i * 4..]) {
                    dots[i / 4] += i32::from(byte.cast_signed()) * quant;
                }
            }
            let dot = dots[0] * block.halves[0] + dots[1] * block.halves[1];
            let sum = &mut sums[at];
            *sum = (dot as f32).mul_add(block.scale * quad.scales[at], *sum);
            *sum = block.minimum.mul_add(quad.moments[at], *sum);
        }
    }
    for (out, [a, b, c, d]) in out.iter_mut().zip(sums) {
        *out = (a + b) + (c + d);
    }
}
