//! Many cores on virtual time, over a network that a seed makes bad.
//!
//! A [`World`] is a function of its [`Plan`]: the same plan gives the same events, in the same
//! order. What each core was told can be kept as a [`log::Log`] and replayed without the network,
//! step by step.
//!
//! Decides what goes wrong and what must hold all the same. Refuses to look inside of a core.
#![forbid(unsafe_code)]

mod check;
mod faults;
pub mod log;
pub mod measure;
mod network;
mod node;
mod plan;
mod poison;
mod world;

pub use self::plan::Plan;
pub use self::poison::poison;
pub use self::world::{Broken, World};
