//! One strip out of rows as GGUF stores them.
//!
//! Decides how stored bits move into the order that `packed.rs` describes, four columns at a time.
//! What the bits mean is in `reference/blocks.rs`; a test compares both.

use super::{Form, STRIP};
use crate::dtype::Dtype;

/// Packs `rows` of `columns` columns each into `out`, which is zero; an empty row stays so.
pub(super) fn pack(dtype: Dtype, rows: &[&[u8]; STRIP], columns: usize, out: &mut [u8]) {
    match dtype {
        Dtype::F32 => numbers::<4>(rows, out),
        Dtype::F16 | Dtype::Bf16 => numbers::<2>(rows, out),
        _ => blocks(dtype, rows, columns / 32, out),
    }
}

/// Column after column of numbers of `BYTES` bytes.
fn numbers<const BYTES: usize>(rows: &[&[u8]; STRIP], out: &mut [u8]) {
    for (r, row) in rows.iter().enumerate() {
        let to = out.as_chunks_mut::<BYTES>().0.chunks_exact_mut(STRIP);
        for (to, number) in to.zip(row.as_chunks::<BYTES>().0) {
            to[r] = *number;
        }
    }
}

fn blocks(dtype: Dtype, rows: &[&[u8]; STRIP], blocks: usize, out: &mut [u8]) {
    let form = Form::of(dtype);
    let (quants, sides) = out.split_at_mut(blocks * form.quants);
    for (r, row) in rows.iter().enumerate() {
        if row.is_empty() {
            continue;
        }
        for (index, block) in quants.chunks_exact_mut(form.quants).enumerate() {
            let words = words(dtype, stored(dtype, row, index));
            for (group, word) in block.chunks_exact_mut(4 * STRIP).zip(words) {
                group[4 * r..4 * r + 4].copy_from_slice(&word.to_le_bytes());
            }
        }
        let sides = sides.chunks_exact_mut(form.side);
        for (index, side) in sides.take(blocks / form.sharing).enumerate() {
            let (block, _) = stored(dtype, row, index * form.sharing);
            pack_side(dtype, block, r, side);
        }
    }
}

/// The stored block that the 32 columns from `32 * index` on are in, and which part of it they are.
fn stored(dtype: Dtype, row: &[u8], index: usize) -> (&[u8], usize) {
    let per_block = dtype.block_len() / 32;
    let size = dtype.block_bytes();
    (&row[index / per_block * size..][..size], index % per_block)
}

/// What one row gives to the groups of a block.
fn words(dtype: Dtype, (block, part): (&[u8], usize)) -> [u32; 8] {
    match dtype {
        Dtype::Q4_0 => nibbles(&block[2..]),
        Dtype::Q4_1 => nibbles(&block[4..]),
        Dtype::Q5_0 => with_fifth_bits(nibbles(&block[6..]), word(&block[2..], 0)),
        Dtype::Q5_1 => with_fifth_bits(nibbles(&block[8..]), word(&block[4..], 0)),
        Dtype::Q4K => half_bytes(&block[16 + part / 2 * 32..], part % 2 * 4),
        Dtype::Q5K => {
            let mut words = half_bytes(&block[48 + part / 2 * 32..], part % 2 * 4);
            for group in 0..8 {
                words[4] |= (word(&block[16..], group) >> part & 0x0101_0101) << group;
            }
            words
        }
        Dtype::Q6K => {
            let (half, quarter) = (part / 4, part % 4);
            let low = &block[half * 64 + quarter % 2 * 32..];
            let mut words = half_bytes(low, quarter / 2 * 4);
            let high = &block[128 + half * 32..];
            for group in 0..8 {
                let pairs = word(high, group) >> (2 * quarter) & 0x0303_0303;
                words[4 + group / 4] |= pairs << (2 * (group % 4));
            }
            words
        }
        Dtype::Q8_0 | Dtype::F32 | Dtype::F16 | Dtype::Bf16 => {
            let mut words = [0; 8];
            for (i, to) in words.iter_mut().enumerate() {
                *to = word(&block[2..], i);
            }
            words
        }
    }
}

/// Sixteen bytes that are already as they are wanted: low halves first, high halves 16 columns on.
fn nibbles(bytes: &[u8]) -> [u32; 8] {
    let [a, b, c, d] = [0, 1, 2, 3].map(|i| word(bytes, i));
    [a, b, c, d, 0, 0, 0, 0]
}

/// The halves of 32 bytes at bit `shift`, two to a byte.
fn half_bytes(bytes: &[u8], shift: usize) -> [u32; 8] {
    let mut words = [0; 8];
    for i in 0..4 {
        let low = word(bytes, i) >> shift & 0x0f0f_0f0f;
        let high = word(bytes, i + 4) >> shift & 0x0f0f_0f0f;
        words[i] = low | high << 4;
    }
    words
}

/// Bit i of `bits` belongs to column i.
fn with_fifth_bits(mut words: [u32; 8], bits: u32) -> [u32; 8] {
    for column in 0..32 {
        let bit = bits >> column & 1;
        words[4] |= bit << (column % 4 * 8 + column / 4);
    }
    words
}

fn word(bytes: &[u8], index: usize) -> u32 {
    let bytes = &bytes[index * 4..][..4];
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// What one row gives to a side.
fn pack_side(dtype: Dtype, block: &[u8], r: usize, side: &mut [u8]) {
    let mut halves = |to: usize, from: usize| {
        side[to + 2 * r..to + 2 * r + 2].copy_from_slice(&block[from..from + 2]);
    };
    match dtype {
        Dtype::Q4_1 | Dtype::Q5_1 => {
            halves(0, 0);
            halves(32, 2);
        }
        Dtype::Q4K | Dtype::Q5K => {
            halves(0, 0);
            halves(32, 2);
            let s = &block[4..16];
            for part in 0..8 {
                let (scale, minimum) = if part < 4 {
                    (s[part] & 63, s[part + 4] & 63)
                } else {
                    (
                        s[part + 4] & 15 | s[part - 4] >> 6 << 4,
                        s[part + 4] >> 4 | s[part] >> 6 << 4,
                    )
                };
                side[64 + part * 32 + r] = scale;
                side[64 + part * 32 + 16 + r] = minimum;
            }
        }
        Dtype::Q6K => {
            halves(0, 208);
            for (i, scale) in block[192..208].iter().enumerate() {
                side[32 + i * 16 + r] = *scale;
            }
        }
        Dtype::Q4_0 | Dtype::Q5_0 | Dtype::Q8_0 | Dtype::F32 | Dtype::F16 | Dtype::Bf16 => {
            halves(0, 0);
        }
    }
}
