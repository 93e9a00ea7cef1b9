//! Under construction.

pub mod telemetry;
