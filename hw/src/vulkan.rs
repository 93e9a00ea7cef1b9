//! Plans on any card with Vulkan 1.2, from its driver alone.
//!
//! Decides which device is taken and what it must have ([`device`]), how its memory is dealt out ([`memory`]), in what order
//! things happen ([`queue`]) and how kernels are found ([`kernels`]). The kernels are `kernels/vulkan`, compiled ahead of
//! time; they take what those of `kernels/portable` take, in the same order.

#![expect(
    unsafe_code,
    reason = "a driver is a library of C; each block says why it is sound"
)]

mod device;
mod driver;
mod error;
mod kernels;
mod memory;
mod queue;

pub(crate) use self::driver::VulkanDriver;
pub use self::error::VulkanError;
