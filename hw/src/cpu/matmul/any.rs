//! Products with quantised weights without vector instructions.
//!
//! Decides nothing of its own: blocks and sums are those of `reference/`, each block unpacked once
//! for all rows of activations.

use super::rounded::Rounded;
use crate::dtype::Dtype;
use crate::reference::blocks;

/// Rows of activations that share an unpacked block.
pub(super) const MOST: usize = 16;

/// `out[m]` is the product of activations m with a row of weights.
pub(super) fn row(dtype: Dtype, weights: &[u8], x: &[Rounded<'_>], out: &mut [f32; MOST]) {
    let columns = weights.len() / dtype.block_bytes() * dtype.block_len();
    let mut sums = [[0.0_f32; 4]; MOST];
    for index in 0..columns / 32 {
        let block = blocks::unpack(dtype, weights, index);
        for (sums, x) in sums.iter_mut().zip(x) {
            let words = &x.bytes[index * 8..][..8];
            let mut dots = [0_i32; 2];
            for (i, word) in words.iter().enumerate() {
                for (byte, quant) in word.to_le_bytes().iter().zip(&block.quants[i * 4..]) {
                    dots[i / 4] += i32::from(byte.cast_signed()) * quant;
                }
            }
            let dot = dots[0] * block.halves[0] + dots[1] * block.halves[1];
            let scale = f32::from_bits(x.scales[index]);
            let moment = f32::from_bits(x.moments[index]);
            let sum = &mut sums[index % 4];
            *sum = (dot as f32).mul_add(block.scale * scale, *sum);
            *sum = block.minimum.mul_add(moment, *sum);
        }
    }
    for (out, [a, b, c, d]) in out.iter_mut().zip(sums) {
        *out = (a + b) + (c + d);
    }
}
