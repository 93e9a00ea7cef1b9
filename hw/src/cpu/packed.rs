//! Weights of products in the order in which kernels read them.
//!
//! Decides where the numbers of a weight lie once it is packed: sixteen rows side by side make a
//! *strip*, in which the same four columns of all sixteen follow each other, so that a lane of a
//! register is a weight row and nothing is ever added across lanes. Refuses to know instructions.
//!
//! A strip of floats is column after column, each of sixteen rows.
//!
//! A strip of a quantised type is `blocks` blocks of quants, 32 columns of sixteen rows each, and then their *sides*:
//! scales and minima. Every strip begins at a multiple of 64 bytes. A row that a weight lacks is zero.
//!
//! Quants of a block, in words of four columns (`c`) of one row (`r`), word `16 * g + r`:
//! - Q8_0: group g of 8 holds columns `4 * g + c`;
//! - all others: group g of 4 holds columns `4 * g + c` in low halves of bytes and
//!   `16 + 4 * g + c` in high ones;
//! - Q5: one group more, whose bit g is bit 4 of column `4 * g + c`;
//! - Q6_K: two groups more, h: bits `2 * i` and `2 * i + 1` are bits 4 and 5 of column `16 * h + 4 * i + c`.
//!
//! Sides, each of sixteen rows: of Q4_0, Q5_0 and Q8_0 a half for each block; of Q4_1 and Q5_1 two
//! halves (scale, minimum); of eight blocks of Q4_K and Q5_K two halves, then for each block a byte
//! of scale and one of minimum; of eight blocks of Q6_K a half, then for each block two bytes of scales.

use std::io;
use std::sync::Arc;

use super::mapping::{FileBytes, Zeroed};
use super::pool::Lead;
use super::split::Split;
use crate::dtype::Dtype;
use crate::weight::Weight;

pub(crate) mod file;
mod strip;

/// Weight rows of a strip.
pub(super) const STRIP: usize = 16;

/// Sizes of a type's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// Bytes of a block's quants: a multiple of 64.
    pub(super) quants: usize,
    /// Bytes of a side.
    pub(super) side: usize,
    /// Blocks that share a side.
    pub(super) sharing: usize,
}

impl Form {
    /// Of a quantised type; of floats, 32 columns.
    pub(super) const fn of(dtype: Dtype) -> Self {
        let (quants, side, sharing) = match dtype {
            Dtype::Q4_0 => (256, 32, 1),
            Dtype::Q4_1 => (256, 64, 1),
            Dtype::Q5_0 => (320, 32, 1),
            Dtype::Q5_1 => (320, 64, 1),
            Dtype::Q4K => (256, 320, 8),
            Dtype::Q5K => (320, 320, 8),
            Dtype::Q6K => (384, 288, 8),
            Dtype::Q8_0 => (512, 32, 1),
            Dtype::F32 => (2048, 0, 1),
            Dtype::F16 | Dtype::Bf16 => (1024, 0, 1),
        };
        Self {
            quants,
            side,
            sharing,
        }
    }

    /// Bytes of a strip of `blocks` blocks.
    pub(super) const fn strip_bytes(self, blocks: usize) -> usize {
        (blocks * self.quants + blocks / self.sharing * self.side).next_multiple_of(64)
    }
}

/// Bytes that `weight` takes when it is packed: a multiple of 64.
pub(crate) fn packed_bytes(weight: &Weight) -> usize {
    size_of_strips(weight.dtype(), weight.rows(), weight.columns())
}

fn size_of_strips(dtype: Dtype, rows: u32, columns: u32) -> usize {
    (rows as usize).div_ceil(STRIP) * strip_bytes(dtype, columns as usize)
}

/// Bytes of a strip of `columns` columns.
fn strip_bytes(dtype: Dtype, columns: usize) -> usize {
    if dtype.is_quantised() {
        return Form::of(dtype).strip_bytes(columns / 32);
    }
    (columns * STRIP * dtype.block_bytes()).next_multiple_of(64)
}

/// Where strips are.
#[derive(Debug)]
enum Memory {
    Own(Zeroed),
    File(FileBytes),
}

/// A packed weight. Copies share the numbers.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    memory: Arc<Memory>,
    start: usize,
    dtype: Dtype,
    rows: usize,
    columns: usize,
}

impl Packed {
    /// Packs `weights` on all threads, into one piece of memory: small ones
    /// would not get large pages each by itself.
    ///
    /// # Errors
    /// What the system says when it has no memory.
    pub(crate) fn all(weights: &[&Weight], lead: &mut Lead<'_>) -> io::Result<Vec<Self>> {
        let bytes: usize = weights.iter().map(|weight| packed_bytes(weight)).sum();
        let mut memory = Zeroed::words(bytes / 4)?;
        let mut rest = memory.bytes_mut();
        for weight in weights {
            let (part, others) = rest.split_at_mut(packed_bytes(weight));
            pack(weight, part, lead);
            weight.forget();
            rest = others;
        }
        let memory = Arc::new(Memory::Own(memory));
        let mut start = 0;
        let mut all = Vec::with_capacity(weights.len());
        for weight in weights {
            all.push(Self {
                memory: Arc::clone(&memory),
                start,
                dtype: weight.dtype(),
                rows: weight.rows() as usize,
                columns: weight.columns() as usize,
            });
            start += packed_bytes(weight);
        }
        Ok(all)
    }

    pub(super) fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Rows of the weight.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of the weight.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    fn strip_bytes(&self) -> usize {
        strip_bytes(self.dtype, self.columns)
    }

    /// Bytes of all strips.
    pub(crate) fn size_bytes(&self) -> usize {
        self.rows.div_ceil(STRIP) * self.strip_bytes()
    }

    /// The bytes of strip `index`, aligned to 64.
    pub(super) fn strip(&self, index: usize) -> &[u8] {
        let size = self.strip_bytes();
        &self.bytes()[index * size..][..size]
    }

    /// All strips.
    fn bytes(&self) -> &[u8] {
        let memory = match &*self.memory {
            Memory::Own(memory) => memory.as_bytes(),
            Memory::File(file) => file.bytes(),
        };
        &memory[self.start..][..self.size_bytes()]
    }
}

/// Packs one weight into zeros.
fn pack(weight: &Weight, to: &mut [u8], lead: &mut Lead<'_>) {
    let columns = weight.columns() as usize;
    let strip_bytes = strip_bytes(weight.dtype(), columns);
    let strips = (weight.rows() as usize).div_ceil(STRIP);
    let split = Split::of(to, strip_bytes);
    let chunks = strips.min(lead.threads() * 8);
    lead.run(chunks, &|chunk, _| {
        for index in strips * chunk / chunks..strips * (chunk + 1) / chunks {
            let mut rows: [&[u8]; STRIP] = [&[]; STRIP];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = weight.row(index * STRIP + i);
            }
            // SAFETY: chunks are disjoint ranges of strips, and each chunk runs once.
            let out = unsafe { split.part(index, 0..strip_bytes) };
            strip::pack(weight.dtype(), &rows, columns, out);
        }
    });
}
