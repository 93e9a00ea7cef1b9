//! NVIDIA's cards from their driver alone, and AMD's from their runtime, which has the same functions by other names.
//!
//! Decides what of them is used ([`library`]), and which form of the kernels a card gets ([`images`]). The kernels are
//! `kernels/portable`, compiled ahead of time.

#![expect(
    unsafe_code,
    reason = "a driver is a library of C; each block says why it is sound"
)]

mod device;
mod images;
mod library;

pub(crate) use self::device::Device;
pub(crate) use self::library::Vendor;
