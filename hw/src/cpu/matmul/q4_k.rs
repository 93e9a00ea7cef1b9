//! Q4_K: 256 numbers of 4 bits; 32 share a scale and a minimum of 6 bits; 144 bytes.

use std::arch::x86_64::{
    __m128, __m256i, __m512, __m512i, _mm_setzero_ps, _mm_sub_ps, _mm512_loadu_si512,
};

use super::gather::{SixBits, half_at, scaled_4, six_bit_scales};
use super::nibbles::{halves, halves_32};
use super::stored::{Centre, Narrow, Order, Stored, Wide};
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
    const ORDER: Order = Order::Crossed;
    const PACKED: bool = true;

    #[inline(always)]
    unsafe fn packed(row: *const u8, quad: usize) -> __m512i {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let at = row.add(quad / 2 * BYTES + 16 + quad % 2 * 64);
            _mm512_loadu_si512(at.cast())
        }
    }

    #[inline(always)]
    unsafe fn quants(row: *const u8, quad: usize) -> [__m512i; 2] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { halves(Self::packed(row, quad)) }
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

impl Narrow for Q4K {
    const SIGNED: bool = false;

    #[inline(always)]
    unsafe fn quants(row: *const u8, quad: usize) -> [__m256i; 4] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let block = row.add(quad / 2 * BYTES);
            let low = block.add(16 + quad % 2 * 64);
            let ([a, b], [c, d]) = (halves_32(low), halves_32(low.add(32)));
            [a, b, c, d]
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
