//! What a kernel asks of a quantised type.
//!
//! Decides the vocabulary between the kernels (`wide.rs`, `narrow.rs`) and the types (one file
//! each): 128 numbers at a time, a *quad* of four blocks of 32. Refuses to know the layouts.

use std::arch::x86_64::{
    __m128, __m128i, __m256i, __m512, __m512i, _mm_setzero_ps, _mm_setzero_si128,
    _mm256_setzero_si256, _mm512_setzero_ps, _mm512_setzero_si512,
};

use crate::dtype::Dtype;

/// How stored quants relate to what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Centre {
    /// They mean themselves.
    Zero,
    /// They mean themselves less `1 << shift`.
    Shift(u32),
    /// Each 16 of them mean themselves less 32, times a whole-number scale.
    Halves,
}

/// A quantised type.
pub(super) trait Stored {
    const DTYPE: Dtype;
    const CENTRE: Centre;
    /// Whether there is a minimum to add.
    const MINIMA: bool;
}

/// Where a quad's blocks lie in the two registers that [`Wide::quants`] gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// In order: blocks 0 and 1, blocks 2 and 3.
    Whole,
    /// Blocks 0 and 2, blocks 1 and 3. Quants have at most 5 bits.
    Crossed,
    /// The first halves of all four blocks, their second halves. Quants have at most 5 bits.
    Split,
}

impl Order {
    /// Which group of four columns of the quad word `word` of register `register` is.
    #[inline(always)]
    pub(super) fn place(self, register: usize, word: usize) -> usize {
        match self {
            Self::Whole => register * 16 + word,
            Self::Crossed => word / 8 * 16 + register * 8 + word % 8,
            Self::Split => word / 4 * 8 + register * 4 + word % 4,
        }
    }
}

/// A quantised type for AVX-512 (F, BW, DQ, VL, VNNI).
///
/// # Safety
/// All methods: the instructions must be there, and each row must point to readable bytes up to
/// the end of quad `quad`.
pub(super) trait Wide: Stored {
    /// How [`Wide::quants`] orders blocks.
    const ORDER: Order;
    /// Whether quants are the low and the high halves of the bytes of [`Wide::packed`].
    const PACKED: bool = false;
    /// 64 bytes as they are stored, for types that say so.
    #[inline(always)]
    unsafe fn packed(_row: *const u8, _quad: usize) -> __m512i {
        // SAFETY: the caller's promise: the instructions are there.
        unsafe { _mm512_setzero_si512() }
    }
    /// 128 unsigned bytes, in the order in which they cost least.
    unsafe fn quants(row: *const u8, quad: usize) -> [__m512i; 2];
    /// What each block's whole number is multiplied by: lane `4 * row + block`.
    unsafe fn scales(rows: [*const u8; 4], quad: usize) -> __m512;
    /// What is added for each unit of activation: lane `4 * row + block`.
    #[inline(always)]
    unsafe fn minima(_rows: [*const u8; 4], _quad: usize) -> __m512 {
        // SAFETY: the caller's promise: the instructions are there.
        unsafe { _mm512_setzero_ps() }
    }
    /// For [`Centre::Halves`]: two 16-bit scales in lane `4 * row + block`.
    #[inline(always)]
    unsafe fn half_scales(_rows: [*const u8; 4], _quad: usize) -> __m512i {
        // SAFETY: the caller's promise: the instructions are there.
        unsafe { _mm512_setzero_si512() }
    }
    /// For [`Centre::Halves`]: the scales of blocks 0 and 1 and of blocks 2 and 3, in lane
    /// `4 * half + row`.
    #[inline(always)]
    unsafe fn row_scales(_rows: [*const u8; 4], _quad: usize) -> [__m512i; 2] {
        // SAFETY: the caller's promise: the instructions are there.
        unsafe { [_mm512_setzero_si512(); 2] }
    }
}

/// A quantised type for AVX2 (with FMA and F16C).
///
/// # Safety
/// All methods: as for [`Wide`].
pub(super) trait Narrow: Stored {
    /// Whether quants are signed bytes.
    const SIGNED: bool;
    /// 128 bytes in order.
    unsafe fn quants(row: *const u8, quad: usize) -> [__m256i; 4];
    /// What each block's whole number is multiplied by.
    unsafe fn scales(row: *const u8, quad: usize) -> __m128;
    /// What is added for each unit of activation.
    #[inline(always)]
    unsafe fn minima(_row: *const u8, _quad: usize) -> __m128 {
        // SAFETY: the caller's promise: the instructions are there.
        unsafe { _mm_setzero_ps() }
    }
    /// For [`Centre::Halves`]: 16-bit scales in the lanes that `maddubs` leaves.
    #[inline(always)]
    unsafe fn lane_scales(_row: *const u8, _quad: usize) -> [__m256i; 4] {
        // SAFETY: the caller's promise: the instructions are there.
        unsafe { [_mm256_setzero_si256(); 4] }
    }
    /// For [`Centre::Halves`]: two 16-bit scales for each block.
    #[inline(always)]
    unsafe fn half_scales(_row: *const u8, _quad: usize) -> __m128i {
        // SAFETY: the caller's promise: the instructions are there.
        unsafe { _mm_setzero_si128() }
    }
}
