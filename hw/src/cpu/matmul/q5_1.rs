//! Q5_1: 32 numbers of 5 bits, a scale and a minimum in 24 bytes.

use std::arch::x86_64::{__m128, __m256i, __m512, __m512i, _mm256_or_si256};

use super::gather::{four_halves, four_halves_16, widen_4};
use super::nibbles::{fifth_bits_32, four_parts, halves, nibbles_32, with_fifths};
use super::stored::{Centre, Narrow, Order, Stored, Wide};
use crate::dtype::Dtype;

/// The type.
pub(super) struct Q5_1;

impl Stored for Q5_1 {
    const DTYPE: Dtype = Dtype::Q5_1;
    const CENTRE: Centre = Centre::Zero;
    const MINIMA: bool = true;
}

impl Wide for Q5_1 {
    const ORDER: Order = Order::Split;

    #[inline(always)]
    unsafe fn quants(row: *const u8, quad: usize) -> [__m512i; 2] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let at = row.add(quad * 96);
            with_fifths(
                halves(four_parts::<24>(at.add(8))),
                four_halves(at.add(4), 24),
                four_halves(at.add(6), 24),
            )
        }
    }

    #[inline(always)]
    unsafe fn scales(rows: [*const u8; 4], quad: usize) -> __m512 {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { four_halves_16::<24>(rows, quad * 96) }
    }

    #[inline(always)]
    unsafe fn minima(rows: [*const u8; 4], quad: usize) -> __m512 {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { four_halves_16::<24>(rows, quad * 96 + 2) }
    }
}

impl Narrow for Q5_1 {
    const SIGNED: bool = false;

    #[inline(always)]
    unsafe fn quants(row: *const u8, quad: usize) -> [__m256i; 4] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let at = row.add(quad * 96);
            [
                block(at),
                block(at.add(24)),
                block(at.add(48)),
                block(at.add(72)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn scales(row: *const u8, quad: usize) -> __m128 {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { widen_4(four_halves(row.add(quad * 96), 24)) }
    }

    #[inline(always)]
    unsafe fn minima(row: *const u8, quad: usize) -> __m128 {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { widen_4(four_halves(row.add(quad * 96 + 2), 24)) }
    }
}

/// One block.
#[inline(always)]
unsafe fn block(at: *const u8) -> __m256i {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let quants = nibbles_32(at.add(8));
        let fifth = at.add(4).cast::<u32>().read_unaligned();
        _mm256_or_si256(quants, fifth_bits_32(fifth))
    }
}
