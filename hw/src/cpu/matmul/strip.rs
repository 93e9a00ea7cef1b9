//! One strip of weight rows with one group of rows of activations.
//!
//! Decides the kernel, and how rows of activations are dealt into tiles.

use std::ops::Range;

use super::super::level::Level;
#[cfg(target_arch = "x86_64")]
use super::amx;
use super::formats::{Format, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0};
use super::tile::{self, Strip};
use super::{Input, Target, floats};
use crate::cpu::packed::STRIP;
use crate::dtype::Dtype;

/// Computes strips `strips` of the weight for `rows` of the input.
pub(super) fn compute(
    level: Level,
    input: Input<'_>,
    rows: Range<usize>,
    target: &Target<'_>,
    strips: Range<usize>,
    scratch: &mut [u32],
) {
    let work = match target.weight.dtype() {
        Dtype::F32 | Dtype::F16 | Dtype::Bf16 => {
            return floats(level, input, rows, target, strips);
        }
        Dtype::Q4_0 => quantised::<Q4_0>,
        Dtype::Q4_1 => quantised::<Q4_1>,
        Dtype::Q5_0 => quantised::<Q5_0>,
        Dtype::Q5_1 => quantised::<Q5_1>,
        Dtype::Q4K => quantised::<Q4K>,
        Dtype::Q5K => quantised::<Q5K>,
        Dtype::Q6K => quantised::<Q6K>,
        Dtype::Q8_0 => quantised::<Q8_0>,
    };
    work(level, input, rows, target, strips, scratch);
}

fn quantised<F: Format>(
    level: Level,
    input: Input<'_>,
    rows: Range<usize>,
    target: &Target<'_>,
    strips: Range<usize>,
    scratch: &mut [u32],
) {
    let beyond = rows.len() >= BEYOND;
    let of = |index| Strip {
        bytes: target.weight.strip(index),
        blocks: target.weight.columns() / 32,
    };
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(unused_mut, reason = "only AMX takes rows before the others")
    )]
    let mut first = rows.start;
    #[cfg(target_arch = "x86_64")]
    if let Some(tall) = input.tall {
        let mut index = strips.start;
        while index < strips.end {
            let mut put = |row: usize, s: usize, sums: &[f32]| {
                put(target, row, (index + s) * STRIP, sums, beyond);
            };
            let rows = rows.clone();
            if index + 1 < strips.end {
                let two = [of(index), of(index + 1)];
                first = amx::strips::<F, 2>(level, tall, rows, two, scratch, &mut put);
            } else {
                first = amx::strips::<F, 1>(level, tall, rows, [of(index)], scratch, &mut put);
            }
            index += 2;
        }
    }
    let _ = scratch;
    let mut index = strips.start;
    while index < strips.end {
        let job = Job {
            level,
            input,
            target,
            index,
            beyond,
        };
        let rows = first..rows.end;
        index += match (rows.len(), strips.end - index) {
            (1, 4..) => few::<F, 4, 1>(
                job,
                rows,
                [of(index), of(index + 1), of(index + 2), of(index + 3)],
            ),
            (1, 2 | 3) => few::<F, 2, 1>(job, rows, [of(index), of(index + 1)]),
            (2, 2..) => few::<F, 2, 2>(job, rows, [of(index), of(index + 1)]),
            _ => many::<F>(job, rows, of(index)),
        };
    }
}

/// What tiles of a product share.
#[derive(Clone, Copy)]
struct Job<'a> {
    level: Level,
    input: Input<'a>,
    target: &'a Target<'a>,
    /// The first strip.
    index: usize,
    /// Whether results go to memory past the caches.
    beyond: bool,
}

