//! Sixteen floats in one register of AVX-512.

use std::arch::x86_64::{
    __m512, _CMP_GT_OQ, _CMP_LT_OQ, _mm_loadu_si128, _mm_storeu_si128, _mm256_add_ps,
    _mm256_loadu_si256, _mm256_storeu_si256, _mm512_abs_ps, _mm512_add_epi32, _mm512_add_ps,
    _mm512_castps512_ps256, _mm512_castsi512_ps, _mm512_cmp_ps_mask, _mm512_cvtepi8_epi32,
    _mm512_cvtepi32_epi8, _mm512_cvtepi32_ps, _mm512_cvtepu16_epi32, _mm512_cvtph_ps,
    _mm512_cvtps_epi32, _mm512_cvtps_ph, _mm512_div_ps, _mm512_extractf32x8_ps, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_mask_blend_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps,
    _mm512_reduce_max_ps, _mm512_roundscale_ps, _mm512_scalef_ps, _mm512_set1_epi32,
    _mm512_set1_ps, _mm512_slli_epi32, _mm512_storeu_ps, _mm512_sub_ps,
};

use super::x86_avx2::{NEAREST, sum_8, sum_bytes};
use super::{LANES, Vector};

/// Sixteen floats in a register.
///
/// Every method needs AVX-512 (F, BW, DQ, VL) and AVX2 enabled in the function that it is inlined
/// into. Kernels are only called with this type by the macro `kernel`, from a function that
/// enables them, for a level whose processor was seen to have them.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Avx512(__m512);

impl Vector for Avx512 {
    const MANY: bool = true;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: see the type.
        unsafe { Self(_mm512_set1_ps(x)) }
    }

    #[inline(always)]
    fn load(from: &[f32; LANES]) -> Self {
        // SAFETY: see the type; the array holds what is read, and no alignment is asked for.
        unsafe { Self(_mm512_loadu_ps(from.as_ptr())) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        // SAFETY: see the type; the array holds what is read, and no alignment is asked for.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn load_f32_bytes(from: &[u8; 64]) -> Self {
        // SAFETY: see the type; the array holds what is read, and no alignment is asked for.
        unsafe { Self(_mm512_loadu_ps(from.as_ptr().cast())) }
    }

    #[inline(always)]
    fn load_f16_bytes(from: &[u8; 32]) -> Self {
        // SAFETY: see the type; the array holds what is read, and no alignment is asked for.
        unsafe { Self(_mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn load_bf16_bytes(from: &[u8; 32]) -> Self {
        // SAFETY: see the type; the array holds what is read, and no alignment is asked for.
        unsafe {
            let bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.as_ptr().cast()));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits)))
        }
    }

    #[inline(always)]
    fn load_f16(from: &[u16; LANES]) -> Self {
        // SAFETY: see the type; the array holds what is read, and no alignment is asked for.
        unsafe { Self(_mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn store_f16(self, to: &mut [u16; LANES]) {
        // SAFETY: see the type; the array holds what is read, and no alignment is asked for.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm512_cvtps_ph::<NEAREST>(self.0)) }
    }

    #[inline(always)]
    fn load_i8_bytes(from: &[u8; LANES]) -> Self {
        // SAFETY: see the type; the array holds what is read, and no alignment is asked for.
        unsafe {
            let bytes = _mm_loadu_si128(from.as_ptr().cast());
            Self(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)))
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see the type.
        unsafe { Self(_mm512_add_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: see the type.
        unsafe { Self(_mm512_sub_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: see the type.
        unsafe { Self(_mm512_mul_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        // SAFETY: see the type.
        unsafe { Self(_mm512_div_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn fma(self, by: Self, plus: Self) -> Self {
        // SAFETY: see the type.
        unsafe { Self(_mm512_fmadd_ps(self.0, by.0, plus.0)) }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: see the type.
        unsafe { Self(_mm512_max_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: see the type.
        unsafe { Self(_mm512_min_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: see the type.
        unsafe { Self(_mm512_abs_ps(self.0)) }
    }

    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: see the type.
        unsafe { Self(_mm512_roundscale_ps::<NEAREST>(self.0)) }
    }

    #[inline(always)]
    fn power_of_two(self) -> Self {
        // SAFETY: see the type.
        unsafe {
            let power = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(power)))
        }
    }

    #[inline(always)]
    fn times_power_of_two(self, power: Self) -> Self {
        // SAFETY: see the type.
        unsafe { Self(_mm512_scalef_ps(self.0, power.0)) }
    }

    #[inline(always)]
    fn select_above(self, limit: Self, yes: Self, no: Self) -> Self {
        // SAFETY: see the type.
        unsafe {
            let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, limit.0);
            Self(_mm512_mask_blend_ps(above, no.0, yes.0))
        }
    }

    #[inline(always)]
    fn to_bytes(self) -> ([u32; 4], i32) {
        let mut words = [0; 4];
        // SAFETY: see the type; the array has the 16 bytes that are written.
        unsafe {
            let packed = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(self.0));
            _mm_storeu_si128(words.as_mut_ptr().cast(), packed);
            (words, sum_bytes(packed))
        }
    }

    #[inline(always)]
    fn is_finite(self) -> bool {
        // SAFETY: see the type.
        unsafe {
            let limit = _mm512_set1_ps(f32::INFINITY);
            _mm512_cmp_ps_mask::<_CMP_LT_OQ>(_mm512_abs_ps(self.0), limit) == 0xffff
        }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: see the type.
        unsafe {
            let upper = _mm512_extractf32x8_ps::<1>(self.0);
            sum_8(_mm256_add_ps(_mm512_castps512_ps256(self.0), upper))
        }
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        // SAFETY: see the type.
        unsafe { _mm512_reduce_max_ps(self.0) }
    }
}
