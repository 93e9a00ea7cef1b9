//! Eight lanes in a register of AVX2 (with FMA and F16C).

use std::arch::x86_64::{
    __m256, __m256i, _mm_cvtsi32_si128, _mm_loadl_epi64, _mm_loadu_si128, _mm256_abs_epi8,
    _mm256_add_epi32, _mm256_and_si256, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps,
    _mm256_cvtepu8_epi32, _mm256_cvtph_ps, _mm256_fmadd_ps, _mm256_load_si256, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_mul_ps, _mm256_or_si256, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_sign_epi8, _mm256_sll_epi16, _mm256_srl_epi16,
    _mm256_srli_epi16, _mm256_storeu_ps,
};

use super::Lanes;

/// Eight lanes.
pub(in crate::cpu::matmul) struct Avx2;

impl Lanes for Avx2 {
    const ROWS: usize = 8;
    const OFFSET: u32 = 0;
    type Bytes = __m256i;
    type Ints = __m256i;
    type Floats = __m256;

    #[inline(always)]
    unsafe fn bytes(at: *const u8) -> __m256i {
        // SAFETY: the caller's promise; strips are aligned to 64 bytes, and their halves to 32.
        unsafe { _mm256_load_si256(at.cast()) }
    }

    #[inline(always)]
    unsafe fn low(bytes: __m256i) -> __m256i {
        // SAFETY: the caller's promise.
        unsafe { _mm256_and_si256(bytes, _mm256_set1_epi8(15)) }
    }

    #[inline(always)]
    unsafe fn high(bytes: __m256i) -> __m256i {
        // SAFETY: the caller's promise.
        unsafe { _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), _mm256_set1_epi8(15)) }
    }

    #[inline(always)]
    unsafe fn with<const MASK: i8>(bytes: __m256i, more: __m256i, left: i32) -> __m256i {
        // SAFETY: the caller's promise.
        unsafe {
            let shifted = if left >= 0 {
                _mm256_sll_epi16(more, _mm_cvtsi32_si128(left))
            } else {
                _mm256_srl_epi16(more, _mm_cvtsi32_si128(-left))
            };
            _mm256_or_si256(bytes, _mm256_and_si256(shifted, _mm256_set1_epi8(MASK)))
        }
    }

    #[inline(always)]
    unsafe fn all(whole: i32) -> __m256i {
        // SAFETY: the caller's promise.
        unsafe { _mm256_set1_epi32(whole) }
    }

    #[inline(always)]
    unsafe fn dot(sums: __m256i, weights: __m256i, x: *const u32) -> __m256i {
        // SAFETY: the caller's promise. Two products of 6 bits with 7 and a sign fit into 16.
        unsafe {
            let x = _mm256_set1_epi32((*x).cast_signed());
            let pairs = _mm256_maddubs_epi16(weights, x);
            _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }

    #[inline(always)]
    unsafe fn dot_signed(sums: __m256i, weights: __m256i, x: *const u32) -> __m256i {
        // SAFETY: the caller's promise. The sign moves over to the activations, which are never
        // -128; two products of at most 128 * 127 fit into 16 bits.
        unsafe {
            let x = _mm256_set1_epi32((*x).cast_signed());
            let pairs =
                _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(x, weights));
            _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }

    #[inline(always)]
    unsafe fn to_floats(ints: __m256i) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_cvtepi32_ps(ints) }
    }

    #[inline(always)]
    unsafe fn halves(at: *const u8) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(at.cast())) }
    }

    #[inline(always)]
    unsafe fn unsigned(at: *const u8) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(at.cast()))) }
    }

    #[inline(always)]
    unsafe fn signed(at: *const u8) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(at.cast()))) }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn store(floats: __m256, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { _mm256_storeu_ps(to, floats) };
    }
}
