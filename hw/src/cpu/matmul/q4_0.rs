//! Q4_0: 32 numbers of 4 bits around 8 and a scale in 18 bytes.

use std::arch::x86_64::{
    __m128, __m128i, __m256i, __m512, __m512i, _mm_setzero_ps, _mm_setzero_si128,
    _mm256_setzero_si256, _mm512_setzero_ps, _mm512_setzero_si512,
};

use super::gather::{four_halves, widen_4, widen_16};
use super::nibbles::{nibbles_32, nibbles_64};
use super::stored::{Centre, Narrow, Stored, Wide};
use crate::dtype::Dtype;

/// The type.
pub(super) struct Q4_0;

impl Stored for Q4_0 {
    const DTYPE: Dtype = Dtype::Q4_0;
    const CENTRE: Centre = Centre::Shift(3);
    const MINIMA: bool = false;
}

impl Wide for Q4_0 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq")]
    unsafe fn quants(row: *const u8, quad: usize) -> [__m512i; 2] {
        // SAFETY: the caller's promise: four blocks of 18 bytes from here.
        unsafe {
            let at = row.add(quad * 72);
            [pair(at), pair(at.add(36))]
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn scales(rows: [*const u8; 4], quad: usize) -> __m512 {
        // SAFETY: the scales of four blocks of each row.
        let bits = rows.map(|row| unsafe { four_halves(row.add(quad * 72), 18) });
        widen_16(bits)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn minima(_rows: [*const u8; 4], _quad: usize) -> __m512 {
        _mm512_setzero_ps()
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn half_scales(_rows: [*const u8; 4], _quad: usize) -> __m512i {
        _mm512_setzero_si512()
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn lane_scales(_row: *const u8, _quad: usize) -> [__m512i; 2] {
        [_mm512_setzero_si512(); 2]
    }
}

impl Narrow for Q4_0 {
    const SIGNED: bool = false;

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn quants(row: *const u8, quad: usize) -> [__m256i; 4] {
        // SAFETY: the caller's promise: four blocks of 18 bytes from here.
        unsafe {
            let at = row.add(quad * 72);
            [
                block(at),
                block(at.add(18)),
                block(at.add(36)),
                block(at.add(54)),
            ]
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn scales(row: *const u8, quad: usize) -> __m128 {
        // SAFETY: the scales of four blocks.
        widen_4(unsafe { four_halves(row.add(quad * 72), 18) })
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn minima(_row: *const u8, _quad: usize) -> __m128 {
        _mm_setzero_ps()
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn lane_scales(_row: *const u8, _quad: usize) -> [__m256i; 4] {
        [_mm256_setzero_si256(); 4]
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn half_scales(_row: *const u8, _quad: usize) -> __m128i {
        _mm_setzero_si128()
    }
}

/// Two blocks: their low and high halves of bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn pair(at: *const u8) -> __m512i {
    // SAFETY: the 16 bytes of quants of each of two blocks.

    unsafe { nibbles_64(at.add(2), at.add(20)) }
}

/// One block.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn block(at: *const u8) -> __m256i {
    // SAFETY: the 16 bytes of quants.

    unsafe { nibbles_32(at.add(2)) }
}
