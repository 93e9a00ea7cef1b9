//! Sixteen floats at a time, on whatever registers there are.
//!
//! Decides the vocabulary that kernels are written in, so that one text serves every instruction
//! set and each lane's order of operations is the same on all. Refuses to know ops.
//!
//! Every method is `inline(always)`: a kernel is a generic function, compiled once for each
//! instruction set by the macro [`kernel`], inside a function that enables it.

#[cfg(target_arch = "aarch64")]
mod aarch64_neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86_avx2;
#[cfg(target_arch = "x86_64")]
mod x86_avx512;

#[cfg(target_arch = "aarch64")]
pub(super) use self::aarch64_neon::Neon;
pub(super) use self::portable::Portable;
#[cfg(target_arch = "x86_64")]
pub(super) use self::x86_avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(super) use self::x86_avx512::Avx512;

/// Lanes of a vector.
pub(super) const LANES: usize = 16;

/// Sixteen floats.
///
/// A value of a type other than [`Portable`] may only come into being where its instructions are
/// enabled; [`kernel`] sees to that.
pub(super) trait Vector: Copy {
    /// Whether there are registers for some twenty-four of them at once.
    const MANY: bool = false;

    fn splat(x: f32) -> Self;
    fn load(from: &[f32; LANES]) -> Self;
    fn store(self, to: &mut [f32; LANES]);
    /// From single precision as bytes, of any alignment.
    fn load_f32_bytes(from: &[u8; 64]) -> Self;
    /// From half precision as bytes, of any alignment.
    fn load_f16_bytes(from: &[u8; 32]) -> Self;
    /// From the upper halves of floats as bytes, of any alignment.
    fn load_bf16_bytes(from: &[u8; 32]) -> Self;
    fn load_f16(from: &[u16; LANES]) -> Self;
    fn store_f16(self, to: &mut [u16; LANES]);
    /// From signed bytes.
    fn load_i8_bytes(from: &[u8; LANES]) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// `self * by + plus`, rounded once.
    fn fma(self, by: Self, plus: Self) -> Self;
    /// `self > other ? self : other`, so `other` where either is NaN.
    fn max(self, other: Self) -> Self;
    /// `self < other ? self : other`, so `other` where either is NaN.
    fn min(self, other: Self) -> Self;
    fn abs(self) -> Self;
    /// To the nearest whole number, halves to even.
    fn round(self) -> Self;
    /// Two to the power of a whole number from -126 to 127.
    fn power_of_two(self) -> Self;
    /// `self` times two to the power of a whole number from -150 to 129, rounded once. `self` is from 0.5 to 2.
    #[inline(always)]
    fn times_power_of_two(self, power: Self) -> Self {
        // In two steps, so that neither leaves the range of exponents before the product does.
        let half = power.mul(Self::splat(0.5)).round();
        let other = power.sub(half);
        self.mul(half.power_of_two()).mul(other.power_of_two())
    }
    /// `self > limit ? yes : no`, lane by lane; `no` where either is NaN.
    fn select_above(self, limit: Self, yes: Self, no: Self) -> Self;
    /// Whole numbers from -128 to 127 as bytes, four to a word, and their sum.
    fn to_bytes(self) -> ([u32; 4], i32);
    /// Whether no lane is infinite or NaN.
    fn is_finite(self) -> bool;
    /// The sum of the lanes: l and l + 8, then l and l + 4, and so on.
    fn sum(self) -> f32;
    /// The largest lane; NaN lanes may be overlooked.
    fn largest(self) -> f32;

    fn zero() -> Self {
        Self::splat(0.0)
    }

    /// The first lanes from a slice shorter than a vector, the others zero.
    #[inline(always)]
    fn load_part(from: &[f32]) -> Self {
        let mut lanes = [0.0; LANES];
        for (lane, x) in lanes.iter_mut().zip(from) {
            *lane = *x;
        }
        Self::load(&lanes)
    }

    /// The first lanes to a slice shorter than a vector.
    #[inline(always)]
    fn store_part(self, to: &mut [f32]) {
        let mut lanes = [0.0; LANES];
        self.store(&mut lanes);
        for (x, lane) in to.iter_mut().zip(lanes) {
            *x = lane;
        }
    }
}

/// Asks for the bytes at `at`, wherever that is, since they are read soon.
#[inline(always)]
pub(super) fn prefetch(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every processor of this architecture has the instruction, and it never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: every processor of this architecture has the instruction, and it never faults.
    unsafe {
        std::arch::asm!(
            "prfm pldl1keep, [{at}]",
            at = in(reg) at.addr(),
            options(nomem, nostack, preserves_flags),
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = at;
}

/// Declares a kernel: a function that takes a [`Level`](super::level::Level) first and calls
/// `$generic`, which has one type parameter, compiled for that level's instructions.
macro_rules! kernel {
    ($(#[$doc:meta])* $name:ident = $generic:ident($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)?) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments, reason = "kernels take what they read")]
        pub(crate) fn $name(level: $crate::cpu::level::Level, $($arg: $type),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                use $crate::cpu::level::Isa;
                use $crate::cpu::vector::{Avx2, Avx512};

                #[target_feature(enable = "avx2,fma,f16c")]
                #[allow(clippy::too_many_arguments, reason = "as outside")]
                fn with_avx2($($arg: $type),*) $(-> $ret)? {
                    $generic::<Avx2>($($arg),*)
                }

                #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
                #[allow(clippy::too_many_arguments, reason = "as outside")]
                fn with_avx512($($arg: $type),*) $(-> $ret)? {
                    $generic::<Avx512>($($arg),*)
                }

                match level.isa() {
                    // SAFETY: a `Level` of this kind exists only where the processor was seen to
                    // have these instructions.
                    Isa::Avx512 | Isa::Amx => return unsafe { with_avx512($($arg),*) },
                    // SAFETY: as above.
                    Isa::Avx2 => return unsafe { with_avx2($($arg),*) },
                    _ => {}
                }
            }
            #[cfg(target_arch = "aarch64")]
            {
                use $crate::cpu::level::Isa;

                if matches!(level.isa(), Isa::Neon | Isa::NeonDot) {
                    return $generic::<$crate::cpu::vector::Neon>($($arg),*);
                }
            }
            let _ = level;
            $generic::<$crate::cpu::vector::Portable>($($arg),*)
        }
    };
}

pub(in crate::cpu) use kernel;
