//! Telemetry against stand-ins: vendor libraries compiled from `fakes/` and a `/sys` of files.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

#[path = "telemetry/amd.rs"]
mod amd;
#[path = "telemetry/fake.rs"]
mod fake;
#[path = "telemetry/host.rs"]
mod host;
#[path = "telemetry/nvidia.rs"]
mod nvidia;
#[path = "telemetry/refusals.rs"]
mod refusals;
#[path = "telemetry/whole.rs"]
mod whole;
