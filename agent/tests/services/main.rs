//! Real service processes with real components, over loopback alone: who is reached, what comes back, and what hostile plugins
//! and hostile servers get for their trouble.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod answers;
mod bench;
mod boundary;
mod calls;
mod hosts;
mod mail;
mod recorded;
mod revoked;
mod secrets;
mod servers;
mod speed;
mod vices;
