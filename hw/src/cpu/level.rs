//! Which instructions the kernels may use.
//!
//! Decides what this processor offers; a [`Level`] above the portable one is the proof that its
//! instructions exist, and only this file makes one.

/// An instruction set that kernels are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// The oracle: one thread, no vectors. For tests and for doubt.
    Reference,
    /// Plain loops on all threads; any processor.
    Portable,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX-512 with BW, DQ, VL, VBMI and VNNI (Ice Lake, Zen 4 and later).
    Avx512,
    /// The same, with tiles of AMX for products of many rows (Sapphire Rapids and later).
    Amx,
    /// NEON, which every 64-bit ARM has.
    Neon,
    /// The same with dot products of bytes (`dotprod`: Cortex-A76, Apple M1, Neoverse N1 and later).
    NeonDot,
}

impl Isa {
    /// The name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Portable => "portable",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
            Self::Amx => "AMX",
            Self::Neon => "NEON",
            Self::NeonDot => "NEON with dot products",
        }
    }

    /// Every instruction set that this processor has, the best last.
    #[must_use]
    pub fn available() -> Vec<Self> {
        Self::ALL
            .into_iter()
            .filter(|isa| Level::of(*isa).is_some())
            .collect()
    }

    /// Of each architecture, the best last.
    const ALL: [Self; 7] = [
        Self::Reference,
        Self::Portable,
        Self::Avx2,
        Self::Avx512,
        Self::Amx,
        Self::Neon,
        Self::NeonDot,
    ];
}

/// An instruction set that this processor was seen to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level(Isa);

impl Level {
    /// The best there is.
    pub(crate) fn best() -> Self {
        let best = Isa::ALL.into_iter().rev().find_map(Self::of);
        best.unwrap_or(Self(Isa::Portable))
    }

    /// `isa`, if this processor has it.
    pub(crate) fn of(isa: Isa) -> Option<Self> {
        let there = match isa {
            Isa::Reference | Isa::Portable => true,
            Isa::Avx2 => has_avx2(),
            Isa::Avx512 => has_avx2() && has_avx512(),
            Isa::Amx => has_avx2() && has_avx512() && has_amx(),
            Isa::Neon => has_neon(),
            Isa::NeonDot => has_neon() && has_dot_products(),
        };
        there.then_some(Self(isa))
    }

    pub(crate) fn isa(self) -> Isa {
        self.0
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vnni")
}

/// Whether the processor has tiles of bytes, and the system lets this process use them.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn has_amx() -> bool {
    use std::arch::x86_64::__cpuid_count;
    use std::sync::LazyLock;

    static THERE: LazyLock<bool> = LazyLock::new(|| {
        let leaves = std::arch::x86_64::__cpuid(0).eax;
        // Bits 24 and 25 of EDX of leaf 7: AMX-TILE and AMX-INT8 (Intel's manual, volume 2, CPUID).
        let tiles = leaves >= 7 && __cpuid_count(7, 0).edx >> 24 & 3 == 3;
        tiles && tiles_allowed()
    });
    *THERE
}

/// Asks the system for the state of tiles; it is granted to the whole process, for good.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn tiles_allowed() -> bool {
    // From `asm/prctl.h` and the list of processor states: `ARCH_REQ_XCOMP_PERM` of `XTILE_DATA`.
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XTILE_DATA: u64 = 18;
    const ARCH_PRCTL: i64 = 158;
    let answer: i64;
    // SAFETY: the call reads two numbers and no memory; what it clobbers is named.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => answer,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XTILE_DATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer == 0
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn has_amx() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx512() -> bool {
    false
}

/// Always, but kernels read numbers as they lie in files, least byte first.
#[cfg(target_arch = "aarch64")]
fn has_neon() -> bool {
    cfg!(target_endian = "little")
}

#[cfg(target_arch = "aarch64")]
fn has_dot_products() -> bool {
    std::arch::is_aarch64_feature_detected!("dotprod")
}

#[cfg(not(target_arch = "aarch64"))]
fn has_neon() -> bool {
    false
}

#[cfg(not(target_arch = "aarch64"))]
fn has_dot_products() -> bool {
    false
}
