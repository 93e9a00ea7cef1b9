//! Q4_K: 256 numbers of 4 bits; 32 share a scale and a minimum of 6 bits; 144 bytes.

use std::arch::x86_64::{
    __m128, __m128i, __m256i, __m512, __m512i, _mm_setzero_ps, _mm_setzero_si128, _mm_sub_ps,
    _mm256_setzero_si256, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_sub_ps,
};

use super::gather::{half_at, scaled_4, scaled_16, six_bit_scales, spread_halves};
use super::nibbles::{halves_32, halves_64};
use super::stored::{Centre, Narrow, Stored, Wide};
use crate::dtype::Dtype;

/// The type.
pub(super) struct Q4K;

const BYTES: usize = 144;

impl Stored for Q4K {
    const DTYPE: Dtype = Dtype::Q4K;
    const CENTRE: Centre = Centre::Zero;
    const MINIMA: bool = true;
}

impl Wide for Q4K {
    #[inline(always)]
    unsafe fn quants(row: *const u8, quad: usize) -> [__m512i; 2] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let (block, low) = {
                let block = row.add(quad / 2 * BYTES);
                (block, block.add(16 + quad % 2 * 64))
            };
            let quants = [halves_64(low), halves_64(low.add(32))];
            let _ = block;
            quants
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

impl Narrow for Q4K {
    const SIGNED: bool = false;

    #[inline(always)]
    unsafe fn quants(row: *const u8, quad: usize) -> [__m256i; 4] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let (block, low) = {
                let block = row.add(quad / 2 * BYTES);
                (block, block.add(16 + quad % 2 * 64))
            };
            let ([a, b], [c, d]) = (halves_32(low), halves_32(low.add(32)));
            let quants = [a, b, c, d];
            let _ = block;
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
