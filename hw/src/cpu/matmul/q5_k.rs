//! Q5_K: 256 numbers of 5 bits; 32 share a scale and a minimum of 6 bits; 176 bytes.

use std::arch::x86_64::{
    __m128, __m128i, __m256i, __m512, __m512i, _mm_setzero_ps, _mm_setzero_si128, _mm_sub_ps,
    _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_or_si256, _mm256_set1_epi8,
    _mm256_setzero_si256, _mm512_broadcast_i64x4, _mm512_inserti64x4, _mm512_mask_add_epi8,
    _mm512_set1_epi8, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_sub_ps,
    _mm512_test_epi8_mask,
};

use super::gather::{half_at, scaled_4, scaled_16, six_bit_scales, spread_halves};
use super::nibbles::{halves_32, halves_64};
use super::stored::{Centre, Narrow, Stored, Wide};
use crate::dtype::Dtype;

/// The type.
pub(super) struct Q5K;

const BYTES: usize = 176;

impl Stored for Q5K {
    const DTYPE: Dtype = Dtype::Q5K;
    const CENTRE: Centre = Centre::Zero;
    const MINIMA: bool = true;
}

impl Wide for Q5K {
    #[inline(always)]
    unsafe fn quants(row: *const u8, quad: usize) -> [__m512i; 2] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let (block, low) = {
                let block = row.add(quad / 2 * BYTES);
                (block, block.add(48 + quad % 2 * 64))
            };
            let quants = [halves_64(low), halves_64(low.add(32))];
            let bits = _mm256_loadu_si256(block.add(16).cast());
            let bits = _mm512_broadcast_i64x4(bits);
            let part = quad % 2 * 4;
            [
                with_fifth(quants[0], bits, part),
                with_fifth(quants[1], bits, part + 2),
            ]
        }
    }

    #[inline(always)]
    unsafe fn scales(rows: [*const u8; 4], quad: usize) -> __m512 {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let at = quad / 2 * BYTES;
            scaled_16(
                [
                    six_bit_scales(rows[0].add(at), quad % 2).0,
                    six_bit_scales(rows[1].add(at), quad % 2).0,
                    six_bit_scales(rows[2].add(at), quad % 2).0,
                    six_bit_scales(rows[3].add(at), quad % 2).0,
                ],
                spread_halves(rows, at),
            )
        }
    }

    #[inline(always)]
    unsafe fn minima(rows: [*const u8; 4], quad: usize) -> __m512 {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let at = quad / 2 * BYTES;
            let minima = scaled_16(
                [
                    six_bit_scales(rows[0].add(at), quad % 2).1,
                    six_bit_scales(rows[1].add(at), quad % 2).1,
                    six_bit_scales(rows[2].add(at), quad % 2).1,
                    six_bit_scales(rows[3].add(at), quad % 2).1,
                ],
                spread_halves(rows, at + 2),
            );
            _mm512_sub_ps(_mm512_setzero_ps(), minima)
        }
    }

    #[inline(always)]
    unsafe fn half_scales(_rows: [*const u8; 4], _quad: usize) -> __m512i {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    unsafe fn lane_scales(_row: *const u8, _quad: usize) -> [__m512i; 2] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { [_mm512_setzero_si512(); 2] }
    }
}

impl Narrow for Q5K {
    const SIGNED: bool = false;

    #[inline(always)]
    unsafe fn quants(row: *const u8, quad: usize) -> [__m256i; 4] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let (block, low) = {
                let block = row.add(quad / 2 * BYTES);
                (block, block.add(48 + quad % 2 * 64))
            };
            let ([a, b], [c, d]) = (halves_32(low), halves_32(low.add(32)));
            let mut quants = [a, b, c, d];
            let bits = _mm256_loadu_si256(block.add(16).cast());
            for (part, quants) in (quad % 2 * 4..).zip(&mut quants) {
                let which = _mm256_set1_epi8(1_i8.wrapping_shl(part as u32));
                let there = _mm256_cmpeq_epi8(_mm256_and_si256(bits, which), which);
                let fifth = _mm256_and_si256(there, _mm256_set1_epi8(16));
                *quants = _mm256_or_si256(*quants, fifth);
            }
            quants
        }
    }

    #[inline(always)]
    unsafe fn scales(row: *const u8, quad: usize) -> __m128 {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let (bytes, half) = {
                let block = row.add(quad / 2 * BYTES);
                (six_bit_scales(block, quad % 2).0, half_at(block))
            };
            scaled_4(bytes, half)
        }
    }

    #[inline(always)]
    unsafe fn minima(row: *const u8, quad: usize) -> __m128 {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let (bytes, half) = {
                let block = row.add(quad / 2 * BYTES);
                (six_bit_scales(block, quad % 2).1, half_at(block.add(2)))
            };
            _mm_sub_ps(_mm_setzero_ps(), scaled_4(bytes, half))
        }
    }

    #[inline(always)]
    unsafe fn lane_scales(_row: *const u8, _quad: usize) -> [__m256i; 4] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { [_mm256_setzero_si256(); 4] }
    }

    #[inline(always)]
    unsafe fn half_scales(_row: *const u8, _quad: usize) -> __m128i {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { _mm_setzero_si128() }
    }
}

/// Adds 16 where the bit of block `part` (lower half) or the next (upper half) is set.
///
/// # Safety
/// AVX-512 BW must be there.
#[inline(always)]
unsafe fn with_fifth(quants: __m512i, bits: __m512i, part: usize) -> __m512i {
    // SAFETY: the caller's promise: the instructions are there.
    unsafe {
        let low = _mm512_set1_epi8(1_i8.wrapping_shl(part as u32));
        let high = _mm256_set1_epi8(1_i8.wrapping_shl(part as u32 + 1));
        let which = _mm512_inserti64x4::<1>(low, high);
        let fifth = _mm512_test_epi8_mask(bits, which);
        _mm512_mask_add_epi8(quants, fifth, quants, _mm512_set1_epi8(16))
    }
}
