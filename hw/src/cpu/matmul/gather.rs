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
#[inline(always)]
pub(super) unsafe fn four_halves(at: *const u8, stride: usize) -> u64 {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let mut bits = 0;
        for i in 0..4 {
            let half = at.add(i * stride).cast::<u16>().read_unaligned();
            bits |= u64::from(half) << (16 * i);
        }
        bits
    }
}

/// Four halves, `stride` bytes apart, from `at` bytes on in each of four rows, as floats: lane
/// `4 * row + block`.
///
/// # Safety
/// AVX-512 F must be there, and `3 * stride + 2` readable bytes at each place.
#[inline(always)]
pub(super) unsafe fn four_halves_16(rows: [*const u8; 4], at: usize, stride: usize) -> __m512 {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let bits: __m256i = _mm256_set_epi64x(
            four_halves(rows[3].add(at), stride).cast_signed(),
            four_halves(rows[2].add(at), stride).cast_signed(),
            four_halves(rows[1].add(at), stride).cast_signed(),
            four_halves(rows[0].add(at), stride).cast_signed(),
        );
        _mm512_cvtph_ps(bits)
    }
}

/// Four halves as floats.
#[inline(always)]
pub(super) unsafe fn widen_4(bits: u64) -> __m128 {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let bits: __m128i = _mm_cvtsi64_si128(bits.cast_signed());
        _mm_cvtph_ps(bits)
    }
}

/// The four scales and the four minima, 6 bits each, of one half of a block of 256 of Q4_K or
/// Q5_K, a byte each. `at` points to the block.
///
/// # Safety
/// `at` must point to 16 readable bytes.
#[inline(always)]
pub(super) unsafe fn six_bit_scales(at: *const u8, half: usize) -> (u32, u32) {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let words = at.add(4).cast::<u32>();
        let a = words.read_unaligned();
        let b = words.add(1).read_unaligned();
        let c = words.add(2).read_unaligned();
        if half == 0 {
            (a & 0x3f3f_3f3f, b & 0x3f3f_3f3f)
        } else {
            (
                c & 0x0f0f_0f0f | a >> 2 & 0x3030_3030,
                c >> 4 & 0x0f0f_0f0f | b >> 2 & 0x3030_3030,
            )
        }
    }
}

/// Bytes of four rows times a factor: lane `4 * row + block`.
///
/// # Safety
/// AVX-512 F must be there.
#[inline(always)]
pub(super) unsafe fn scaled_16(bytes: [u32; 4], factors: __m512) -> __m512 {
    // SAFETY: the caller's promise: the instructions are there.
    unsafe {
        let bytes = _mm_set_epi32(
            bytes[3].cast_signed(),
            bytes[2].cast_signed(),
            bytes[1].cast_signed(),
            bytes[0].cast_signed(),
        );
        let numbers = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
        _mm512_mul_ps(numbers, factors)
    }
}

/// The half at `at` bytes in each of four rows: lane `4 * row + block`.
///
/// # Safety
/// AVX-512 F must be there, and 2 readable bytes at each place.
#[inline(always)]
pub(super) unsafe fn spread_halves(rows: [*const u8; 4], at: usize) -> __m512 {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let bits = u64::from(half_at(rows[0].add(at)))
            | u64::from(half_at(rows[1].add(at))) << 16
            | u64::from(half_at(rows[2].add(at))) << 32
            | u64::from(half_at(rows[3].add(at))) << 48;
        let four = _mm_cvtph_ps(_mm_cvtsi64_si128(bits.cast_signed()));
        let index: __m512i = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
        _mm512_permutexvar_ps(index, _mm512_castps128_ps512(four))
    }
}

/// Four bytes of one row times its half.
#[inline(always)]
pub(super) unsafe fn scaled_4(bytes: u32, half: u16) -> __m128 {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let numbers = _mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes.cast_signed())));
        _mm_mul_ps(numbers, spread_4(half))
    }
}

/// One half, four times.
#[inline(always)]
pub(super) unsafe fn spread_4(half: u16) -> __m128 {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let one = _mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(half)));
        _mm_set1_ps(std::arch::x86_64::_mm_cvtss_f32(one))
    }
}

/// The half at `at`.
///
/// # Safety
/// `at` must point to 2 readable bytes.
#[inline(always)]
pub(super) unsafe fn half_at(at: *const u8) -> u16 {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe { at.cast::<u16>().read_unaligned() }
}
