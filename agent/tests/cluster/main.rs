//! The network between nodes under attack: real clusters on loopback, and whoever should not get in or
//! means harm once inside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and prints the seed that makes it fail"
)]

mod addresses;
mod adopting;
mod certificates;
mod foreign;
mod joining;
mod middle;
mod nodes;
mod papers;
mod poison;
mod removed;
mod rotation;
mod versions;
