//! What a cache keeps of keys and values.
//!
//! Decides how numbers are rounded. In a cache of bytes, each 32 neighbouring columns of a head share a
//! scale, the half nearest to their largest magnitude over 127; a number is the whole number of scales
//! nearest to it, halves to even, from -127 to 127. A scale of zero makes all of them zero; an infinity, a
//! NaN or a magnitude beyond what a half scale holds makes all of them NaN.

use half::f16;

use crate::cache::{BLOCK, Cache, GROUP_BYTES, GROUP_COLUMNS, LayerMemory};
use crate::cpu::mapping::Zeroed;
use crate::dtype::Dtype;
use crate::matrix::Matrix;
use crate::plan::Facts;

/// Keys and values of the batch go into the cache.
pub(super) fn write(
    cache: &Cache,
    memory: &mut LayerMemory,
    facts: &Facts<'_>,
    [key, value]: [Matrix<'_>; 2],
    kv_heads: usize,
) {
    for row in 0..key.rows {
        let sequence = &facts.batch.sequences[facts.owners[row] as usize];
        let place = facts.positions[row] as usize;
        let both = [
            (&mut memory.keys, key, Kind::Key),
            (&mut memory.values, value, Kind::Value),
        ];
        for (memory, x, kind) in both {
            let width = x.width / kv_heads;
            for (head, x) in x.row(row).chunks(width).enumerate() {
                let slot = slot(cache, sequence.pages, kv_heads, head, place);
                Place { kind, slot, width }.put(cache.dtype(), memory, x);
            }
        }
    }
}

/// Which of all (page, head, token) places holds `place` of a sequence.
pub(super) fn slot(
    cache: &Cache,
    pages: &[u32],
    kv_heads: usize,
    head: usize,
    place: usize,
) -> usize {
    let page_tokens = cache.page_tokens() as usize;
    let page = pages[place / page_tokens] as usize;
    (page * kv_heads + head) * page_tokens + place % page_tokens
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Key,
    Value,
}

/// Where one head of one token lies.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) kind: Kind,
    pub(super) slot: usize,
    pub(super) width: usize,
}

impl Place {
    /// The numbers kept here.
    pub(super) fn take(self, dtype: Dtype, memory: &LayerMemory) -> Vec<f32> {
        let memory = match self.kind {
            Kind::Key => &memory.keys,
            Kind::Value => &memory.values,
        };
        let number = |column| match dtype {
            Dtype::F32 => memory.f32()[self.number(column)],
            Dtype::F16 => f16::from_bits(memory.u16()[self.number(column)]).to_f32_const(),
            _ => {
                let (scale, byte) = self.in_group(column);
                let bytes = memory.as_bytes();
                let scale = f16::from_le_bytes([bytes[scale], bytes[scale + 1]]);
                scale.to_f32_const() * f32::from(bytes[byte].cast_signed())
            }
        };
        (0..self.width).map(number).collect()
    }

    fn put(self, dtype: Dtype, memory: &mut Zeroed, x: &[f32]) {
        for (column, x_here) in x.iter().enumerate() {
            match dtype {
                Dtype::F32 => memory.f32_mut()[self.number(column)] = *x_here,
                Dtype::F16 => {
                    let half = f16::from_f32_const(*x_here).to_bits();
                    memory.u16_mut()[self.number(column)] = half;
                }
                _ => {
                    let first = column / GROUP_COLUMNS * GROUP_COLUMNS;
                    let step = scale(&x[first..first + GROUP_COLUMNS]);
                    let steps = match step.to_f32_const() {
                        0.0 => 0.0,
                        step => (x_here / step).round_ties_even().clamp(-127.0, 127.0),
                    };
                    let (scale, byte) = self.in_group(column);
                    let bytes = memory.bytes_mut();
                    bytes[scale..scale + 2].copy_from_slice(&step.to_le_bytes());
                    bytes[byte] = (steps as i8).cast_unsigned();
                }
            }
        }
    }

    /// Where a column lies among plain numbers.
    fn number(self, column: usize) -> usize {
        let Self { kind, slot, width } = self;
        match kind {
            Kind::Key => slot / BLOCK * BLOCK * width + column * BLOCK + slot % BLOCK,
            Kind::Value => slot * width + column,
        }
    }

    /// Where a column's scale and its byte lie.
    fn in_group(self, column: usize) -> (usize, usize) {
        let (block, lane) = (self.slot / BLOCK, self.slot % BLOCK);
        let group = block * (self.width / GROUP_COLUMNS) + column / GROUP_COLUMNS;
        let column = column % GROUP_COLUMNS;
        let byte = match self.kind {
            Kind::Key => column * BLOCK + lane,
            Kind::Value => lane * GROUP_COLUMNS + column,
        };
        let start = group * GROUP_BYTES;
        (start + 2 * lane, start + 2 * BLOCK + byte)
    }
}

/// Of 32 numbers.
fn scale(x: &[f32]) -> f16 {
    if !x.iter().all(|x| x.is_finite()) {
        return f16::NAN;
    }
    let most = x.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    f16::from_f32_const(most / 127.0)
}
