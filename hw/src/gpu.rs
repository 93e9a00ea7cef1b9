//! Plans on a graphics card, whoever made it.
//!
//! Decides what a card holds ([`card`]), which launches a graph becomes ([`engine`]) and what a back end must be able to do
//! for that ([`driver`]). The back ends are [`crate::cuda`] and its like; their kernels have the same names and parameters.

#![expect(
    unsafe_code,
    reason = "launches are given addresses; each block says why they are sound"
)]
#![expect(
    clippy::indexing_slicing,
    reason = "the graph's check proved every shape and the layout has a view for each value; a wrong index here is a bug that tests must hit"
)]

mod blame;
mod card;
mod driver;
mod engine;
mod facts;
mod memory;
mod planes;
mod prebuilt;
mod recording;
mod room;

pub use self::blame::Blame;
pub(crate) use self::blame::name as code_name;
pub(crate) use self::card::Card;
pub use self::driver::GpuError;
pub(crate) use self::driver::{Driver, PARAMETERS_MAX, Recorded};
pub(crate) use self::engine::Engine;
pub(crate) use self::memory::Memory;
pub(crate) use self::prebuilt::unpacked;
pub(crate) use self::room::Room;
