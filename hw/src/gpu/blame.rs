//! What a number that the driver answers with speaks against.
//!
//! Decides after which errors nothing of the card can be relied on by this process. The texts and numbers are those of
//! `CUresult` in the CUDA Driver API reference; of most of the faults it says that they leave "the process in an inconsistent
//! state", that "any further CUDA work will return the same error", and that the process must be started anew. Where AMD's
//! runtime has such an error, it has the same number (`hipError_t` in the HIP Runtime API reference); Vulkan's are below
//! zero (`VkResult`).

use super::driver::GpuError;

/// What an error speaks against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The card's memory did not suffice. Everything else is as it was.
    Memory,
    /// The card, or what this process has of it: the process must end.
    Card,
    /// The program, or what of the driver is installed.
    Program,
}

impl Blame {
    /// By the driver's number of an error.
    #[must_use]
    pub(crate) fn of(code: i32) -> Self {
        KNOWN
            .iter()
            .find(|(known, ..)| *known == code)
            .map_or(Self::Program, |(.., blame)| *blame)
    }
}

/// The driver's name of an error, as far as it can speak against a card.
pub(crate) fn name(code: i32) -> &'static str {
    let known = KNOWN.iter().find(|(known, ..)| *known == code);
    known.map_or("an error", |(_, name, _)| name)
}

impl GpuError {
    /// What it speaks against.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Failed { code, .. } => Blame::of(*code),
            Self::Piece { .. } => Blame::Memory,
            Self::Library { .. }
            | Self::Missing { .. }
            | Self::Prebuilt(_)
            | Self::NoCard { .. }
            | Self::Lacks { .. }
            | Self::Grid { .. }
            | Self::Kernel { .. } => Blame::Program,
        }
    }
}

const KNOWN: [(i32, &str, Blame); 30] = [
    (-4, "DEVICE_LOST", Blame::Card),
    (-2, "OUT_OF_DEVICE_MEMORY", Blame::Memory),
    (-1, "OUT_OF_HOST_MEMORY", Blame::Memory),
    (2, "OUT_OF_MEMORY", Blame::Memory),
    (4, "DEINITIALIZED", Blame::Card),
    (46, "DEVICE_UNAVAILABLE", Blame::Card),
    (100, "NO_DEVICE", Blame::Card),
    (101, "INVALID_DEVICE", Blame::Card),
    (201, "INVALID_CONTEXT", Blame::Card),
    (214, "ECC_UNCORRECTABLE", Blame::Card),
    (220, "NVLINK_UNCORRECTABLE", Blame::Card),
    (226, "CONTAINED", Blame::Card),
    (304, "OPERATING_SYSTEM", Blame::Card),
    (700, "ILLEGAL_ADDRESS", Blame::Card),
    (702, "LAUNCH_TIMEOUT", Blame::Card),
    (709, "CONTEXT_IS_DESTROYED", Blame::Card),
    (710, "ASSERT", Blame::Card),
    (714, "HARDWARE_STACK_ERROR", Blame::Card),
    (715, "ILLEGAL_INSTRUCTION", Blame::Card),
    (716, "MISALIGNED_ADDRESS", Blame::Card),
    (717, "INVALID_ADDRESS_SPACE", Blame::Card),
    (718, "INVALID_PC", Blame::Card),
    (719, "LAUNCH_FAILED", Blame::Card),
    (721, "TENSOR_MEMORY_LEAK", Blame::Card),
    (802, "SYSTEM_NOT_READY", Blame::Card),
    (803, "SYSTEM_DRIVER_MISMATCH", Blame::Program),
    (804, "COMPAT_NOT_SUPPORTED_ON_DEVICE", Blame::Program),
    (807, "MPS_SERVER_NOT_READY", Blame::Card),
    (810, "MPS_CLIENT_TERMINATED", Blame::Card),
    (999, "UNKNOWN", Blame::Card),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_ends_the_process_and_a_lack_of_memory_does_not() {
        for (codes, expect) in [
            (&[2, -1, -2][..], Blame::Memory),
            (&[-4, 46, 100, 214, 700, 702, 716, 719, 999], Blame::Card),
            (&[0, 1, 3, 209, 500, 701, 801], Blame::Program),
        ] {
            for code in codes {
                assert_eq!(Blame::of(*code), expect, "{code}");
            }
        }
        assert!(KNOWN.windows(2).all(|two| two[0].0 < two[1].0));
    }
}
