//! Sixteen floats in four registers of NEON.

use std::arch::aarch64::{
    float32x4_t, vabsq_f32, vadd_f32, vaddlvq_s8, vaddq_f32, vaddq_s32, vandq_u32, vbslq_f32,
    vcgtq_f32, vcltq_f32, vcombine_s8, vcombine_s16, vcvt_f16_f32, vcvt_f32_f16, vcvtq_f32_s32,
    vcvtq_s32_f32, vdivq_f32, vdupq_n_f32, vdupq_n_s32, vfmaq_f32, vget_high_f32, vget_high_s8,
    vget_high_s16, vget_low_f32, vget_low_s8, vget_low_s16, vld1_u8, vld1_u16, vld1q_f32, vld1q_s8,
    vld1q_u8, vmaxnmq_f32, vmaxnmvq_f32, vminvq_u32, vmovl_s8, vmovl_s16, vmovl_u16, vmulq_f32,
    vpadds_f32, vqmovn_s16, vqmovn_s32, vreinterpret_f16_u8, vreinterpret_f16_u16,
    vreinterpret_u16_f16, vreinterpret_u16_u8, vreinterpretq_f32_s32, vreinterpretq_f32_u8,
    vreinterpretq_f32_u32, vrndnq_f32, vshlq_n_s32, vshlq_n_u32, vst1_u16, vst1q_f32, vst1q_s8,
    vsubq_f32,
};

use super::{LANES, Vector};

/// Sixteen floats in four registers.
///
/// Every method needs NEON, which every target of this architecture that has a standard library
/// enables for all code, so nothing is left to prove.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Neon([float32x4_t; REGISTERS]);

const REGISTERS: usize = LANES / 4;

