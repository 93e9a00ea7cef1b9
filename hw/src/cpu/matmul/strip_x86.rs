//! Strips of quantised weights on x86.
//!
//! Decides, for AVX-512, from how many rows of activations on a panel pays; pads what does not
//! fill a quad of blocks with zeros, whose scale is zero.

use std::ops::Range;

use super::super::level::{Isa, Level};
use super::rounded::Quad;
use super::stored::{Narrow, Wide};
use super::strip::{put, strip_rows};
use super::{Input, STRIP, Target, narrow as narrow_kernel, panel, rounded, wide as wide_kernel};
use super::{
    q4_0::Q4_0, q4_1::Q4_1, q4_k::Q4K, q5_0::Q5_0, q5_1::Q5_1, q5_k::Q5K, q6_k::Q6K, q8_0::Q8_0,
};
use crate::dtype::Dtype;

/// A strip with AVX-512.
pub(super) fn wide(
    level: Level,
    input: Input<'_>,
    rows: Range<usize>,
    target: &Target<'_>,
    first: usize,
    scratch: &mut [u32],
) {
    let work = match target.weight.dtype() {
        Dtype::Q4_0 => wide_strip::<Q4_0>,
        Dtype::Q4_1 => wide_strip::<Q4_1>,
        Dtype::Q5_0 => wide_strip::<Q5_0>,
        Dtype::Q5_1 => wide_strip::<Q5_1>,
        Dtype::Q4K => wide_strip::<Q4K>,
        Dtype::Q5K => wide_strip::<Q5K>,
        Dtype::Q6K => wide_strip::<Q6K>,
        Dtype::Q8_0 | Dtype::F32 | Dtype::F16 | Dtype::Bf16 => wide_strip::<Q8_0>,
    };
    work(level, input, rows, target, first, scratch);
}

/// A strip with AVX2.
pub(super) fn narrow(
    level: Level,
    input: Input<'_>,
    rows: Range<usize>,
    target: &Target<'_>,
    first: usize,
) {
    let work = match target.weight.dtype() {
        Dtype::Q4_0 => narrow_strip::<Q4_0>,
        Dtype::Q4_1 => narrow_strip::<Q4_1>,
        Dtype::Q5_0 => narrow_strip::<Q5_0>,
        Dtype::Q5_1 => narrow_strip::<Q5_1>,
        Dtype::Q4K => narrow_strip::<Q4K>,
        Dtype::Q5K => narrow_strip::<Q5K>,
        Dtype::Q6K => narrow_strip::<Q6K>,
        Dtype::Q8_0 | Dtype::F32 | Dtype::F16 | Dtype::Bf16 => narrow_strip::<Q8_0>,
    };
    work(level, input, rows, target, first);
}

/// From so many rows on, unpacking into a panel costs less than adding across lanes for each.
const PANEL_FROM: usize = 4;

/// The bytes of a quad's four blocks of the largest type that does not come in blocks of 256.
const TAIL: usize = 4 * 34;

/// Whole quads of a row, and where the rest starts.
fn quads_of<T: super::stored::Stored>(row_bytes: usize) -> (usize, usize) {
    let size = T::DTYPE.block_bytes();
    let blocks = row_bytes / size * (T::DTYPE.block_len() / 32);
    let quads = blocks / 4;
    (quads, quads * 4 / (T::DTYPE.block_len() / 32) * size)
}

/// The last blocks of a row with zeros after them.
fn padded(row: &[u8], from: usize) -> [u8; TAIL] {
    let mut tail = [0; TAIL];
    for (to, byte) in tail.iter_mut().zip(&row[from..]) {
        *to = *byte;
    }
    tail
}

/// Where rounded rows begin.
#[inline(always)]
fn starts<const M: usize>(rows: [&[Quad]; M]) -> [*const Quad; M] {
    let mut starts = [std::ptr::null(); M];
    for (start, row) in starts.iter_mut().zip(rows) {
        *start = row.as_ptr();
    }
    starts
}

fn wide_strip<T: Wide>(
    level: Level,
    input: Input<'_>,
    rows: Range<usize>,
    target: &Target<'_>,
    first: usize,
    scratch: &mut [u32],
) {
    if level.isa() != Isa::Avx512 {
        return;
    }
    if rows.len() >= PANEL_FROM {
        let blocks = rounded::blocks_of(input.x.width);
        if let Some(panel) = panel::Panel::over(scratch, blocks) {
            return panel_strip::<T>(input, rows, target, first, panel);
        }
    }
    let mut row = rows.start;
    while row < rows.end {
        let count = (rows.end - row).min(WIDE_ROWS);
        let mut sums = [[0.0; STRIP]; WIDE_ROWS];
        match count {
            1 => wide_tiles::<T, 1>(target, first, input.rounded_rows(row), &mut sums),
            2 => wide_tiles::<T, 2>(target, first, input.rounded_rows(row), &mut sums),
            _ => wide_tiles::<T, 3>(target, first, input.rounded_rows(row), &mut sums),
        }
        for (m, sums) in sums.iter().enumerate().take(count) {
            put(target, row + m, first, sums);
        }
        row += count;
    }
}

/// Rows of activations that go without a panel.
const WIDE_ROWS: usize = PANEL_FROM - 1;

