//! `x * transpose(weight) + bias`, on all threads.
//!
//! Decides how the product is cut into strips of sixteen weight rows, which kernel computes a
//! strip, and that weights stream from memory once per group of rows of activations. Refuses to
//! know what the types look like inside.
//!
//! Whatever the kernel, one row's result depends on that row and the weights alone, to the bit.

use super::level::Level;
use super::packed::{Packed, STRIP};
use super::pool::Lead;
use super::split::{Split, WORTH_NS};
use crate::matrix::Matrix;

#[cfg(target_arch = "x86_64")]
mod amx;
mod floats;
mod formats;
mod lanes;
pub(super) mod rounded;
mod strip;
#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, reason = "only AMX reads what is laid out here")
)]
pub(super) mod tall;
mod tile;

/// Weights that share one input, at most.
pub(crate) const MOST_TARGETS: usize = 4;

/// One product of a group.
pub(super) struct Target<'a> {
    pub(super) weight: &'a Packed,
    pub(super) bias: Option<&'a [f32]>,
    pub(super) out: Split<'a, f32>,
}

impl Target<'_> {
    fn strips(&self) -> usize {
        self.weight.rows().div_ceil(STRIP)
    }
}

/// What the products of a group share.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    /// As floats.
    pub(super) x: Matrix<'a>,
    /// Rounded, if a weight is quantised; rows of `rounded_stride` words, zero if none is.
    pub(super) rounded: &'a [u32],
    pub(super) rounded_stride: usize,
    /// The same in tiles, if there are enough rows for them and the processor has such.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "only AMX reads it")
    )]
    pub(super) tall: Option<tall::Tall<'a>>,
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
    let number = if input.rounded_stride > 0 { 2 } else { 4 };
    let group = (GROUP_BYTES / (columns * number)).clamp(32, MOST_ROWS) / 16 * 16;
    let group = group.min(rows);
    let groups = rows.div_ceil(group);
    let strips: usize = targets.iter().flatten().map(Target::strips).sum();
    let items = strips * groups;
    let weights = || targets.iter().flatten().map(|target| target.weight);
    let bytes: usize = weights().map(Packed::size_bytes).sum();
    let outputs: usize = weights().map(Packed::rows).sum();
    let whole_ns = bytes / 12 + outputs * columns / 64 * rows / 4;
    let chunks = (whole_ns / WORTH_NS)
        .min(lead.threads() * CHUNKS)
        .min(items)
        .max(1);
    let work = |chunk: usize, thread: usize| {
        // SAFETY: a thread works on one chunk at a time, and only it asks for its row.
        let scratch = unsafe { scratch.part(thread, 0..scratch_words) };
        let (mut item, end) = (items * chunk / chunks, items * (chunk + 1) / chunks);
        while item < end {
            let first = item / strips * group;
            let rows = first..(first + group).min(rows);
            let mut strip = item % strips;
            for target in targets.iter().flatten() {
                let count = target.strips();
                if strip < count {
                    let some = strip..(strip + end - item).min(strip + SIDE_BY_SIDE).min(count);
                    item += some.len();
                    strip::compute(level, input, rows, target, some, scratch);
                    break;
                }
                strip -= count;
            }
        }
        strip::settle();
    };
    if chunks < 2 || lead.threads() < 2 {
        for chunk in 0..chunks {
            work(chunk, 0);
        }
    } else {
        lead.run(chunks, &work);
    }
}

/// Strips that are read at the same time, at most.
const SIDE_BY_SIDE: usize = 4;

/// Chunks per thread: enough that a slow thread holds no one up for long.
const CHUNKS: usize = 8;

/// Rows of activations of one group, at most.
const MOST_ROWS: usize = 512;

/// Activations of one group, as bytes with their scales or as floats: they share the second-level cache with some
/// strips of weights.
const GROUP_BYTES: usize = 1 << 20;
