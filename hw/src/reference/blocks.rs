//! What the bytes of each storage type mean.
//!
//! Decides the numbers of a row: format facts from the `gguf` package's `quants.py` and
//! the tensor type table of the GGUF specification, checked against that package by a test.

use half::{bf16, f16};

use crate::dtype::Dtype;
use crate::weight::Weight;

/// 32 neighbouring numbers of a quantised row. Number i is
/// `scales[i / 16] * quants[i] + minimum`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) quants: [i32; 32],
    /// Of the two halves.
    pub(crate) scales: [f32; 2],
    /// Whether each half has a scale of its own: in Q6_K.
    pub(crate) halved: bool,
    pub(crate) minimum: f32,
}

/// All numbers of one row.
pub(crate) fn row_values(weight: &Weight, row: usize) -> Vec<f32> {
    let mut values = vec![0.0; weight.columns() as usize];
    read_row(weight.dtype(), weight.row(row), &mut values);
    values
}

/// Writes the numbers of a row of `bytes` into `values`.
pub(crate) fn read_row(dtype: Dtype, bytes: &[u8], values: &mut [f32]) {
    match dtype {
        Dtype::F32 => {
            for (value, bytes) in values.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *value = f32::from_le_bytes(*bytes);
            }
        }
        Dtype::F16 => {
            for (value, bytes) in values.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *value = f16::from_le_bytes(*bytes).to_f32_const();
            }
        }
        Dtype::Bf16 => {
            for (value, bytes) in values.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *value = bf16::from_le_bytes(*bytes).to_f32_const();
            }
        }
        _ => {
            for (index, values) in values.as_chunks_mut::<32>().0.iter_mut().enumerate() {
                let block = unpack(dtype, bytes, index);
                for (i, value) in values.iter_mut().enumerate() {
                    *value = block.scales[i / 16] * block.quants[i] as f32 + block.minimum;
                }
            }
        }
    }
}

/// The 32 numbers from `32 * index` on of a row of `bytes` of a quantised type.
pub(crate) fn unpack(dtype: Dtype, bytes: &[u8], index: usize) -> Block {
    let size = dtype.block_bytes();
    let per_block = dtype.block_len() / 32;
    let block = &bytes[index / per_block * size..][..size];
    let part = index % per_block;
    match dtype {
        Dtype::Q4_0 => plain(nibbles(&block[2..]), 8, half_at(block, 0), 0.0),
        Dtype::Q4_1 => plain(
            nibbles(&block[4..]),
            0,
            half_at(block, 0),
            half_at(block, 2),
        ),
        Dtype::Q5_0 => {
            let quants = fifth_bits(nibbles(&block[6..]), &block[2..6]);
            plain(quants, 16, half_at(block, 0), 0.0)
        }
        Dtype::Q5_1 => {
            let quants = fifth_bits(nibbles(&block[8..]), &block[4..8]);
            plain(quants, 0, half_at(block, 0), half_at(block, 2))
        }
        Dtype::Q4K => {
            let quants = half_bytes(&block[16..], part);
            super_block(block, part, quants)
        }
        Dtype::Q5K => {
            let mut quants = half_bytes(&block[48..], part);
            for (i, quant) in quants.iter_mut().enumerate() {
                *quant += i32::from(block[16 + i] >> part & 1) << 4;
            }
            super_block(block, part, quants)
        }
        Dtype::Q6K => six_bits(block, part),
        Dtype::Q8_0 | Dtype::F32 | Dtype::F16 | Dtype::Bf16 => {
            let quants = std::array::from_fn(|i| i32::from(block[2 + i].cast_signed()));
            plain(quants, 0, half_at(block, 0), 0.0)
        }
    }
}

fn plain(mut quants: [i32; 32], zero: i32, scale: f32, minimum: f32) -> Block {
    for quant in &mut quants {
        *quant -= zero;
    }
    Block {
        quants,
        scales: [scale; 2],
        halved: false,
        minimum,
    }
}

fn half_at(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32_const()
}

/// 16 low halves of bytes, then the 16 high halves of the same.
fn nibbles(bytes: &[u8]) -> [i32; 32] {
    std::array::from_fn(|i| i32::from(bytes[i % 16] >> (i / 16 * 4) & 15))
}

fn fifth_bits(mut quants: [i32; 32], bits: &[u8]) -> [i32; 32] {
    for (i, quant) in quants.iter_mut().enumerate() {
        *quant += i32::from(bits[i / 8] >> (i % 8) & 1) << 4;
    }
    quants
}

/// The low (even parts) or high (odd parts) halves of 32 bytes.
fn half_bytes(bytes: &[u8], part: usize) -> [i32; 32] {
    std::array::from_fn(|i| i32::from(bytes[part / 2 * 32 + i] >> (part % 2 * 4) & 15))
}

/// The scales of Q4_K and Q5_K: 8 pairs of 6 bits in 12 bytes after two halves.
fn super_block(block: &[u8], part: usize, quants: [i32; 32]) -> Block {
    let s = &block[4..16];
    let (scale, minimum) = if part < 4 {
        (s[part] & 63, s[part + 4] & 63)
    } else {
        (
            s[part + 4] & 15 | s[part - 4] >> 6 << 4,
            s[part + 4] >> 4 | s[part] >> 6 << 4,
        )
    };
    Block {
        quants,
        scales: [half_at(block, 0) * f32::from(scale); 2],
        halved: false,
        minimum: -(half_at(block, 2) * f32::from(minimum)),
    }
}

/// Q6_K: 128 bytes of low halves, 64 of upper pairs of bits, 16 scales, one half.
fn six_bits(block: &[u8], part: usize) -> Block {
    let (half, quarter) = (part / 4, part % 4);
    let low = &block[half * 64 + quarter % 2 * 32..];
    let high = &block[128 + half * 32..];
    let scales = &block[192 + half * 8 + quarter * 2..];
    Block {
        quants: std::array::from_fn(|i| {
            let low = low[i] >> (quarter / 2 * 4) & 15;
            let high = high[i] >> (quarter * 2) & 3;
            i32::from(low | high << 4) - 32
        }),
        scales: [
            half_at(block, 208) * f32::from(scales[0].cast_signed()),
            half_at(block, 208) * f32::from(scales[1].cast_signed()),
        ],
        halved: true,
        minimum: 0.0,
    }
}
