//! One strip of weight rows with one group of rows of activations.
//!
//! Decides the kernel, and how rows of activations are dealt into tiles.

use std::ops::Range;

use super::super::level::{Isa, Level};
use super::{Input, STRIP, Target, any, plain};

/// Computes weight rows from `first` on (up to [`STRIP`]) for `rows` of the input.
pub(super) fn compute(
    level: Level,
    input: Input<'_>,
    rows: Range<usize>,
    target: &Target<'_>,
    first: usize,
    scratch: &mut [u32],
) {
    if !target.weight.dtype().is_quantised() {
        return floats(level, input, rows, target, first);
    }
    match level.isa() {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => super::strip_x86::wide(level, input, rows, target, first, scratch),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => super::strip_x86::narrow(level, input, rows, target, first),
        _ => {
            let _ = scratch;
            portable(input, rows, target, first);
        }
    }
}

/// Writes sums of weight rows from `column` on into row `row` of the result, with the bias.
pub(super) fn put(target: &Target<'_>, row: usize, column: usize, sums: &[f32]) {
    let end = (column + sums.len()).min(target.weight.rows() as usize);
    // SAFETY: strips and groups are disjoint, each is computed by one thread, and the part ends
    // with this call.
    let out = unsafe { target.out.part(row, column..end) };
    match target.bias {
        Some(bias) => {
            for ((out, sum), bias) in out.iter_mut().zip(sums).zip(&bias[column..]) {
                *out = sum + bias;
            }
        }
        None => {
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = *sum;
            }
        }
    }
}

/// The weight rows of a strip, the last one again beyond the end.
pub(super) fn strip_rows<'a>(target: &Target<'a>, first: usize) -> [&'a [u8]; STRIP] {
    let last = target.weight.rows() as usize - 1;
    let data = target.weight.data();
    let row_bytes = target.weight.row_bytes();
    let mut rows: [&[u8]; STRIP] = [&[]; STRIP];
    for (i, row) in rows.iter_mut().enumerate() {
        *row = &data[(first + i).min(last) * row_bytes..][..row_bytes];
    }
    rows
}

fn floats(level: Level, input: Input<'_>, rows: Range<usize>, target: &Target<'_>, first: usize) {
    let dtype = target.weight.dtype();
    let count = target.weight.rows() as usize - first;
    let weights = strip_rows(target, first);
    let x = |row: usize| input.x.row(row);
    for (i, weights) in weights
        .as_chunks::<{ plain::TILE_ROWS }>()
        .0
        .iter()
        .enumerate()
    {
        let column = first + i * plain::TILE_ROWS;
        if i * plain::TILE_ROWS >= count {
            break;
        }
        let mut row = rows.start;
        while row + 4 <= rows.end {
            let mut out = [[0.0; plain::TILE_ROWS]; 4];
            let tile = [x(row), x(row + 1), x(row + 2), x(row + 3)];
            plain::tile_4(level, dtype, *weights, tile, &mut out);
            for (m, sums) in out.iter().enumerate() {
                put(target, row + m, column, sums);
            }
            row += 4;
        }
        if row + 2 <= rows.end {
            let mut out = [[0.0; plain::TILE_ROWS]; 2];
            plain::tile_2(level, dtype, *weights, [x(row), x(row + 1)], &mut out);
            for (m, sums) in out.iter().enumerate() {
                put(target, row + m, column, sums);
            }
            row += 2;
        }
        if row < rows.end {
            let mut out = [[0.0; plain::TILE_ROWS]; 1];
            plain::tile_1(level, dtype, *weights, [x(row)], &mut out);
            put(target, row, column, &out[0]);
        }
    }
}

fn portable(input: Input<'_>, rows: Range<usize>, target: &Target<'_>, first: usize) {
    let dtype = target.weight.dtype();
    let last = (first + STRIP).min(target.weight.rows() as usize);
    for column in first..last {
        let weights = target.weight.row(column);
        let mut row = rows.start;
        while row < rows.end {
            let count = any::MOST.min(rows.end - row);
            let x: [_; any::MOST] =
                std::array::from_fn(|i| input.rounded_row((row + i).min(rows.end - 1)));
            let mut out = [0.0; any::MOST];
            any::row(dtype, weights, &x[..count], &mut out);
            for (m, sum) in out[..count].iter().enumerate() {
                put(target, row + m, column, &[*sum]);
            }
            row += count;
        }
    }
}