/// All weight rows of a strip, four at a time.
fn wide_tiles<T: Wide, const M: usize>(
    target: &Target<'_>,
    first: usize,
    x: [&[Quad]; M],
    sums: &mut [[f32; STRIP]; WIDE_ROWS],
) {
    let weights = strip_rows(target, first);
    let count = target.weight.rows() as usize - first;
    let row_bytes = target.weight.row_bytes();
    let (quads, rest) = quads_of::<T>(row_bytes);
    let x = starts(x);
    for (i, four) in weights.as_chunks::<4>().0.iter().enumerate() {
        if i * 4 >= count {
            break;
        }
        let tails = (rest < row_bytes).then(|| four.map(|row| padded(row, rest)));
        let rows = wide_kernel::Rows {
            at: four.map(<[u8]>::as_ptr),
            quads,
            tail: tails
                .as_ref()
                .map(|tails| std::array::from_fn(|r| tails[r].as_ptr())),
            ahead: 4 * row_bytes,
            quad_bytes: T::DTYPE.block_bytes() * 128 / T::DTYPE.block_len(),
        };
        let mut out = [[0.0; 4]; M];
        // SAFETY: only reached for a level of AVX-512; the rows are whole rows of the weight,
        // whose quads were counted from their length, the tails have room for a quad, and rounded
        // rows have as many blocks as the weight's columns make, rounded up to quads.
        unsafe { wide_kernel::tile::<T, M>(&rows, x, &mut out) };
        for (sums, out) in sums.iter_mut().zip(out) {
            sums[i * 4..i * 4 + 4].copy_from_slice(&out);
        }
    }
}

fn panel_strip<T: Wide>(
    input: Input<'_>,
    rows: Range<usize>,
    target: &Target<'_>,
    first: usize,
    panel: panel::Panel,
) {
    let weights = strip_rows(target, first);
    let row_bytes = target.weight.row_bytes();
    let (quads, rest) = quads_of::<T>(row_bytes);
    let at = weights.map(<[u8]>::as_ptr);
    for quad in 0..quads {
        // SAFETY: reached for AVX-512 only; each row has so many quads, and the panel was made for
        // as many blocks as the columns make.
        unsafe { panel::fill::<T>(panel, &at, quad, quad) };
    }
    let mut all = quads;
    if rest < row_bytes {
        let tails = weights.map(|row| padded(row, rest));
        let at: [*const u8; panel::ROWS] = std::array::from_fn(|r| tails[r].as_ptr());
        // SAFETY: as above; each tail has room for a quad, and the panel for a padded one.
        unsafe { panel::fill::<T>(panel, &at, 0, quads) };
        all += 1;
    }
    let mut row = rows.start;
    while row < rows.end {
        row += match rows.end - row {
            1 => panel_tile::<T, 1>(panel, all, input, row, target, first),
            2 | 3 => panel_tile::<T, 2>(panel, all, input, row, target, first),
            4..8 => panel_tile::<T, 4>(panel, all, input, row, target, first),
            _ => panel_tile::<T, 8>(panel, all, input, row, target, first),
        };
    }
}

fn panel_tile<T: Wide, const M: usize>(
    panel: panel::Panel,
    quads: usize,
    input: Input<'_>,
    row: usize,
    target: &Target<'_>,
    column: usize,
) -> usize {
    let mut out = [[0.0; panel::ROWS]; M];
    let x = starts(input.rounded_rows(row));
    // SAFETY: reached for AVX-512 only; the panel has just been filled for so many quads, and
    // rounded rows have as many.
    unsafe { panel::tile::<T, M>(panel, quads, x, &mut out) };
    for (m, sums) in out.iter().enumerate() {
        put(target, row + m, column, sums);
    }
    M
}

fn narrow_strip<T: Narrow>(
    level: Level,
    input: Input<'_>,
    rows: Range<usize>,
    target: &Target<'_>,
    first: usize,
) {
    if level.isa() != Isa::Avx2 {
        return;
    }
    let weights = strip_rows(target, first);
    let count = target.weight.rows() as usize - first;
    let row_bytes = target.weight.row_bytes();
    let (quads, rest) = quads_of::<T>(row_bytes);
    for (i, weights) in weights.iter().enumerate().take(count) {
        let tail = (rest < row_bytes).then(|| padded(weights, rest));
        let weight_row = narrow_kernel::Row {
            at: weights.as_ptr(),
            quads,
            tail: tail.as_ref().map(|tail| tail.as_ptr()),
        };
        let mut row = rows.start;
        while row < rows.end {
            row += match rows.end - row {
                1 => narrow_tile::<T, 1>(weight_row, input, row, target, first + i),
                2 | 3 => narrow_tile::<T, 2>(weight_row, input, row, target, first + i),
                _ => narrow_tile::<T, 4>(weight_row, input, row, target, first + i),
            };
        }
    }
}

fn narrow_tile<T: Narrow, const M: usize>(
    weights: narrow_kernel::Row,
    input: Input<'_>,
    row: usize,
    target: &Target<'_>,
    column: usize,
) -> usize {
    let mut out = [0.0; M];
    let x = starts(input.rounded_rows(row));
    // SAFETY: only reached for a level of AVX2; the row is a whole row of the weight, whose quads
    // were counted from its length, the tail has room for a quad, and rounded rows have as many
    // blocks as the weight's columns make, rounded up to quads.
    unsafe { narrow_kernel::tile::<T, M>(weights, x, &mut out) };
    for (m, sum) in out.iter().enumerate() {
        put(target, row + m, column, &[*sum]);
    }
    M
}
