//! Q5_K: 256 numbers of 5 bits; 32 share a scale and a minimum of 6 bits; 176 bytes.

use std::arch::x86_64::{
    __m128, __m256i, __m512, __m512i, _mm_setzero_ps, _mm_sub_ps, _mm256_and_si256,
    _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_or_si256, _mm256_set1_epi8, _mm512_add_epi64,
    _mm512_and_si512, _mm512_broadcast_i64x4, _mm512_loadu_si512, _mm512_or_si512,
    _mm512_rolv_epi64, _mm512_set_epi64, _mm512_set1_epi8, _mm512_set1_epi64,
};

use super::gather::{SixBits, half_at, scaled_4, six_bit_scales};
use super::nibbles::{halves, halves_32};
use super::stored::{Centre, Narrow, Order, Stored, Wide};
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
    const ORDER: Order = Order::Crossed;

    #[inline(always)]
    unsafe fn quants(row: *const u8, quad: usize) -> [__m512i; 2] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let at = row.add(quad / 2 * BYTES + 48 + quad % 2 * 64);
            let [low, high] = halves(_mm512_loadu_si512(at.cast()));
            let bits = _mm256_loadu_si256(row.add(quad / 2 * BYTES + 16).cast());
            let bits = _mm512_broadcast_i64x4(bits);
            // Bit `4 * (quad % 2) + block` of a byte goes to bit 4.
            let turn = _mm512_set1_epi64(if quad.is_multiple_of(2) { 0 } else { -4 });
            let first = _mm512_set_epi64(2, 2, 2, 2, 4, 4, 4, 4);
            let second = _mm512_set_epi64(1, 1, 1, 1, 3, 3, 3, 3);
            let fifth = _mm512_set1_epi8(16);
            let first = _mm512_rolv_epi64(bits, _mm512_add_epi64(first, turn));
            let second = _mm512_rolv_epi64(bits, _mm512_add_epi64(second, turn));
            [
                _mm512_or_si512(low, _mm512_and_si512(first, fifth)),
                _mm512_or_si512(high, _mm512_and_si512(second, fifth)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn scales(rows: [*const u8; 4], quad: usize) -> __m512 {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { SixBits::of(rows, quad / 2 * BYTES).scales(quad % 2) }
    }

    #[inline(always)]
    unsafe fn minima(rows: [*const u8; 4], quad: usize) -> __m512 {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { SixBits::of(rows, quad / 2 * BYTES).minima(quad % 2) }
    }
}

impl Narrow for Q5K {
    const SIGNED: bool = false;

    #[inline(always)]
    unsafe fn quants(row: *const u8, quad: usize) -> [__m256i; 4] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let block = row.add(quad / 2 * BYTES);
            let low = block.add(48 + quad % 2 * 64);
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
}
