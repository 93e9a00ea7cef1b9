//! Products with quantised weights on AVX2.
//!
//! Decides how a quad of one weight row, unpacked once, meets one to four rows of activations.
//! Sums and their order are those of `reference/matmul.rs`.

use std::arch::x86_64::{
    __m128, __m128i, __m256i, _mm_add_epi32, _mm_cvtepi32_ps, _mm_cvtsi32_si128, _mm_fmadd_ps,
    _mm_loadu_ps, _mm_loadu_si128, _mm_madd_epi16, _mm_mul_ps, _mm_setzero_ps, _mm_sll_epi32,
    _mm_slli_epi32, _mm_storeu_ps, _mm_sub_epi32, _mm256_abs_epi8, _mm256_castsi256_si128,
    _mm256_extracti128_si256, _mm256_hadd_epi32, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_set1_epi16, _mm256_setzero_si256, _mm256_sign_epi8,
};

use super::rounded::Quad;
use super::stored::{Centre, Narrow};

/// One row of weights: whole quads in place, and what remains padded with zeros.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) at: *const u8,
    pub(super) quads: usize,
    pub(super) tail: Option<*const u8>,
}

/// `out[m]` is the product of activations m with the row.
///
/// # Safety
/// AVX2, FMA and F16C must be there; `row.at` must point to `row.quads` quads of `T` and `row.tail`
/// to one; each of `x` must point to a quad for each of these.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn tile<T: Narrow, const M: usize>(
    row: Row,
    x: [*const Quad; M],
    out: &mut [f32; M],
) {
    let mut sums = [_mm_setzero_ps(); M];
    let all = row.quads + usize::from(row.tail.is_some());
    for quad in 0..all {
        let (at, place) = match row.tail {
            Some(tail) if quad == row.quads => (tail, 0),
            _ => (row.at, quad),
        };
        // SAFETY: the caller's promise; the tail is quad 0 of its own.
        unsafe { step::<T, M>(at, place, quad, x, &mut sums) };
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        let mut lanes = [0.0_f32; 4];
        // SAFETY: the array has four floats.
        unsafe { _mm_storeu_ps(lanes.as_mut_ptr(), sum) };
        *out = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    }
}

/// # Safety
/// As for [`tile`]; `place` is where the quad stands in the activations.
#[inline(always)]
unsafe fn step<T: Narrow, const M: usize>(
    row: *const u8,
    quad: usize,
    place: usize,
    x: [*const Quad; M],
    sums: &mut [__m128; M],
) {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let halves = T::CENTRE == Centre::Halves;
        let mut weights = [_mm256_set1_epi16(1); 4];
        let (quants, scales) = {
            if halves {
                weights = T::lane_scales(row, quad);
            }
            (T::quants(row, quad), T::scales(row, quad))
        };
        for (sum, x) in sums.iter_mut().zip(x) {
            let x = &*x.add(place);
            let mut dots = [_mm256_setzero_si256(); 4];
            for i in 0..4 {
                let bytes = {
                    let at = x.bytes.as_ptr().add(i * 8);
                    _mm256_loadu_si256(at.cast())
                };
                // Pairs of products of 128 and 127, or of unsigned 63 and 127, fit into 16 bits.
                let pairs = if T::SIGNED {
                    let signed = _mm256_sign_epi8(bytes, quants[i]);
                    _mm256_maddubs_epi16(_mm256_abs_epi8(quants[i]), signed)
                } else {
                    _mm256_maddubs_epi16(quants[i], bytes)
                };
                dots[i] = _mm256_madd_epi16(pairs, weights[i]);
            }
            let mut whole = add_lanes(dots);
            {
                match T::CENTRE {
                    Centre::Shift(shift) if !T::SIGNED => {
                        let debts = _mm_loadu_si128(x.debts.as_ptr().cast());
                        let debts = _mm_sll_epi32(debts, _mm_cvtsi32_si128(shift.cast_signed()));
                        whole = _mm_add_epi32(whole, debts);
                    }
                    Centre::Halves => {
                        let sums = _mm_loadu_si128(x.halves.as_ptr().cast());
                        let over = _mm_madd_epi16(T::half_scales(row, quad), sums);
                        whole = _mm_sub_epi32(whole, _mm_slli_epi32::<5>(over));
                    }
                    Centre::Zero | Centre::Shift(_) => {}
                }
                let x_scales = _mm_loadu_ps(x.scales.as_ptr());
                let factor = _mm_mul_ps(scales, x_scales);
                *sum = _mm_fmadd_ps(_mm_cvtepi32_ps(whole), factor, *sum);
                if T::MINIMA {
                    let moments = _mm_loadu_ps(x.moments.as_ptr());
                    *sum = _mm_fmadd_ps(T::minima(row, quad), moments, *sum);
                }
            }
        }
    }
}

/// The sums of all lanes of each of four registers.
#[inline(always)]
unsafe fn add_lanes([a, b, c, d]: [__m256i; 4]) -> __m128i {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let four = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
        _mm_add_epi32(
            _mm256_castsi256_si128(four),
            _mm256_extracti128_si256::<1>(four),
        )
    }
}
