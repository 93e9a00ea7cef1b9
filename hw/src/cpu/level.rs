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
        }
    }

    /// Every instruction set that this processor has, the best last.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let all = [Self::Reference, Self::Portable, Self::Avx2, Self::Avx512];
        all.into_iter()
            .filter(|isa| Level::of(*isa).is_some())
            .collect()
    }
}

/// An instruction set that this processor was seen to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level(Isa);

impl Level {
    /// The best there is.
    pub(crate) fn best() -> Self {
        Self::of(Isa::Avx512)
            .or_else(|| Self::of(Isa::Avx2))
            .unwrap_or(Self(Isa::Portable))
    }

    /// `isa`, if this processor has it.
    pub(crate) fn of(isa: Isa) -> Option<Self> {
        let there = match isa {
            Isa::Reference | Isa::Portable => true,
            Isa::Avx2 => has_avx2(),
            Isa::Avx512 => has_avx2() && has_avx512(),
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

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx512() -> bool {
    false
}
