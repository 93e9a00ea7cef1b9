//! Sixteen floats in two registers of AVX2, with FMA and F16C.

use std::arch::x86_64::{
    __m128i, __m256, _CMP_GT_OQ, _CMP_LT_OQ, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT,
    _mm_add_ps, _mm_add_ss, _mm_cvtsi128_si32, _mm_cvtss_f32, _mm_extract_epi16, _mm_loadl_epi64,
    _mm_loadu_si128, _mm_movehdup_ps, _mm_movehl_ps, _mm_packs_epi16, _mm_sad_epu8, _mm_set1_epi8,
    _mm_setzero_si128, _mm_storeu_si128, _mm_xor_si128, _mm256_add_epi32, _mm256_add_ps,
    _mm256_and_ps, _mm256_andnot_ps, _mm256_blendv_ps, _mm256_castps256_ps128, _mm256_castsi256_ps,
    _mm256_castsi256_si128, _mm256_cmp_ps, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps,
    _mm256_cvtepu16_epi32, _mm256_cvtph_ps, _mm256_cvtps_epi32, _mm256_cvtps_ph, _mm256_div_ps,
    _mm256_extractf128_ps, _mm256_extracti128_si256, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_max_ps, _mm256_min_ps, _mm256_movemask_ps, _mm256_mul_ps, _mm256_packs_epi32,
    _mm256_permute4x64_epi64, _mm256_round_ps, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_slli_epi32, _mm256_storeu_ps, _mm256_sub_ps,
};

use super::{LANES, Vector};

/// Sixteen floats in two registers.
///
/// Every method needs AVX2, FMA and F16C enabled in the function that it is inlined into. Kernels
/// are only called with this type by the macro `kernel`, from a function that enables them, for a
/// level whose processor was seen to have them.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Avx2(__m256, __m256);

/// Rounding to the nearest, halves to even.
pub(super) const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

