//! Halves of bytes, spread over bytes.
//!
//! Decides the shuffles that the 4-bit and 5-bit types share.

use std::arch::x86_64::{
    __m256i, __m512i, _mm_loadu_si128, _mm256_and_si256, _mm256_broadcastsi128_si256,
    _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_or_si256, _mm256_set_epi64x, _mm256_set1_epi8,
    _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_shuffle_epi8, _mm256_srli_epi16,
    _mm256_srlv_epi64, _mm512_and_si512, _mm512_castsi128_si512, _mm512_inserti32x4,
    _mm512_mask_add_epi8, _mm512_set1_epi8, _mm512_srli_epi16,
};

/// 16 bytes at each of four places `STRIDE` bytes apart.
///
/// # Safety
/// `at` must point to `3 * STRIDE + 16` readable bytes.
#[inline(always)]
pub(super) unsafe fn four_parts<const STRIDE: usize>(at: *const u8) -> __m512i {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let load = |block: usize| _mm_loadu_si128(at.add(block * STRIDE).cast());
        let bytes = _mm512_castsi128_si512(load(0));
        let bytes = _mm512_inserti32x4::<1>(bytes, load(1));
        let bytes = _mm512_inserti32x4::<2>(bytes, load(2));
        _mm512_inserti32x4::<3>(bytes, load(3))
    }
}

/// The low halves of bytes, and their high halves.
///
/// # Safety
/// AVX-512 BW must be there.
#[inline(always)]
pub(super) unsafe fn halves(bytes: __m512i) -> [__m512i; 2] {
    // SAFETY: the caller's promise: the instructions are there.
    unsafe {
        let mask = _mm512_set1_epi8(15);
        [
            _mm512_and_si512(bytes, mask),
            _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), mask),
        ]
    }
}

/// Adds 16 to each byte of the two registers whose bit is set.
///
/// # Safety
/// AVX-512 BW must be there.
#[inline(always)]
pub(super) unsafe fn with_fifths([a, b]: [__m512i; 2], first: u64, second: u64) -> [__m512i; 2] {
    // SAFETY: the caller's promise: the instructions are there.
    unsafe {
        let fifth = _mm512_set1_epi8(16);
        [
            _mm512_mask_add_epi8(a, first, a, fifth),
            _mm512_mask_add_epi8(b, second, b, fifth),
        ]
    }
}

/// Low halves of 16 bytes, then their high halves.
///
/// # Safety
/// `at` must point to 16 readable bytes.
#[inline(always)]
pub(super) unsafe fn nibbles_32(at: *const u8) -> __m256i {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let bytes = _mm_loadu_si128(at.cast());
        let both = _mm256_broadcastsi128_si256(bytes);
        let shifted = _mm256_srlv_epi64(both, _mm256_set_epi64x(4, 4, 0, 0));
        _mm256_and_si256(shifted, _mm256_set1_epi8(15))
    }
}

/// Low halves of 32 bytes, and their high halves.
///
/// # Safety
/// `at` must point to 32 readable bytes.
#[inline(always)]
pub(super) unsafe fn halves_32(at: *const u8) -> [__m256i; 2] {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let bytes = _mm256_loadu_si256(at.cast());
        let mask = _mm256_set1_epi8(15);
        [
            _mm256_and_si256(bytes, mask),
            _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), mask),
        ]
    }
}

/// 16 in each byte whose bit is set.
#[inline(always)]
pub(super) unsafe fn fifth_bits_32(bits: u32) -> __m256i {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        // Byte i of the word to bytes 8 i to 8 i + 7; then all bits but its own are set, so that the
        // byte is all ones where its own is set, too.
        let index = _mm256_set_epi64x(
            0x0303_0303_0303_0303,
            0x0202_0202_0202_0202,
            0x0101_0101_0101_0101,
            0,
        );
        let spread = _mm256_shuffle_epi8(_mm256_set1_epi32(bits.cast_signed()), index);
        let others = _mm256_set1_epi64x(0x7fbf_dfef_f7fb_fdfe);
        let full = _mm256_cmpeq_epi8(_mm256_or_si256(spread, others), _mm256_set1_epi8(-1));
        _mm256_and_si256(full, _mm256_set1_epi8(16))
    }
}
