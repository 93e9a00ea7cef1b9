//! Q5_0: 32 numbers of 5 bits around 16 and a scale in 22 bytes.

use std::arch::x86_64::{__m128, __m256i, __m512, __m512i, _mm256_or_si256};

use super::gather::{four_halves, four_halves_16, widen_4};
use super::nibbles::{fifth_bits_32, four_parts, halves, nibbles_32, with_fifths};
use super::stored::{Centre, Narrow, Order, Stored, Wide};
use crate::dtype::Dtype;

/// The type.
pub(super) struct Q5_0;

impl Stored for Q5_0 {
    const DTYPE: Dtype = Dtype::Q5_0;
    const CENTRE: Centre = Centre::Shift(4);
    const MINIMA: bool = false;
}

impl Wide for Q5_0 {
    const ORDER: Order = Order::Split;

    #[inline(always)]
    unsafe fn quants(row: *const u8, quad: usize) -> [__m512i; 2] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let at = row.add(quad * 88);
            with_fifths(
                halves(four_parts::<22>(at.add(6))),
                four_halves(at.add(2), 22),
                four_halves(at.add(4), 22),
            )
        }
    }

    #[inline(always)]
    unsafe fn scales(rows: [*const u8; 4], quad: usize) -> __m512 {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { four_halves_16::<22>(rows, quad * 88) }
    }
}

impl Narrow for Q5_0 {
    const SIGNED: bool = false;

    #[inline(always)]
    unsafe fn quants(row: *const u8, quad: usize) -> [__m256i; 4] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let at = row.add(quad * 88);
            [
                block(at),
                block(at.add(22)),
                block(at.add(44)),
                block(at.add(66)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn scales(row: *const u8, quad: usize) -> __m128 {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { widen_4(four_halves(row.add(quad * 88), 22)) }
    }
}

/// One block.
#[inline(always)]
unsafe fn block(at: *const u8) -> __m256i {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let quants = nibbles_32(at.add(6));
        let fifth = at.add(2).cast::<u32>().read_unaligned();
        _mm256_or_si256(quants, fifth_bits_32(fifth))
    }
}
