//! Four registers of another kind as one.
//!
//! For registers so short that a strip would be read several times over.

use std::marker::PhantomData;

use super::Lanes;

/// Four times the lanes of `L`.
pub(in crate::cpu::matmul) struct Four<L>(PhantomData<L>);

impl<L: Lanes> Lanes for Four<L> {
    const ROWS: usize = 4 * L::ROWS;
    const OFFSET: u32 = L::OFFSET;
    type Bytes = [L::Bytes; 4];
    type Ints = [L::Ints; 4];
    type Floats = [L::Floats; 4];

    #[inline(always)]
    unsafe fn bytes(at: *const u8) -> [L::Bytes; 4] {
        let [a, b, c, d] = quarters::<L>(at, 4);
        // SAFETY: the caller's promise.
        unsafe { [L::bytes(a), L::bytes(b), L::bytes(c), L::bytes(d)] }
    }

    #[inline(always)]
    unsafe fn low([a, b, c, d]: [L::Bytes; 4]) -> [L::Bytes; 4] {
        // SAFETY: the caller's promise.
        unsafe { [L::low(a), L::low(b), L::low(c), L::low(d)] }
    }

    #[inline(always)]
    unsafe fn high([a, b, c, d]: [L::Bytes; 4]) -> [L::Bytes; 4] {
        // SAFETY: the caller's promise.
        unsafe { [L::high(a), L::high(b), L::high(c), L::high(d)] }
    }

    #[inline(always)]
    unsafe fn with<const MASK: i8>(
        [a, b, c, d]: [L::Bytes; 4],
        more: [L::Bytes; 4],
        left: i32,
    ) -> [L::Bytes; 4] {
        // SAFETY: the caller's promise.
        unsafe {
            [
                L::with::<MASK>(a, more[0], left),
                L::with::<MASK>(b, more[1], left),
                L::with::<MASK>(c, more[2], left),
                L::with::<MASK>(d, more[3], left),
            ]
        }
    }

    #[inline(always)]
    unsafe fn all(whole: i32) -> [L::Ints; 4] {
        // SAFETY: the caller's promise.
        unsafe { [L::all(whole); 4] }
    }

    #[inline(always)]
    unsafe fn dot([a, b, c, d]: [L::Ints; 4], w: [L::Bytes; 4], x: *const u32) -> [L::Ints; 4] {
        // SAFETY: the caller's promise.
        unsafe {
            [
                L::dot(a, w[0], x),
                L::dot(b, w[1], x),
                L::dot(c, w[2], x),
                L::dot(d, w[3], x),
            ]
        }
    }

    #[inline(always)]
    unsafe fn dot_signed(
        [a, b, c, d]: [L::Ints; 4],
        w: [L::Bytes; 4],
        x: *const u32,
    ) -> [L::Ints; 4] {
        // SAFETY: the caller's promise.
        unsafe {
            [
                L::dot_signed(a, w[0], x),
                L::dot_signed(b, w[1], x),
                L::dot_signed(c, w[2], x),
                L::dot_signed(d, w[3], x),
            ]
        }
    }

    #[inline(always)]
    unsafe fn to_floats([a, b, c, d]: [L::Ints; 4]) -> [L::Floats; 4] {
        // SAFETY: the caller's promise.
        unsafe {
            [
                L::to_floats(a),
                L::to_floats(b),
                L::to_floats(c),
                L::to_floats(d),
            ]
        }
    }

    #[inline(always)]
    unsafe fn halves(at: *const u8) -> [L::Floats; 4] {
        let [a, b, c, d] = quarters::<L>(at, 2);
        // SAFETY: the caller's promise.
        unsafe { [L::halves(a), L::halves(b), L::halves(c), L::halves(d)] }
    }

    #[inline(always)]
    unsafe fn unsigned(at: *const u8) -> [L::Floats; 4] {
        let [a, b, c, d] = quarters::<L>(at, 1);
        // SAFETY: the caller's promise.
        unsafe {
            [
                L::unsigned(a),
                L::unsigned(b),
                L::unsigned(c),
                L::unsigned(d),
            ]
        }
    }

    #[inline(always)]
    unsafe fn signed(at: *const u8) -> [L::Floats; 4] {
        let [a, b, c, d] = quarters::<L>(at, 1);
        // SAFETY: the caller's promise.
        unsafe { [L::signed(a), L::signed(b), L::signed(c), L::signed(d)] }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> [L::Floats; 4] {
        // SAFETY: the caller's promise.
        unsafe { [L::splat(x); 4] }
    }

    #[inline(always)]
    unsafe fn mul([a, b, c, d]: [L::Floats; 4], by: [L::Floats; 4]) -> [L::Floats; 4] {
        // SAFETY: the caller's promise.
        unsafe {
            [
                L::mul(a, by[0]),
                L::mul(b, by[1]),
                L::mul(c, by[2]),
                L::mul(d, by[3]),
            ]
        }
    }

    #[inline(always)]
    unsafe fn fma(
        [a, b, c, d]: [L::Floats; 4],
        by: [L::Floats; 4],
        plus: [L::Floats; 4],
    ) -> [L::Floats; 4] {
        // SAFETY: the caller's promise.
        unsafe {
            [
                L::fma(a, by[0], plus[0]),
                L::fma(b, by[1], plus[1]),
                L::fma(c, by[2], plus[2]),
                L::fma(d, by[3], plus[3]),
            ]
        }
    }

    #[inline(always)]
    unsafe fn store([a, b, c, d]: [L::Floats; 4], to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe {
            L::store(a, to);
            L::store(b, to.add(L::ROWS));
            L::store(c, to.add(2 * L::ROWS));
            L::store(d, to.add(3 * L::ROWS));
        }
    }
}

/// Where each register's part begins, of `size` bytes a lane.
#[inline(always)]
fn quarters<L: Lanes>(at: *const u8, size: usize) -> [*const u8; 4] {
    let part = L::ROWS * size;
    [
        at,
        at.wrapping_add(part),
        at.wrapping_add(2 * part),
        at.wrapping_add(3 * part),
    ]
}
