//! Products with quantised weights on AVX-512 VNNI, for few rows of activations.
//!
//! Decides how a quad of four weight rows, unpacked once, meets one to four rows of activations.
//! Lane `4 * row + j` of an accumulator is partial sum j of a weight row, as `reference/matmul.rs`
//! defines it; sums within a block are whole numbers, so their order does not matter.

use std::arch::x86_64::{
    __m512, _MM_HINT_T0, _mm_cvtsi32_si128, _mm_loadu_ps, _mm_loadu_si128, _mm_prefetch,
    _mm512_add_epi32, _mm512_broadcast_f32x4, _mm512_broadcast_i32x4, _mm512_cvtepi32_ps,
    _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_si512, _mm512_mul_ps, _mm512_set1_epi8,
    _mm512_setzero_ps, _mm512_setzero_si512, _mm512_sll_epi32, _mm512_storeu_ps, _mm512_sub_epi32,
};

use super::lanes;
use super::rounded::Quad;
use super::stored::{Centre, Order, Wide};

/// Four rows of weights: whole quads in place, and what remains padded with zeros.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) at: [*const u8; 4],
    pub(super) quads: usize,
    pub(super) tail: Option<[*const u8; 4]>,
    /// Bytes from here to the rows that come next, for prefetching; and of one quad.
    pub(super) ahead: usize,
    pub(super) quad_bytes: usize,
}

/// `out[m][r]` is the product of activations m with weight row r.
///
/// # Safety
/// AVX-512 (F, BW, DQ, VL, VNNI) must be there; `rows.at` must point to `rows.quads` quads of `T`
/// each and `rows.tail` to one; each of `x` must point to a quad for each of these.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) unsafe fn tile<T: Wide, const M: usize>(
    rows: &Rows,
    x: [*const Quad; M],
    out: &mut [[f32; 4]; M],
) {
    let mut sums = [_mm512_setzero_ps(); M];
    let all = rows.quads + usize::from(rows.tail.is_some());
    for quad in 0..all {
        let (at, place) = match rows.tail {
            Some(tail) if quad == rows.quads => (tail, 0),
            _ => (rows.at, quad),
        };
        let next = quad * rows.quad_bytes + rows.ahead;
        for at in rows.at {
            // A prefetch never faults, wherever it points.
            _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(next).cast());
            if rows.quad_bytes > 64 {
                _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(next + 64).cast());
            }
        }
        // SAFETY: the caller's promise; the tail is quad 0 of its own.
        unsafe { step::<T, M>(at, place, quad, x, &mut sums) };
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        let mut lanes = [0.0_f32; 16];
        // SAFETY: the array has sixteen floats.
        unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), sum) };
        for (out, part) in out.iter_mut().zip(lanes.as_chunks::<4>().0) {
            *out = (part[0] + part[1]) + (part[2] + part[3]);
        }
    }
}

/// # Safety
/// As for [`tile`]; `place` is where the quad stands in the activations.
#[inline(always)]
unsafe fn step<T: Wide, const M: usize>(
    rows: [*const u8; 4],
    quad: usize,
    place: usize,
    x: [*const Quad; M],
    sums: &mut [__m512; M],
) {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        // Closures would be compiled without the instructions, so arrays are written out.
        let quants = [
            T::quants(rows[0], quad),
            T::quants(rows[1], quad),
            T::quants(rows[2], quad),
            T::quants(rows[3], quad),
        ];
        let scales = T::scales(rows, quad);
        for (sum, x) in sums.iter_mut().zip(x) {
            let x = &*x.add(place);
            let at = x.bytes.as_ptr();
            let bytes = lanes::arrange(
                T::ORDER,
                [
                    _mm512_loadu_si512(at.cast()),
                    _mm512_loadu_si512(at.add(16).cast()),
                ],
            );
            let zero = _mm512_setzero_si512();
            let mut start = [zero; 2];
            if T::CENTRE == Centre::Halves {
                for (start, bytes) in start.iter_mut().zip(bytes) {
                    let over = _mm512_dpbusd_epi32(zero, _mm512_set1_epi8(32), bytes);
                    *start = _mm512_sub_epi32(zero, over);
                }
            }
            let mut dots = [start; 4];
            for (dots, [low, high]) in dots.iter_mut().zip(quants) {
                dots[0] = _mm512_dpbusd_epi32(dots[0], low, bytes[0]);
                // Of split blocks, both halves go into one sum.
                let start = if T::ORDER == Order::Split {
                    dots[0]
                } else {
                    dots[1]
                };
                dots[1] = _mm512_dpbusd_epi32(start, high, bytes[1]);
            }
            let mut whole = match (T::CENTRE, T::ORDER) {
                (Centre::Halves, _) => lanes::scaled(dots, T::row_scales(rows, quad)),
                (_, Order::Whole) => lanes::whole(dots),
                (_, Order::Crossed) => lanes::crossed(dots),
                (_, Order::Split) => lanes::split([dots[0][1], dots[1][1], dots[2][1], dots[3][1]]),
            };
            if let Centre::Shift(shift) = T::CENTRE {
                let debts = _mm_loadu_si128(x.debts.as_ptr().cast());
                let debts = _mm512_broadcast_i32x4(debts);
                let count = _mm_cvtsi32_si128(shift.cast_signed());
                whole = _mm512_add_epi32(whole, _mm512_sll_epi32(debts, count));
            }
            let x_scales = _mm_loadu_ps(x.scales.as_ptr());
            let factor = _mm512_mul_ps(scales, _mm512_broadcast_f32x4(x_scales));
            *sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), factor, *sum);
            if T::MINIMA {
                let minima = T::minima(rows, quad);
                let moments = _mm_loadu_ps(x.moments.as_ptr());
                *sum = _mm512_fmadd_ps(minima, _mm512_broadcast_f32x4(moments), *sum);
            }
        }
    }
}
