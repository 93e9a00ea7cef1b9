//! Rounded activations as tiles want them.
//!
//! Decides that sixteen rows make a tile, in which a block of all sixteen lies in one piece: bytes row
//! after row, then scales, then moments. Refuses to know who reads them.

use super::rounded;
use crate::cpu::level::{Isa, Level};
use crate::cpu::mapping::Zeroed;
use crate::cpu::pool::Lead;
use crate::cpu::split::for_each_row;

/// Rows of activations of a tile.
pub(super) const ROWS: usize = 16;

/// From so many rows on a tile costs less than their rows one after the other.
const FROM: usize = 8;

/// Words of a block of a tile: 32 bytes of each row, scales and moments.
pub(super) const BLOCK_WORDS: usize = ROWS * 8 + 2 * ROWS;

/// All tiles: of tile t from `t * stride` on, block after block.
#[derive(Clone, Copy, Debug)]
pub(in crate::cpu) struct Tall<'a> {
    words: &'a [u32],
    stride: usize,
}

impl<'a> Tall<'a> {
    /// The tile that begins with row `row`, a multiple of 16. What it says of rows that are not there
    /// means nothing.
    pub(super) fn tile(&self, row: usize) -> &'a [u32] {
        &self.words[row / ROWS * self.stride..][..self.stride]
    }

    /// Whether so many rows are worth a tile.
    pub(super) fn worth(rows: usize) -> bool {
        rows >= FROM
    }
}

/// Words that [`fill`] needs.
pub(in crate::cpu) fn words(level: Level, rows: usize, columns: usize) -> usize {
    if level.isa() != Isa::Amx || rows < FROM {
        return 0;
    }
    rows.div_ceil(ROWS) * rounded::blocks_of(columns) * BLOCK_WORDS
}

/// Words that each thread needs for the tiles of two strips.
pub(in crate::cpu) fn scratch_words(level: Level, rows: usize) -> usize {
    if level.isa() != Isa::Amx || rows < FROM {
        return 0;
    }
    let tiles = rows.min(super::MOST_ROWS).div_ceil(ROWS);
    PRODUCT_WORDS + 2 * (CHUNK * 128 + tiles * SUM_WORDS)
}

/// Words of the products of four blocks of two tiles with two strips.
pub(super) const PRODUCT_WORDS: usize = 16 * SUM_WORDS;

/// Words of one tile of sums.
pub(super) const SUM_WORDS: usize = ROWS * 16;

/// Blocks of weights that all rows meet before the next: two strips of them stay in the first-level cache
/// with two tiles of activations and their products.
pub(super) const CHUNK: usize = 8;

/// Lays out `rows` rows of `rounded`, if there are enough of them.
pub(in crate::cpu) fn fill<'a>(
    lead: &mut Lead<'_>,
    level: Level,
    rounded: &[u32],
    rounded_stride: usize,
    rows: usize,
    to: &'a mut Zeroed,
) -> Option<Tall<'a>> {
    if level.isa() != Isa::Amx || rows < FROM {
        return None;
    }
    let quads = rounded_stride / (4 * rounded::BLOCK_WORDS);
    let stride = quads * 4 * BLOCK_WORDS;
    let shape = [rows.div_ceil(ROWS), stride, stride];
    for_each_row(lead, to.u32_mut(), shape, stride * 2, &|tile, out| {
        for r in 0..ROWS.min(rows - tile * ROWS) {
            let row = &rounded[(tile * ROWS + r) * rounded_stride..][..rounded_stride];
            let blocks = out.as_chunks_mut::<{ 4 * BLOCK_WORDS }>().0;
            for (quad, blocks) in rounded::quads(row).iter().zip(blocks) {
                let parts = blocks.as_chunks_mut::<BLOCK_WORDS>().0.iter_mut();
                for (place, block) in parts.enumerate() {
                    block[r * 8..r * 8 + 8].copy_from_slice(&quad.bytes[place * 8..place * 8 + 8]);
                    block[ROWS * 8 + r] = quad.scales[place].to_bits();
                    block[ROWS * 9 + r] = quad.moments[place].to_bits();
                }
            }
        }
    });
    Some(Tall {
        words: to.u32(),
        stride,
    })
}
