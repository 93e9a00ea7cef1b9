//! Products with quantised weights on AVX-512 VNNI, for few rows of activations.
//!
//! Decides how a quad of four weight rows, unpacked once, meets one to four rows of activations.
//! Lane `4 * row + j` of an accumulator is partial sum j of a weight row, as `reference/matmul.rs`
//! defines it; sums within a block are whole numbers, so their order does not matter.

use std::arch::x86_64::{
    __m512, __m512i, _MM_HINT_T0, _mm_cvtsi32_si128, _mm_loadu_ps, _mm_loadu_si128, _mm_prefetch,
    _mm512_add_epi32, _mm512_broadcast_f32x4, _mm512_broadcast_i32x4, _mm512_cvtepi32_ps,
    _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_si512, _mm512_madd_epi16, _mm512_mul_ps,
    _mm512_permutexvar_epi32, _mm512_set_epi32, _mm512_setzero_ps, _mm512_setzero_si512,
    _mm512_shuffle_i32x4, _mm512_sll_epi32, _mm512_slli_epi32, _mm512_storeu_ps, _mm512_sub_epi32,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::rounded::Rounded;
use super::stored::{Centre, Wide};

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
/// each and `rows.tail` to one; each of `x` must have a quad of blocks for each of these.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) unsafe fn tile<T: Wide, const M: usize>(
    rows: &Rows,
    x: [Rounded<'_>; M],
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
    x: [Rounded<'_>; M],
    sums: &mut [__m512; M],
) {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let (quants, scales) = (
            [
                T::quants(rows[0], quad),
                T::quants(rows[1], quad),
                T::quants(rows[2], quad),
                T::quants(rows[3], quad),
            ],
            T::scales(rows, quad),
        );
        let halves = T::CENTRE == Centre::Halves;
        let mut weights = [[_mm512_setzero_si512(); 2]; 4];
        if halves {
            for (weights, row) in weights.iter_mut().zip(rows) {
                *weights = T::lane_scales(row, quad);
            }
        }
        for (sum, x) in sums.iter_mut().zip(x) {
            let (bytes, x_scales, moments, debts, x_halves) = {
                let bytes = x.bytes.as_ptr().add(place * 32);
                (
                    [
                        _mm512_loadu_si512(bytes.cast()),
                        _mm512_loadu_si512(bytes.add(16).cast()),
                    ],
                    _mm_loadu_ps(x.scales.as_ptr().add(place * 4).cast()),
                    _mm_loadu_ps(x.moments.as_ptr().add(place * 4).cast()),
                    _mm_loadu_si128(x.debts.as_ptr().add(place * 4).cast()),
                    _mm_loadu_si128(x.halves.as_ptr().add(place * 4).cast()),
                )
            };
            let mut dots = [[_mm512_setzero_si512(); 2]; 4];
            for ((dots, quants), weights) in dots.iter_mut().zip(quants).zip(weights) {
                for i in 0..2 {
                    let dot = _mm512_dpbusd_epi32(_mm512_setzero_si512(), quants[i], bytes[i]);
                    dots[i] = if halves {
                        // Four products of 63 and 127 fit into 16 bits with a sign.
                        _mm512_madd_epi16(dot, weights[i])
                    } else {
                        dot
                    };
                }
            }
            let mut whole = add_lanes(dots);
            match T::CENTRE {
                Centre::Zero => {}
                Centre::Shift(shift) => {
                    let debts = _mm512_broadcast_i32x4(debts);
                    let count = _mm_cvtsi32_si128(shift.cast_signed());
                    whole = _mm512_add_epi32(whole, _mm512_sll_epi32(debts, count));
                }
                Centre::Halves => {
                    let scales = T::half_scales(rows, quad);
                    let over = _mm512_madd_epi16(scales, _mm512_broadcast_i32x4(x_halves));
                    whole = _mm512_sub_epi32(whole, _mm512_slli_epi32::<5>(over));
                }
            }
            let factor = _mm512_mul_ps(scales, _mm512_broadcast_f32x4(x_scales));
            *sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), factor, *sum);
            if T::MINIMA {
                let minima = T::minima(rows, quad);
                *sum = _mm512_fmadd_ps(minima, _mm512_broadcast_f32x4(moments), *sum);
            }
        }
    }
}

/// The sums of eight neighbouring lanes of each of eight registers: lane `4 * row + block`.
#[inline(always)]
unsafe fn add_lanes(dots: [[__m512i; 2]; 4]) -> __m512i {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let mut rows = [_mm512_setzero_si512(); 4];
        for i in 0..4 {
            let [a, b] = dots[i];
            rows[i] = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        }
        let [a, b, c, d] = rows;
        let low = _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
        let high = _mm512_add_epi32(_mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d));
        let (a, b) = (low, high);
        let even = _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b);
        let odd = _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b);
        let order = _mm512_set_epi32(15, 11, 14, 10, 13, 9, 12, 8, 7, 3, 6, 2, 5, 1, 4, 0);
        _mm512_permutexvar_epi32(order, _mm512_add_epi32(even, odd))
    }
}
