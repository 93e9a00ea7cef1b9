//! Sixteen lanes in a register of AVX-512 (F, BW, VNNI).

use std::arch::x86_64::{
    __m512, __m512i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm256_loadu_si256, _mm512_and_si512,
    _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps, _mm512_cvtepu8_epi32, _mm512_cvtph_ps,
    _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_load_si512, _mm512_mul_ps, _mm512_set1_epi8,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_sll_epi16, _mm512_srl_epi16, _mm512_srli_epi16,
    _mm512_storeu_ps, _mm512_ternarylogic_epi32, _mm512_xor_si512,
};

use super::Lanes;

/// Sixteen lanes. `dpbusd` wants one side unsigned, so signed weights are moved up by 128.
pub(in crate::cpu::matmul) struct Avx512;

impl Lanes for Avx512 {
    const ROWS: usize = 16;
    const OFFSET: u32 = 7;
    type Bytes = __m512i;
    type Ints = __m512i;
    type Floats = __m512;

    #[inline(always)]
    unsafe fn bytes(at: *const u8) -> __m512i {
        // SAFETY: the caller's promise; strips are aligned to 64 bytes, and so are their groups.
        unsafe { _mm512_load_si512(at.cast()) }
    }

    #[inline(always)]
    unsafe fn low(bytes: __m512i) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe { _mm512_and_si512(bytes, _mm512_set1_epi8(15)) }
    }

    #[inline(always)]
    unsafe fn high(bytes: __m512i) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe { _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), _mm512_set1_epi8(15)) }
    }

    #[inline(always)]
    unsafe fn with<const MASK: i8>(bytes: __m512i, more: __m512i, left: i32) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe {
            let shifted = if left >= 0 {
                _mm512_sll_epi16(more, _mm_cvtsi32_si128(left))
            } else {
                _mm512_srl_epi16(more, _mm_cvtsi32_si128(-left))
            };
            // a | b & c.
            _mm512_ternarylogic_epi32::<0xf8>(bytes, shifted, _mm512_set1_epi8(MASK))
        }
    }

    #[inline(always)]
    unsafe fn all(whole: i32) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe { _mm512_set1_epi32(whole) }
    }

    #[inline(always)]
    unsafe fn dot(sums: __m512i, weights: __m512i, x: *const u32) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe { _mm512_dpbusd_epi32(sums, weights, _mm512_set1_epi32((*x).cast_signed())) }
    }

    #[inline(always)]
    unsafe fn dot_signed(sums: __m512i, weights: __m512i, x: *const u32) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe { Self::dot(sums, _mm512_xor_si512(weights, _mm512_set1_epi8(-128)), x) }
    }

    #[inline(always)]
    unsafe fn to_floats(ints: __m512i) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_cvtepi32_ps(ints) }
    }

    #[inline(always)]
    unsafe fn halves(at: *const u8) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(at.cast())) }
    }

    #[inline(always)]
    unsafe fn unsigned(at: *const u8) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(at.cast()))) }
    }

    #[inline(always)]
    unsafe fn signed(at: *const u8) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(at.cast()))) }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn store(floats: __m512, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_ps(to, floats) };
    }
}
