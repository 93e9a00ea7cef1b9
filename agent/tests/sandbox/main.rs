//! Real worker processes with real components, most of them hostile: each is contained, and says what happened.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bench;
mod compile;
mod death;
mod hostile;
mod installer;
mod many;
mod moved;
mod recorded;
mod scheduler;
mod schedulers;
