//! What a kernel asks of a quantised type.
//!
//! Decides the vocabulary between the kernels (`wide.rs`, `narrow.rs`) and the types (one file
//! each): 128 numbers at a time, a *quad* of four blocks of 32. Refuses to know the layouts.

use std::arch::x86_64::{__m128, __m256i, __m512, __m512i};

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

/// A quantised type for AVX-512 (F, BW, DQ, VL, VNNI).
///
/// # Safety
/// All methods: the instructions must be there, and each row must point to readable bytes up to
/// the end of quad `quad`.
pub(super) trait Wide: Stored {
    /// 128 unsigned bytes in order.
    unsafe fn quants(row: *const u8, quad: usize) -> [__m512i; 2];
    /// What each block's whole number is multiplied by: lane `4 * row + block`.
    unsafe fn scales(rows: [*const u8; 4], quad: usize) -> __m512;
    /// What is added for each unit of activation: lane `4 * row + block`.
    unsafe fn minima(rows: [*const u8; 4], quad: usize) -> __m512;
    /// For [`Centre::Halves`]: two 16-bit scales in lane `4 * row + block`.
    unsafe fn half_scales(rows: [*const u8; 4], quad: usize) -> __m512i;
    /// For [`Centre::Halves`]: the same for one row, in the lanes that `dpbusd` leaves.
    unsafe fn lane_scales(row: *const u8, quad: usize) -> [__m512i; 2];
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
    unsafe fn minima(row: *const u8, quad: usize) -> __m128;
    /// For [`Centre::Halves`]: 16-bit scales in the lanes that `maddubs` leaves.
    unsafe fn lane_scales(row: *const u8, quad: usize) -> [__m256i; 4];
    /// For [`Centre::Halves`]: two 16-bit scales for each block.
    unsafe fn half_scales(row: *const u8, quad: usize) -> std::arch::x86_64::__m128i;
}
