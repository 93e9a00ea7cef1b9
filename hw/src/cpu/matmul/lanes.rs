//! Weight rows side by side in a register.
//!
//! Decides the vocabulary in which the products with quantised weights are written, so that one
//! text (`tile.rs`, `formats.rs`) serves every instruction set. A lane is a weight row; all sums of
//! whole numbers are exact, and floats are added in one order everywhere.

#[cfg(target_arch = "aarch64")]
mod aarch64_neon;
#[cfg(target_arch = "aarch64")]
mod four;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86_avx2;
#[cfg(target_arch = "x86_64")]
mod x86_avx512;

#[cfg(target_arch = "aarch64")]
pub(super) use self::aarch64_neon::{AtOnce, InPairs, Neon};
pub(super) use self::portable::Portable;
#[cfg(target_arch = "x86_64")]
pub(super) use self::x86_avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(super) use self::x86_avx512::Avx512;

/// Registers of [`Lanes::ROWS`] lanes.
///
/// # Safety
/// Of all methods: the type's instructions must be enabled in the function that they are inlined
/// into, and pointers must point to as many readable (or writable) bytes as are named.
pub(super) trait Lanes {
    /// Lanes of a register: a divisor of 16.
    const ROWS: usize;
    /// [`Lanes::dot_signed`] takes quants for `1 << OFFSET` more than they are, or for what they are
    /// if it is zero.
    const OFFSET: u32;
    /// Four bytes a lane.
    type Bytes: Copy;
    /// A whole number a lane.
    type Ints: Copy;
    /// A float a lane.
    type Floats: Copy;

    /// Four bytes for each lane.
    unsafe fn bytes(at: *const u8) -> Self::Bytes;
    /// The low halves of all bytes.
    unsafe fn low(bytes: Self::Bytes) -> Self::Bytes;
    /// The high halves of all bytes.
    unsafe fn high(bytes: Self::Bytes) -> Self::Bytes;
    /// `bytes`, with the bits of `more` that `MASK` selects once they are shifted up by `left` (down
    /// if that is negative; `MASK` keeps away what comes from a neighbour).
    unsafe fn with<const MASK: i8>(bytes: Self::Bytes, more: Self::Bytes, left: i32)
    -> Self::Bytes;

    /// One whole number in every lane.
    unsafe fn all(whole: i32) -> Self::Ints;
    /// Adds four products a lane: unsigned bytes of at most 6 bits with the signed bytes of `*x`.
    unsafe fn dot(sums: Self::Ints, weights: Self::Bytes, x: *const u32) -> Self::Ints;
    /// The same of signed bytes; see [`Lanes::OFFSET`].
    unsafe fn dot_signed(sums: Self::Ints, weights: Self::Bytes, x: *const u32) -> Self::Ints;

    /// Whole numbers of at most 24 bits as floats.
    unsafe fn to_floats(ints: Self::Ints) -> Self::Floats;
    /// A half a lane, as floats.
    unsafe fn halves(at: *const u8) -> Self::Floats;
    /// An unsigned byte a lane, as floats.
    unsafe fn unsigned(at: *const u8) -> Self::Floats;
    /// A signed byte a lane, as floats.
    unsafe fn signed(at: *const u8) -> Self::Floats;
    /// One float in every lane.
    unsafe fn splat(x: f32) -> Self::Floats;
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a * b + c`, rounded once.
    unsafe fn fma(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    unsafe fn store(floats: Self::Floats, to: *mut f32);
}