impl Vector for Neon {
    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: see the type.
        unsafe { Self([vdupq_n_f32(x); REGISTERS]) }
    }

    #[inline(always)]
    fn load(from: &[f32; LANES]) -> Self {
        let mut to = Self::zero();
        for i in 0..REGISTERS {
            // SAFETY: see the type; the array holds what is read.
            to.0[i] = unsafe { vld1q_f32(from.as_ptr().add(4 * i)) };
        }
        to
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        for i in 0..REGISTERS {
            // SAFETY: see the type; the array has room for what is written.
            unsafe { vst1q_f32(to.as_mut_ptr().add(4 * i), self.0[i]) };
        }
    }

    #[inline(always)]
    fn load_f32_bytes(from: &[u8; 64]) -> Self {
        let mut to = Self::zero();
        for i in 0..REGISTERS {
            // SAFETY: see the type; the array holds what is read.
            to.0[i] = unsafe { vreinterpretq_f32_u8(vld1q_u8(from.as_ptr().add(16 * i))) };
        }
        to
    }

    #[inline(always)]
    fn load_f16_bytes(from: &[u8; 32]) -> Self {
        let mut to = Self::zero();
        for i in 0..REGISTERS {
            // SAFETY: see the type; the array holds what is read.
            to.0[i] =
                unsafe { vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(from.as_ptr().add(8 * i)))) };
        }
        to
    }

    #[inline(always)]
    fn load_bf16_bytes(from: &[u8; 32]) -> Self {
        let mut to = Self::zero();
        for i in 0..REGISTERS {
            // SAFETY: see the type; the array holds what is read.
            unsafe {
                let bits = vmovl_u16(vreinterpret_u16_u8(vld1_u8(from.as_ptr().add(8 * i))));
                to.0[i] = vreinterpretq_f32_u32(vshlq_n_u32::<16>(bits));
            }
        }
        to
    }

    #[inline(always)]
    fn load_i8_bytes(from: &[u8; LANES]) -> Self {
        // SAFETY: see the type; the array holds what is read.
        unsafe {
            let bytes = vld1q_s8(from.as_ptr().cast());
            let (low, high) = (vmovl_s8(vget_low_s8(bytes)), vmovl_s8(vget_high_s8(bytes)));
            Self([
                vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
                vcvtq_f32_s32(vmovl_s16(vget_high_s16(low))),
                vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
                vcvtq_f32_s32(vmovl_s16(vget_high_s16(high))),
            ])
        }
    }

    #[inline(always)]
    fn load_f16(from: &[u16; LANES]) -> Self {
        let mut to = Self::zero();
        for i in 0..REGISTERS {
            // SAFETY: see the type; the array holds what is read.
            to.0[i] =
                unsafe { vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from.as_ptr().add(4 * i)))) };
        }
        to
    }

    #[inline(always)]
    fn store_f16(self, to: &mut [u16; LANES]) {
        for i in 0..REGISTERS {
            // SAFETY: see the type; the array has room for what is written.
            unsafe {
                let halves = vreinterpret_u16_f16(vcvt_f16_f32(self.0[i]));
                vst1_u16(to.as_mut_ptr().add(4 * i), halves);
            }
        }
    }

    #[inline(always)]
    fn add(mut self, other: Self) -> Self {
        for i in 0..REGISTERS {
            // SAFETY: see the type.
            self.0[i] = unsafe { vaddq_f32(self.0[i], other.0[i]) };
        }
        self
    }

    #[inline(always)]
    fn sub(mut self, other: Self) -> Self {
        for i in 0..REGISTERS {
            // SAFETY: see the type.
            self.0[i] = unsafe { vsubq_f32(self.0[i], other.0[i]) };
        }
        self
    }

    #[inline(always)]
    fn mul(mut self, other: Self) -> Self {
        for i in 0..REGISTERS {
            // SAFETY: see the type.
            self.0[i] = unsafe { vmulq_f32(self.0[i], other.0[i]) };
        }
        self
    }

    #[inline(always)]
    fn div(mut self, other: Self) -> Self {
        for i in 0..REGISTERS {
            // SAFETY: see the type.
            self.0[i] = unsafe { vdivq_f32(self.0[i], other.0[i]) };
        }
        self
    }

    #[inline(always)]
    fn fma(mut self, by: Self, plus: Self) -> Self {
        for i in 0..REGISTERS {
            // SAFETY: see the type.
            self.0[i] = unsafe { vfmaq_f32(plus.0[i], self.0[i], by.0[i]) };
        }
        self
    }

    // `fmax` and `fmin` would give NaN where either is, so both are made of a comparison.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.select_above(other, self, other)
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        other.select_above(self, self, other)
    }

    #[inline(always)]
    fn abs(mut self) -> Self {
        for i in 0..REGISTERS {
            // SAFETY: see the type.
            self.0[i] = unsafe { vabsq_f32(self.0[i]) };
        }
        self
    }

    #[inline(always)]
    fn round(mut self) -> Self {
        for i in 0..REGISTERS {
            // SAFETY: see the type.
            self.0[i] = unsafe { vrndnq_f32(self.0[i]) };
        }
        self
    }

    #[inline(always)]
    fn power_of_two(mut self) -> Self {
        for i in 0..REGISTERS {
            // SAFETY: see the type.
            unsafe {
                let power = vaddq_s32(vcvtq_s32_f32(self.0[i]), vdupq_n_s32(127));
                self.0[i] = vreinterpretq_f32_s32(vshlq_n_s32::<23>(power));
            }
        }
        self
    }

    #[inline(always)]
    fn select_above(mut self, limit: Self, yes: Self, no: Self) -> Self {
        for i in 0..REGISTERS {
            // SAFETY: see the type.
            self.0[i] = unsafe { vbslq_f32(vcgtq_f32(self.0[i], limit.0[i]), yes.0[i], no.0[i]) };
        }
        self
    }

    #[inline(always)]
    fn to_bytes(self) -> ([u32; 4], i32) {
        let mut words = [0_u32; 4];
        let [a, b, c, d] = self.0;
        // SAFETY: see the type; the array has the 16 bytes that are written.
        unsafe {
            let low = vcombine_s16(vqmovn_s32(vcvtq_s32_f32(a)), vqmovn_s32(vcvtq_s32_f32(b)));
            let high = vcombine_s16(vqmovn_s32(vcvtq_s32_f32(c)), vqmovn_s32(vcvtq_s32_f32(d)));
            let packed = vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
            vst1q_s8(words.as_mut_ptr().cast(), packed);
            (words, i32::from(vaddlvq_s8(packed)))
        }
    }

    #[inline(always)]
    fn is_finite(self) -> bool {
        let [a, b, c, d] = self.abs().0;
        // SAFETY: see the type.
        unsafe {
            let limit = vdupq_n_f32(f32::INFINITY);
            let low = vandq_u32(vcltq_f32(a, limit), vcltq_f32(b, limit));
            let high = vandq_u32(vcltq_f32(c, limit), vcltq_f32(d, limit));
            vminvq_u32(vandq_u32(low, high)) != 0
        }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d] = self.0;
        // SAFETY: see the type.
        unsafe {
            let x = vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d));
            vpadds_f32(vadd_f32(vget_low_f32(x), vget_high_f32(x)))
        }
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        let [a, b, c, d] = self.0;
        // SAFETY: see the type.
        unsafe { vmaxnmvq_f32(vmaxnmq_f32(vmaxnmq_f32(a, b), vmaxnmq_f32(c, d))) }
    }
}