/// Several strips with the few rows that there are.
fn few<F: Format, const S: usize, const M: usize>(
    job: Job<'_>,
    rows: Range<usize>,
    strips: [Strip<'_>; S],
) -> usize {
    let mut out = [[[0.0; STRIP]; M]; S];
    let x = job.input.rounded_rows(rows.start);
    tile::compute::<F, S, M>(job.level, strips, x, &mut out);
    for (s, out) in out.iter().enumerate() {
        for (m, sums) in out.iter().enumerate() {
            let column = (job.index + s) * STRIP;
            put(job.target, rows.start + m, column, sums, job.beyond);
        }
    }
    S
}

/// One strip with all rows.
fn many<F: Format>(job: Job<'_>, rows: Range<usize>, strip: Strip<'_>) -> usize {
    let mut row = rows.start;
    while row < rows.end {
        let left = row..rows.end;
        row += match left.len() {
            1 => tile::<F, 1>(job, left, strip),
            2 => tile::<F, 2>(job, left, strip),
            3 => tile::<F, 3>(job, left, strip),
            4..8 => tile::<F, 4>(job, left, strip),
            _ => tile::<F, 8>(job, left, strip),
        };
    }
    1
}

fn tile<F: Format, const M: usize>(job: Job<'_>, rows: Range<usize>, strip: Strip<'_>) -> usize {
    few::<F, 1, M>(job, rows, [strip]);
    M
}

/// Results of so many rows are written past the caches: a line of each row at a time, rows a large power
/// of two apart, would push each other out of the first two, and are read by another op much later.
const BEYOND: usize = 128;

/// Writes sums of weight rows from `column` on into row `row` of the result, with the bias.
fn put(target: &Target<'_>, row: usize, column: usize, sums: &[f32], beyond: bool) {
    let end = (column + sums.len()).min(target.weight.rows());
    // SAFETY: strips and groups are disjoint, each is computed by one thread, and the part ends
    // with this call.
    let out = unsafe { target.out.part(row, column..end) };
    let mut biased = [0.0; STRIP];
    let sums = match target.bias {
        Some(bias) => {
            for ((out, sum), bias) in biased.iter_mut().zip(sums).zip(&bias[column..]) {
                *out = sum + bias;
            }
            &biased[..sums.len()]
        }
        None => sums,
    };
    if beyond && write_beyond(out, sums) {
        return;
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = *sum;
    }
}

/// Makes what was written past the caches visible before anything that follows.
pub(super) fn settle() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every processor of this architecture has the instruction.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

/// Writes one whole line past the caches, if `out` is one.
#[inline(always)]
fn write_beyond(out: &mut [f32], sums: &[f32]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if let Some(sums) = sums.first_chunk::<STRIP>()
        && out.len() == STRIP
        && out.as_ptr().addr().is_multiple_of(64)
    {
        use std::arch::x86_64::{_mm_loadu_ps, _mm_stream_ps};
        for place in (0..STRIP).step_by(4) {
            // SAFETY: every processor of this architecture has the instructions; both sides have
            // sixteen floats, and `out` is aligned.
            unsafe {
                let four = _mm_loadu_ps(sums.as_ptr().add(place));
                _mm_stream_ps(out.as_mut_ptr().add(place), four);
            }
        }
        return true;
    }
    let _ = (out, sums);
    false
}

fn floats(
    level: Level,
    input: Input<'_>,
    rows: Range<usize>,
    target: &Target<'_>,
    strips: Range<usize>,
) {
    let beyond = rows.len() >= BEYOND;
    let mut all: [&[u8]; floats::STRIPS] = [&[]; floats::STRIPS];
    for first in strips.clone().step_by(floats::STRIPS) {
        let count = (strips.end - first).min(floats::STRIPS);
        for (s, strip) in all.iter_mut().take(count).enumerate() {
            *strip = target.weight.strip(first + s);
        }
        let mut row = rows.start;
        while row < rows.end {
            let mut x: [&[f32]; floats::ROWS] = [&[]; floats::ROWS];
            let more = (rows.end - row).min(floats::ROWS);
            for (m, x) in x.iter_mut().take(more).enumerate() {
                *x = input.x.row(row + m);
            }
            let mut out = [[[0.0; STRIP]; floats::STRIPS]; floats::ROWS];
            let dtype = target.weight.dtype();
            floats::tile(level, dtype, &all[..count], &x[..more], &mut out);
            for (m, out) in out.iter().take(more).enumerate() {
                for (s, sums) in out.iter().take(count).enumerate() {
                    put(target, row + m, (first + s) * STRIP, sums, beyond);
                }
            }
            row += more;
        }
    }
}
