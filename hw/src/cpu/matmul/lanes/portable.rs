//! Sixteen lanes in arrays, for any processor.

use half::f16;

use super::Lanes;

/// Sixteen lanes without any instructions of their own.
pub(in crate::cpu::matmul) struct Portable;

impl Lanes for Portable {
    const ROWS: usize = 16;
    const OFFSET: u32 = 0;
    type Bytes = [u8; 64];
    type Ints = [i32; 16];
    type Floats = [f32; 16];

    #[inline(always)]
    unsafe fn bytes(at: *const u8) -> [u8; 64] {
        // SAFETY: the caller's promise.
        unsafe { at.cast::<[u8; 64]>().read() }
    }

    #[inline(always)]
    unsafe fn low(bytes: [u8; 64]) -> [u8; 64] {
        bytes.map(|byte| byte & 15)
    }

    #[inline(always)]
    unsafe fn high(bytes: [u8; 64]) -> [u8; 64] {
        bytes.map(|byte| byte >> 4)
    }

    #[inline(always)]
    unsafe fn with<const MASK: i8>(mut bytes: [u8; 64], more: [u8; 64], left: i32) -> [u8; 64] {
        for (byte, more) in bytes.iter_mut().zip(more) {
            let shifted = if left >= 0 {
                more << left
            } else {
                more >> -left
            };
            *byte |= shifted & MASK.cast_unsigned();
        }
        bytes
    }

    #[inline(always)]
    unsafe fn all(whole: i32) -> [i32; 16] {
        [whole; 16]
    }

    #[inline(always)]
    unsafe fn dot(mut sums: [i32; 16], weights: [u8; 64], x: *const u32) -> [i32; 16] {
        // SAFETY: the caller's promise.
        let x = unsafe { *x }.to_le_bytes().map(u8::cast_signed);
        for (sum, weights) in sums.iter_mut().zip(weights.as_chunks::<4>().0) {
            for (weight, x) in weights.iter().zip(x) {
                *sum += i32::from(*weight) * i32::from(x);
            }
        }
        sums
    }

    #[inline(always)]
    unsafe fn dot_signed(mut sums: [i32; 16], weights: [u8; 64], x: *const u32) -> [i32; 16] {
        // SAFETY: the caller's promise.
        let x = unsafe { *x }.to_le_bytes().map(u8::cast_signed);
        for (sum, weights) in sums.iter_mut().zip(weights.as_chunks::<4>().0) {
            for (weight, x) in weights.iter().zip(x) {
                *sum += i32::from(weight.cast_signed()) * i32::from(x);
            }
        }
        sums
    }

    #[inline(always)]
    unsafe fn to_floats(ints: [i32; 16]) -> [f32; 16] {
        ints.map(|int| int as f32)
    }

    #[inline(always)]
    unsafe fn halves(at: *const u8) -> [f32; 16] {
        // SAFETY: the caller's promise.
        let bytes = unsafe { at.cast::<[[u8; 2]; 16]>().read() };
        bytes.map(|half| f16::from_le_bytes(half).to_f32_const())
    }

    #[inline(always)]
    unsafe fn unsigned(at: *const u8) -> [f32; 16] {
        // SAFETY: the caller's promise.
        unsafe { at.cast::<[u8; 16]>().read() }.map(f32::from)
    }

    #[inline(always)]
    unsafe fn signed(at: *const u8) -> [f32; 16] {
        // SAFETY: the caller's promise.
        unsafe { at.cast::<[i8; 16]>().read() }.map(f32::from)
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; 16] {
        [x; 16]
    }

    #[inline(always)]
    unsafe fn mul(mut a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        for (a, b) in a.iter_mut().zip(b) {
            *a *= b;
        }
        a
    }

    #[inline(always)]
    unsafe fn fma(mut a: [f32; 16], b: [f32; 16], c: [f32; 16]) -> [f32; 16] {
        for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
            *a = a.mul_add(b, c);
        }
        a
    }

    #[inline(always)]
    unsafe fn store(floats: [f32; 16], to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f32; 16]>().write_unaligned(floats) };
    }
}
