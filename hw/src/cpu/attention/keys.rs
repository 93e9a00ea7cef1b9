//! Where blocks of sixteen keys and values lie.
//!
//! Decides addresses only. Keys of a block are stored column by column, sixteen places side by
//! side, so that scores of sixteen places are sums without adding across lanes.

use super::{Element, Shape, Source};
use crate::cache::{BLOCK, GROUP_BYTES};
use crate::cpu::vector::prefetch;
use crate::plan::Facts;

/// Keys and values of one head of one sequence.
#[derive(Clone, Copy)]
pub(in crate::cpu) enum Keys<'a> {
    Single(Blocks<'a, f32>),
    Half(Blocks<'a, u16>),
    Bytes(Blocks<'a, [u8; GROUP_BYTES]>),
}

/// Blocks of sixteen places.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Blocks<'a, E> {
    keys: &'a [E],
    values: &'a [E],
    place: Place<'a>,
    key_width: usize,
    value_width: usize,
}

#[derive(Clone, Copy)]
enum Place<'a> {
    Paged {
        pages: &'a [u32],
        page_tokens: usize,
        kv_heads: usize,
        head: usize,
        /// Whether few tokens walk here and far, so that most of it comes from memory.
        far: bool,
    },
    /// Key block b at `(first + b) * step + head`; value row r at `row + r`.
    Packed {
        first: usize,
        kv_heads: usize,
        head: usize,
        row: usize,
        stride: usize,
        rows: usize,
    },
}

impl<'a> Keys<'a> {
    pub(super) fn of(
        shape: &Shape,
        source: Source<'a>,
        facts: &'a Facts<'_>,
        owner: usize,
        head: usize,
    ) -> Self {
        let sequence = facts.batch.sequences[owner];
        let paged = |page_tokens: u32| Place::Paged {
            pages: sequence.pages,
            page_tokens: page_tokens as usize,
            kv_heads: shape.kv_heads,
            head,
            far: sequence.start >= FAR && (sequence.tokens as usize) < BLOCK,
        };
        let (key_width, value_width) = (shape.key_width, shape.value_width);
        match source {
            Source::Pages(cache, keys, values) => Self::Single(Blocks {
                keys,
                values,
                place: paged(cache.page_tokens()),
                key_width,
                value_width,
            }),
            Source::HalfPages(cache, keys, values) => Self::Half(Blocks {
                keys,
                values,
                place: paged(cache.page_tokens()),
                key_width,
                value_width,
            }),
            Source::BytePages(cache, keys, values) => Self::Bytes(Blocks {
                keys,
                values,
                place: paged(cache.page_tokens()),
                key_width,
                value_width,
            }),
            Source::Rows(keys, values) => Self::Single(Blocks {
                keys,
                values: values.data,
                place: Place::Packed {
                    first: facts.block_firsts[owner] as usize,
                    kv_heads: shape.kv_heads,
                    head,
                    row: facts.firsts[owner] as usize,
                    stride: values.stride,
                    rows: sequence.tokens as usize,
                },
                key_width,
                value_width,
            }),
        }
    }
}

impl<'a, E: Element> Blocks<'a, E> {
    /// Columns of a value.
    pub(super) fn value_width(&self) -> usize {
        self.value_width
    }

    /// The keys of block `block`: for each column sixteen places.
    #[inline(always)]
    pub(super) fn keys(&self, block: usize) -> &'a [E] {
        let start = match self.place {
            Place::Paged {
                pages,
                page_tokens,
                kv_heads,
                head,
                ..
            } => {
                let place = block * BLOCK;
                let page = pages[place / page_tokens] as usize;
                (page * kv_heads + head) * page_tokens + place % page_tokens
            }
            Place::Packed {
                first,
                kv_heads,
                head,
                ..
            } => ((first + block) * kv_heads + head) * BLOCK,
        };
        &self.keys[start * self.key_width / E::NUMBERS..][..BLOCK * self.key_width / E::NUMBERS]
    }

    /// Asks for a block of pages that is read soon, where it is hardly near yet. A head's part of a page is too
    /// short for the processor to see where the next one lies.
    #[inline(always)]
    pub(super) fn ask_for(&self, block: usize) {
        if let Place::Paged { far: true, .. } = self.place {
            ask_for(self.keys(block));
            ask_for(self.values(block).0);
        }
    }

    /// The values of block `block`, with the distance from one place to the next.
    #[inline(always)]
    pub(super) fn values(&self, block: usize) -> (&'a [E], usize) {
        let place = block * BLOCK;
        match self.place {
            Place::Paged {
                pages,
                page_tokens,
                kv_heads,
                head,
                ..
            } => {
                let page = pages[place / page_tokens] as usize;
                let start = (page * kv_heads + head) * page_tokens + place % page_tokens;
                let width = self.value_width;
                let values = &self.values[start * width / E::NUMBERS..];
                (&values[..BLOCK * width / E::NUMBERS], width)
            }
            Place::Packed {
                row,
                stride,
                head,
                rows,
                ..
            } => {
                let count = BLOCK.min(rows - place);
                let start = (row + place) * stride + head * self.value_width;
                let len = (count - 1) * stride + self.value_width;
                (&self.values[start..][..len], stride)
            }
        }
    }
}

/// From so many places on a walk is asked for ahead. At 4096, a decoder of 110 million parameters ran a tenth to a
/// half faster so (a Xeon with AMX); at 128, a twentieth slower.
const FAR: u32 = 1024;

/// Bytes that a processor reads at once.
const LINE_BYTES: usize = 64;

#[inline(always)]
fn ask_for<E>(numbers: &[E]) {
    let bytes: *const u8 = numbers.as_ptr().cast();
    let mut at = 0;
    while at < size_of_val(numbers) {
        prefetch(bytes.wrapping_add(at));
        at += LINE_BYTES;
    }
}
