//! `x * transpose(weight) + bias`, on all threads.
//!
//! Decides how the product is cut into strips of sixteen weight rows, which kernel computes a
//! strip, and that weights stream from memory once per group of rows of activations. Refuses to
//! know what the types look like inside.
//!
//! Whatever the kernel, one row's result depends on that row and the weights alone, to the bit.

use super::level::{Isa, Level};
use super::pool::Lead;
use super::split::{Split, WORTH_NS};
use crate::matrix::Matrix;
use crate::weight::Weight;

mod any;
#[cfg(target_arch = "x86_64")]
mod gather;
#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod narrow;
#[cfg(target_arch = "x86_64")]
mod nibbles;
#[cfg(target_arch = "x86_64")]
mod panel;
mod plain;
#[cfg(target_arch = "x86_64")]
mod q4_0;
#[cfg(target_arch = "x86_64")]
mod q4_1;
#[cfg(target_arch = "x86_64")]
mod q4_k;
#[cfg(target_arch = "x86_64")]
mod q5_0;
#[cfg(target_arch = "x86_64")]
mod q5_1;
#[cfg(target_arch = "x86_64")]
mod q5_k;
#[cfg(target_arch = "x86_64")]
mod q6_k;
#[cfg(target_arch = "x86_64")]
mod q8_0;
pub(super) mod rounded;
#[cfg(target_arch = "x86_64")]
mod stored;
mod strip;
#[cfg(target_arch = "x86_64")]
mod strip_x86;
#[cfg(target_arch = "x86_64")]
mod wide;

/// Weights that share one input, at most.
pub(crate) const MOST_TARGETS: usize = 4;

/// One product of a group.
pub(super) struct Target<'a> {
    pub(super) weight: &'a Weight,
    pub(super) bias: Option<&'a [f32]>,
    pub(super) out: Split<'a, f32>,
}

/// What the products of a group share.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    /// As floats.
    pub(super) x: Matrix<'a>,
    /// Rounded, if a weight is quantised; rows of `rounded_stride` words.
    pub(super) rounded: &'a [u32],
    pub(super) rounded_stride: usize,
}

impl<'a> Input<'a> {
    fn rounded_row(&self, row: usize) -> &'a [rounded::Quad] {
        rounded::quads(&self.rounded[row * self.rounded_stride..][..self.rounded_stride])
    }

    /// `M` rounded rows from `row` on. (`array::from_fn` is not compiled into its caller here.)
    #[inline(always)]
    fn rounded_rows<const M: usize>(&self, row: usize) -> [&'a [rounded::Quad]; M] {
        let mut rows = [&[][..]; M];
        for (m, to) in rows.iter_mut().enumerate() {
            *to = self.rounded_row(row + m);
        }
        rows
    }
}

/// Words that each thread needs for weights of `columns` columns.
pub(super) fn scratch_words(level: Level, columns: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        let blocks = rounded::blocks_of(columns);
        if level.isa() == Isa::Avx512 && blocks <= panel::MOST_BLOCKS {
            return blocks * panel::BLOCK_WORDS;
        }
    }
    let _ = (level, columns);
    0
}

/// Computes all of `targets`; `scratch` has a row for each thread.
pub(super) fn run(
    lead: &mut Lead<'_>,
    level: Level,
    input: Input<'_>,
    targets: &[Option<Target<'_>>],
    scratch: &Split<'_, u32>,
    scratch_words: usize,
) {
    let rows = input.x.rows;
    if rows == 0 {
        return;
    }
    let columns = input.x.width.max(1);
    let group = (GROUP_BYTES / (columns * 4)).clamp(32, 512).min(rows);
    let groups = rows.div_ceil(group);
    let strips: usize = targets.iter().flatten().map(strips_of).sum();
    let items = strips * groups;
    let bytes: u64 = targets.iter().flatten().map(|t| t.weight.bytes()).sum();
    let outputs: usize = targets
        .iter()
        .flatten()
        .map(|t| t.weight.rows() as usize)
        .sum();
    let whole_ns =
        usize::try_from(bytes / 12).unwrap_or(usize::MAX) + outputs * columns / 64 * rows / 4;
    let chunks = (whole_ns / WORTH_NS)
        .min(lead.threads() * CHUNKS)
        .min(items)
        .max(1);
    let work = |chunk: usize, thread: usize| {
        // SAFETY: a thread works on one chunk at a time, and only it asks for its row.
        let scratch = unsafe { scratch.part(thread, 0..scratch_words) };
        for item in items * chunk / chunks..items * (chunk + 1) / chunks {
            let first = item / strips * group;
            let last = (first + group).min(rows);
            let mut strip = item % strips;
            for target in targets.iter().flatten() {
                let count = strips_of(target);
                if strip < count {
                    strip::compute(level, input, first..last, target, strip * STRIP, scratch);
                    break;
                }
                strip -= count;
            }
        }
    };
    if chunks < 2 || lead.threads() < 2 {
        for chunk in 0..chunks {
            work(chunk, 0);
        }
    } else {
        lead.run(chunks, &work);
    }
}

/// Weight rows of a strip.
const STRIP: usize = 16;

/// Chunks per thread: enough that a slow thread holds no one up for long.
const CHUNKS: usize = 8;

/// Activations of one group, as floats: with their rounded form they share the second-level cache
/// with a strip of weights.
const GROUP_BYTES: usize = 1 << 20;

fn strips_of(target: &Target<'_>) -> usize {
    (target.weight.rows() as usize).div_ceil(STRIP)
}
