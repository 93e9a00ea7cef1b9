//! Four lanes in a register of NEON.
//!
//! Decides how products of bytes are made with and without the extension `dotprod`.

use std::arch::aarch64::{
    float32x4_t, int8x16_t, int32x4_t, uint8x16_t, vandq_u8, vcreate_s8, vcreate_u8, vcvt_f32_f16,
    vcvtq_f32_s32, vcvtq_f32_u32, vdupq_n_f32, vdupq_n_s8, vdupq_n_s32, vdupq_n_u8, vfmaq_f32,
    vget_low_s8, vget_low_s16, vget_low_u16, vld1_u8, vld1q_dup_u32, vld1q_u8, vmovl_s8, vmovl_s16,
    vmovl_u8, vmovl_u16, vmull_high_s8, vmull_s8, vmulq_f32, vorrq_u8, vpadalq_s16, vpaddq_s16,
    vreinterpret_f16_u8, vreinterpretq_s8_u8, vreinterpretq_s8_u32, vshlq_u8, vshrq_n_u8,
    vst1q_f32,
};
use std::arch::asm;
use std::marker::PhantomData;

use super::Lanes;
use super::four::Four;

/// Sixteen lanes in four registers, with products by `P`: all of a strip's rows, so that it is read
/// once.
pub(in crate::cpu::matmul) type Neon<P> = Four<Register<P>>;

/// Four lanes, with products by `P`.
///
/// NEON is enabled for all code of this architecture; what `P` needs comes on top.
pub(in crate::cpu::matmul) struct Register<P>(PhantomData<P>);

/// How four bytes of each lane meet four of another.
///
/// # Safety
/// The type's instructions must be enabled in the function that the method is inlined into.
pub(in crate::cpu::matmul) trait Products {
    /// Adds four products a lane, of signed bytes; those of `x` are never -128.
    unsafe fn add(sums: int32x4_t, weights: int8x16_t, x: int8x16_t) -> int32x4_t;
}

/// By what every processor has.
pub(in crate::cpu::matmul) struct InPairs;

impl Products for InPairs {
    #[inline(always)]
    unsafe fn add(sums: int32x4_t, weights: int8x16_t, x: int8x16_t) -> int32x4_t {
        // SAFETY: the caller's promise. A product is at most 128 * 127, for x is never -128, so two
        // of them fit into 16 bits.
        unsafe {
            let low = vmull_s8(vget_low_s8(weights), vget_low_s8(x));
            let high = vmull_high_s8(weights, x);
            vpadalq_s16(sums, vpaddq_s16(low, high))
        }
    }
}

/// By `sdot`, of the extension `dotprod`.
pub(in crate::cpu::matmul) struct AtOnce;

impl Products for AtOnce {
    #[inline(always)]
    unsafe fn add(mut sums: int32x4_t, weights: int8x16_t, x: int8x16_t) -> int32x4_t {
        // SAFETY: the caller's promise; registers are all that is read and written.
        unsafe {
            asm!(
                "sdot {sums:v}.4s, {weights:v}.16b, {x:v}.16b",
                sums = inout(vreg) sums,
                weights = in(vreg) weights,
                x = in(vreg) x,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        sums
    }
}

impl<P: Products> Lanes for Register<P> {
    const ROWS: usize = 4;
    const OFFSET: u32 = 0;
    type Bytes = uint8x16_t;
    type Ints = int32x4_t;
    type Floats = float32x4_t;

    #[inline(always)]
    unsafe fn bytes(at: *const u8) -> uint8x16_t {
        // SAFETY: the caller's promise.
        unsafe { vld1q_u8(at) }
    }

    #[inline(always)]
    unsafe fn low(bytes: uint8x16_t) -> uint8x16_t {
        // SAFETY: the caller's promise.
        unsafe { vandq_u8(bytes, vdupq_n_u8(15)) }
    }

    #[inline(always)]
    unsafe fn high(bytes: uint8x16_t) -> uint8x16_t {
        // SAFETY: the caller's promise.
        unsafe { vshrq_n_u8::<4>(bytes) }
    }

    #[inline(always)]
    unsafe fn with<const MASK: i8>(bytes: uint8x16_t, more: uint8x16_t, left: i32) -> uint8x16_t {
        // SAFETY: the caller's promise.
        unsafe {
            let shifted = vshlq_u8(more, vdupq_n_s8(left as i8));
            vorrq_u8(bytes, vandq_u8(shifted, vdupq_n_u8(MASK.cast_unsigned())))
        }
    }

    #[inline(always)]
    unsafe fn all(whole: i32) -> int32x4_t {
        // SAFETY: the caller's promise.
        unsafe { vdupq_n_s32(whole) }
    }

    #[inline(always)]
    unsafe fn dot(sums: int32x4_t, weights: uint8x16_t, x: *const u32) -> int32x4_t {
        // SAFETY: the caller's promise. Six bits are the same with a sign.
        unsafe { Self::dot_signed(sums, weights, x) }
    }

    #[inline(always)]
    unsafe fn dot_signed(sums: int32x4_t, weights: uint8x16_t, x: *const u32) -> int32x4_t {
        // SAFETY: the caller's promise; activations are never -128.
        unsafe {
            let x = vreinterpretq_s8_u32(vld1q_dup_u32(x));
            P::add(sums, vreinterpretq_s8_u8(weights), x)
        }
    }

    #[inline(always)]
    unsafe fn to_floats(ints: int32x4_t) -> float32x4_t {
        // SAFETY: the caller's promise.
        unsafe { vcvtq_f32_s32(ints) }
    }

    #[inline(always)]
    unsafe fn halves(at: *const u8) -> float32x4_t {
        // SAFETY: the caller's promise.
        unsafe { vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(at))) }
    }

    #[inline(always)]
    unsafe fn unsigned(at: *const u8) -> float32x4_t {
        // SAFETY: the caller's promise.
        unsafe {
            let bytes = vcreate_u8(u64::from(at.cast::<u32>().read_unaligned()));
            vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(bytes))))
        }
    }

    #[inline(always)]
    unsafe fn signed(at: *const u8) -> float32x4_t {
        // SAFETY: the caller's promise.
        unsafe {
            let bytes = vcreate_s8(u64::from(at.cast::<u32>().read_unaligned()));
            vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes))))
        }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        // SAFETY: the caller's promise.
        unsafe { vdupq_n_f32(x) }
    }

    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the caller's promise.
        unsafe { vmulq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: the caller's promise.
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    unsafe fn store(floats: float32x4_t, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { vst1q_f32(to, floats) };
    }
}