impl Vector for Avx2 {
    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: see the type.
        unsafe {
            let x = _mm256_set1_ps(x);
            Self(x, x)
        }
    }

    #[inline(always)]
    fn load(from: &[f32; LANES]) -> Self {
        // SAFETY: see the type; the array holds what is read, and no alignment is asked for.
        unsafe {
            let at = from.as_ptr();
            Self(_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(8)))
        }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        // SAFETY: see the type; the array holds what is read, and no alignment is asked for.
        unsafe {
            let at = to.as_mut_ptr();
            _mm256_storeu_ps(at, self.0);
            _mm256_storeu_ps(at.add(8), self.1);
        }
    }

    #[inline(always)]
    fn load_f32_bytes(from: &[u8; 64]) -> Self {
        // SAFETY: see the type; the array holds what is read, and no alignment is asked for.
        unsafe {
            let at: *const f32 = from.as_ptr().cast();
            Self(_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(8)))
        }
    }

    #[inline(always)]
    fn load_f16_bytes(from: &[u8; 32]) -> Self {
        // SAFETY: see the type; the array holds what is read, and no alignment is asked for.
        unsafe {
            let at: *const __m128i = from.as_ptr().cast();
            Self(
                _mm256_cvtph_ps(_mm_loadu_si128(at)),
                _mm256_cvtph_ps(_mm_loadu_si128(at.add(1))),
            )
        }
    }

    #[inline(always)]
    fn load_bf16_bytes(from: &[u8; 32]) -> Self {
        // SAFETY: see the type; the array holds what is read, and no alignment is asked for.
        unsafe {
            let at: *const __m128i = from.as_ptr().cast();
            let widen = |x| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(x)));
            Self(
                widen(_mm_loadu_si128(at)),
                widen(_mm_loadu_si128(at.add(1))),
            )
        }
    }

    #[inline(always)]
    fn load_f16(from: &[u16; LANES]) -> Self {
        // SAFETY: see the type; the array holds what is read, and no alignment is asked for.
        unsafe {
            let at: *const __m128i = from.as_ptr().cast();
            Self(
                _mm256_cvtph_ps(_mm_loadu_si128(at)),
                _mm256_cvtph_ps(_mm_loadu_si128(at.add(1))),
            )
        }
    }

    #[inline(always)]
    fn store_f16(self, to: &mut [u16; LANES]) {
        // SAFETY: see the type; the array holds what is read, and no alignment is asked for.
        unsafe {
            let at: *mut __m128i = to.as_mut_ptr().cast();
            _mm_storeu_si128(at, _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.0));
            _mm_storeu_si128(
                at.add(1),
                _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.1),
            );
        }
    }

    #[inline(always)]
    fn load_i8_bytes(from: &[u8; LANES]) -> Self {
        // SAFETY: see the type; the array holds what is read, and no alignment is asked for.
        unsafe {
            let at = from.as_ptr();
            let low = _mm256_cvtepi8_epi32(_mm_loadl_epi64(at.cast()));
            let high = _mm256_cvtepi8_epi32(_mm_loadl_epi64(at.add(8).cast()));
            Self(_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high))
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see the type.
        unsafe {
            Self(
                _mm256_add_ps(self.0, other.0),
                _mm256_add_ps(self.1, other.1),
            )
        }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: see the type.
        unsafe {
            Self(
                _mm256_sub_ps(self.0, other.0),
                _mm256_sub_ps(self.1, other.1),
            )
        }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: see the type.
        unsafe {
            Self(
                _mm256_mul_ps(self.0, other.0),
                _mm256_mul_ps(self.1, other.1),
            )
        }
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        // SAFETY: see the type.
        unsafe {
            Self(
                _mm256_div_ps(self.0, other.0),
                _mm256_div_ps(self.1, other.1),
            )
        }
    }

    #[inline(always)]
    fn fma(self, by: Self, plus: Self) -> Self {
        // SAFETY: see the type.
        unsafe {
            Self(
                _mm256_fmadd_ps(self.0, by.0, plus.0),
                _mm256_fmadd_ps(self.1, by.1, plus.1),
            )
        }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: see the type.
        unsafe {
            Self(
                _mm256_max_ps(self.0, other.0),
                _mm256_max_ps(self.1, other.1),
            )
        }
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: see the type.
        unsafe {
            Self(
                _mm256_min_ps(self.0, other.0),
                _mm256_min_ps(self.1, other.1),
            )
        }
    }

    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: see the type.
        unsafe {
            let sign = _mm256_set1_ps(-0.0);
            Self(
                _mm256_andnot_ps(sign, self.0),
                _mm256_andnot_ps(sign, self.1),
            )
        }
    }

    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: see the type.
        unsafe {
            Self(
                _mm256_round_ps::<NEAREST>(self.0),
                _mm256_round_ps::<NEAREST>(self.1),
            )
        }
    }

    #[inline(always)]
    fn power_of_two(self) -> Self {
        // SAFETY: see the type.
        unsafe { Self(power_of_two_8(self.0), power_of_two_8(self.1)) }
    }

    #[inline(always)]
    fn select_above(self, limit: Self, yes: Self, no: Self) -> Self {
        // SAFETY: see the type.
        unsafe {
            let low = _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, limit.0);
            let high = _mm256_cmp_ps::<_CMP_GT_OQ>(self.1, limit.1);
            Self(
                _mm256_blendv_ps(no.0, yes.0, low),
                _mm256_blendv_ps(no.1, yes.1, high),
            )
        }
    }

    #[inline(always)]
    fn to_bytes(self) -> ([u32; 4], i32) {
        let mut words = [0; 4];
        // SAFETY: see the type; the array has the 16 bytes that are written.
        unsafe {
            let (low, high) = (_mm256_cvtps_epi32(self.0), _mm256_cvtps_epi32(self.1));
            let shorts = _mm256_packs_epi32(low, high);
            let shorts = _mm256_permute4x64_epi64::<0b11_01_10_00>(shorts);
            let upper = _mm256_extracti128_si256::<1>(shorts);
            let packed = _mm_packs_epi16(_mm256_castsi256_si128(shorts), upper);
            _mm_storeu_si128(words.as_mut_ptr().cast(), packed);
            (words, sum_bytes(packed))
        }
    }

    #[inline(always)]
    fn is_finite(self) -> bool {
        // SAFETY: see the type.
        unsafe {
            let limit = _mm256_set1_ps(f32::INFINITY);
            let magnitude = self.abs();
            let low = _mm256_cmp_ps::<_CMP_LT_OQ>(magnitude.0, limit);
            let high = _mm256_cmp_ps::<_CMP_LT_OQ>(magnitude.1, limit);
            _mm256_movemask_ps(_mm256_and_ps(low, high)) == 0xff
        }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: see the type.
        unsafe { sum_8(_mm256_add_ps(self.0, self.1)) }
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(&mut lanes);
        lanes.iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }
}

/// The sum of eight lanes: l and l + 4, l and l + 2, the last two.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn sum_8(x: __m256) -> f32 {
    let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
    let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn power_of_two_8(x: __m256) -> __m256 {
    let power = _mm256_add_epi32(_mm256_cvtps_epi32(x), _mm256_set1_epi32(127));
    _mm256_castsi256_ps(_mm256_slli_epi32::<23>(power))
}

/// The sum of sixteen signed bytes.
///
/// # Safety
/// SSE2 must be there, as it is on every processor of this architecture.
#[inline(always)]
pub(super) unsafe fn sum_bytes(bytes: __m128i) -> i32 {
    // SAFETY: the caller's promise.
    unsafe {
        // Each byte plus 128, summed by eights.
        let above = _mm_xor_si128(bytes, _mm_set1_epi8(-128));
        let sums = _mm_sad_epu8(above, _mm_setzero_si128());
        _mm_cvtsi128_si32(sums) + _mm_extract_epi16::<4>(sums) - 16 * 128
    }
}
