//! Scales out of blocks that lie apart.
//!
//! Decides how the scales of four neighbouring blocks of 32 numbers come together. Refuses to
//! know the quants between them.

use std::arch::x86_64::{
    __m128, __m128i, __m256i, __m512, __m512i, _mm_cvtepi32_ps, _mm_cvtepu8_epi32, _mm_cvtph_ps,
    _mm_cvtsi32_si128, _mm_cvtsi64_si128, _mm_mul_ps, _mm_set_epi32, _mm_set1_ps,
    _mm256_set_epi64x, _mm512_castps128_ps512, _mm512_cvtepi32_ps, _mm512_cvtepu8_epi32,
    _mm512_cvtph_ps, _mm512_mul_ps, _mm512_permutexvar_ps, _mm512_set_epi32,
};

/// Four halves, `stride` bytes apart, side by side.
///
/// # Safety
/// `at` must point to `3 * stride + 2` readable bytes.
#[inline]
pub(super) unsafe fn four_halves(at: *const u8, stride: usize) -> u64 {
    let mut bits = 0;
    for i in 0..4 {
        // SAFETY: the last of the four ends where the caller's bytes do.
        let half = unsafe { at.add(i * stride).cast::<u16>().read_unaligned() };
        bits |= u64::from(half) << (16 * i);
    }
    bits
}

/// Four times four halves as floats: lane `4 * row + block`.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn widen_16(rows: [u64; 4]) -> __m512 {
    let [a, b, c, d] = rows.map(u64::cast_signed);
    let bits: __m256i = _mm256_set_epi64x(d, c, b, a);
    _mm512_cvtph_ps(bits)
}

/// Four halves as floats.
#[inline]
#[target_feature(enable = "avx2,f16c")]
pub(super) fn widen_4(bits: u64) -> __m128 {
    let bits: __m128i = _mm_cvtsi64_si128(bits.cast_signed());
    _mm_cvtph_ps(bits)
}

/// The four scales and the four minima, 6 bits each, of one half of a block of 256 of Q4_K or
/// Q5_K, a byte each. `at` points to the block.
///
/// # Safety
/// `at` must point to 16 readable bytes.
#[inline]
pub(super) unsafe fn six_bit_scales(at: *const u8, half: usize) -> (u32, u32) {
    // SAFETY: bytes 4 to 16 of the block.
    let word = |i: usize| unsafe { at.add(4 + 4 * i).cast::<u32>().read_unaligned() };
    let (a, b, c) = (word(0), word(1), word(2));
    if half == 0 {
        (a & 0x3f3f_3f3f, b & 0x3f3f_3f3f)
    } else {
        (
            c & 0x0f0f_0f0f | a >> 2 & 0x3030_3030,
            c >> 4 & 0x0f0f_0f0f | b >> 2 & 0x3030_3030,
        )
    }
}

/// Bytes of four rows times one half of each row: lane `4 * row + block`.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn scaled_16(bytes: [u32; 4], halves: [u16; 4]) -> __m512 {
    let [a, b, c, d] = bytes.map(u32::cast_signed);
    let numbers = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_set_epi32(d, c, b, a)));
    _mm512_mul_ps(numbers, spread_16(halves))
}

/// One half of each of four rows: lane `4 * row + block`.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn spread_16(halves: [u16; 4]) -> __m512 {
    let bits = (0..4).fold(0, |bits, i| bits | u64::from(halves[i]) << (16 * i));
    let four = _mm_cvtph_ps(_mm_cvtsi64_si128(bits.cast_signed()));
    let index: __m512i = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
    _mm512_permutexvar_ps(index, _mm512_castps128_ps512(four))
}

/// Four bytes of one row times its half.
#[inline]
#[target_feature(enable = "avx2,f16c")]
pub(super) fn scaled_4(bytes: u32, half: u16) -> __m128 {
    let numbers = _mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes.cast_signed())));
    _mm_mul_ps(numbers, spread_4(half))
}

/// One half, four times.
#[inline]
#[target_feature(enable = "avx2,f16c")]
pub(super) fn spread_4(half: u16) -> __m128 {
    let one = _mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(half)));
    _mm_set1_ps(std::arch::x86_64::_mm_cvtss_f32(one))
}

/// The half at `at`.
///
/// # Safety
/// `at` must point to 2 readable bytes.
#[inline]
pub(super) unsafe fn half_at(at: *const u8) -> u16 {
    // SAFETY: the caller's promise.
    unsafe { at.cast::<u16>().read_unaligned() }
}
