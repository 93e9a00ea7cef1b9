//! Q8_0: 32 signed bytes and a scale in 34 bytes.

use std::arch::x86_64::{
    __m128, __m256i, __m512, __m512i, _mm256_loadu_si256, _mm512_castsi256_si512,
    _mm512_inserti64x4, _mm512_set1_epi8, _mm512_xor_si512,
};

use super::gather::{four_halves, four_halves_16, widen_4};
use super::stored::{Centre, Narrow, Order, Stored, Wide};
use crate::dtype::Dtype;

/// The type.
pub(super) struct Q8_0;

impl Stored for Q8_0 {
    const DTYPE: Dtype = Dtype::Q8_0;
    const CENTRE: Centre = Centre::Shift(7);
    const MINIMA: bool = false;
}

impl Wide for Q8_0 {
    const ORDER: Order = Order::Whole;

    #[inline(always)]
    unsafe fn quants(row: *const u8, quad: usize) -> [__m512i; 2] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let at = row.add(quad * 136);
            [pair(at), pair(at.add(68))]
        }
    }

    #[inline(always)]
    unsafe fn scales(rows: [*const u8; 4], quad: usize) -> __m512 {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { four_halves_16::<34>(rows, quad * 136) }
    }
}

impl Narrow for Q8_0 {
    const SIGNED: bool = true;

    #[inline(always)]
    unsafe fn quants(row: *const u8, quad: usize) -> [__m256i; 4] {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe {
            let at = row.add(quad * 136);
            [
                block(at),
                block(at.add(34)),
                block(at.add(68)),
                block(at.add(102)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn scales(row: *const u8, quad: usize) -> __m128 {
        // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
        unsafe { widen_4(four_halves(row.add(quad * 136), 34)) }
    }
}

/// Two blocks, their signed bytes made unsigned by adding 128.
#[inline(always)]
unsafe fn pair(at: *const u8) -> __m512i {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe {
        let (low, high) = (load_32(at.add(2)), load_32(at.add(36)));
        let both = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high);
        _mm512_xor_si512(both, _mm512_set1_epi8(-128))
    }
}

/// One block.
#[inline(always)]
unsafe fn block(at: *const u8) -> __m256i {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe { load_32(at.add(2)) }
}

#[inline(always)]
unsafe fn load_32(at: *const u8) -> __m256i {
    // SAFETY: the caller's promise: the instructions are there, and the bytes that are read.
    unsafe { _mm256_loadu_si256(at.cast()) }
}
