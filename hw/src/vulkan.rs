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
mod kernels;
mod memory;
mod queue;

use ash::vk;

pub(crate) use self::driver::Vulkan;
use crate::gpu::GpuError;

/// Whose driver an error is of.
const VENDOR: &str = "Vulkan";

/// Names the function whose result it was.
fn called<T>(function: &'static str, result: Result<T, vk::Result>) -> Result<T, GpuError> {
    result.map_err(|code| failed(function, &format!("{code:?}"), code.as_raw()))
}

fn failed(function: &'static str, name: &str, code: i32) -> GpuError {
    GpuError::Failed {
        vendor: VENDOR,
        function,
        name: name.to_owned(),
        code,
    }
}
