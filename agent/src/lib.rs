//! Under construction.

pub mod fleet;
pub mod limits;
pub mod protocol;
