//! Q4_0: 32 numbers of 4 bits around 8 and a scale in 18 bytes.

use std::arch::x86_64::{__m128, __m256i, __m512, __m512i};

use super::gather::{four_halves, four_halves_16, widen_4};
use super::nibbles::{four_parts, halves, nibbles_32};
use super::stored::{Centre, Narrow, Order, Stored, Wide};
use crate::dtype::Dtype;

/// The type.
pub(super) struct Q4_0;

impl Stored for Q4_0 {
    const DTYPE: Dtype = Dtype::Q4_0;
    const CENTRE: Centre = Centre::Shift(3);
    const MINIMA: bool = false;
}

impl Wide for Q4_0 {
    const ORDER: Order = Order::Split;
    const PACKED: bool = true;

    #[inline(always)]
    unsafe fn packed(row: *const u8, quad: usize) -> __m512i {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { four_parts::<18>(row.add(quad * 72 + 2)) }
    }

    #[inline(always)]
    unsafe fn quants(row: *const u8, quad: usize) -> [__m512i; 2] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { halves(Self::packed(row, quad)) }
    }

    #[inline(always)]
    unsafe fn scales(rows: [*const u8; 4], quad: usize) -> __m512 {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { four_halves_16::<18>(rows, quad * 72) }
    }
}

impl Narrow for Q4_0 {
    const SIGNED: bool = false;

    #[inline(always)]
    unsafe fn quants(row: *const u8, quad: usize) -> [__m256i; 4] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
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

    #[inline(always)]
    unsafe fn scales(row: *const u8, quad: usize) -> __m128 {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { widen_4(four_halves(row.add(quad * 72), 18)) }
    }
}

/// One block.
#[inline(always)]
unsafe fn block(at: *const u8) -> __m256i {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe { nibbles_32(at.add(2)) }
}
