//! What a Vulkan device may refuse to do. Decides the words.

use ash::vk;

/// Why a Vulkan device does not do what it was asked to.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VulkanError {
    /// There is no loader.
    #[error(
        "Vulkan's library could not be loaded: {0}; install the loader (Debian: libvulkan1) and the card's driver"
    )]
    Library(String),
    /// The loader or the driver is older than what is asked of it.
    #[error("the Vulkan driver has no function `{0}`; a newer one has")]
    Missing(&'static str),
    /// A function failed.
    #[error("Vulkan's `{function}` failed: {code:?}")]
    Failed {
        /// Which.
        function: &'static str,
        /// Vulkan's name of the error.
        code: vk::Result,
    },
    /// No such device.
    #[error("there is no Vulkan device {index}: this machine has {count}")]
    NoDevice {
        /// The one asked for, from 0.
        index: u32,
        /// How many there are.
        count: usize,
    },
    /// A device that kernels cannot run on.
    #[error("`{device}` lacks what kernels need: {feature}")]
    Lacks {
        /// Its name.
        device: String,
        /// Vulkan's name of what it lacks.
        feature: &'static str,
    },
    /// More than the device gives in one piece.
    #[error("{bytes} bytes in one piece are more than the device gives, {most}")]
    Piece {
        /// Asked for.
        bytes: u64,
        /// At most.
        most: u64,
    },
    /// There is no kernel of that name, or it is of another form: a fault of this program.
    #[error("there is no kernel `{name}` of {threads} threads that takes {parameters} numbers")]
    Kernel {
        /// Its name.
        name: &'static str,
        /// Threads of a block.
        threads: u32,
        /// Numbers that it is given.
        parameters: usize,
    },
    /// More blocks than the device starts at once.
    #[error("`{kernel}` over {blocks:?} blocks is more than the device starts, {most:?}; take smaller batches")]
    Blocks {
        /// What was to start.
        kernel: &'static str,
        /// How often.
        blocks: [usize; 3],
        /// At most.
        most: [u32; 3],
    },
    /// An address that is not of this device's memory: a fault of this program.
    #[error("{bytes} bytes at {address:#x} are not memory of this device")]
    Address {
        /// The first byte's.
        address: u64,
        /// How many.
        bytes: usize,
    },
}

/// Names the function whose result it was.
pub(super) fn called<T>(
    function: &'static str,
    result: Result<T, vk::Result>,
) -> Result<T, VulkanError> {
    result.map_err(|code| VulkanError::Failed { function, code })
}
