//! Plans on NVIDIA cards, from their driver alone.
//!
//! Decides what of the driver is used ([`driver`]), what a card holds ([`card`]) and which launches a graph becomes
//! ([`engine`]). The kernels are `kernels/portable`, compiled ahead of time.

#![expect(
    unsafe_code,
    reason = "a driver is a library of C; each block says why it is sound"
)]
#![expect(
    clippy::indexing_slicing,
    reason = "the graph's check proved every shape and the layout has a view for each value; a wrong index here is a bug that tests must hit"
)]

mod card;
mod driver;
mod engine;
mod facts;
mod memory;
mod recording;

pub(crate) use self::card::Card;
pub use self::driver::CudaError;
pub(crate) use self::engine::Engine;
pub(crate) use self::memory::Memory;
