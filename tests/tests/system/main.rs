//! The whole system, as its clients and its enemies see it: real agents, real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "figures, and what is not tried, must show"
)]

mod acme;
mod adopt;
mod alerts;
mod backup;
#[path = "../../../hw/tests/cuda/build.rs"]
mod build;
mod burn_in;
mod cards;
mod cluster;
mod crash;
mod devices;
mod disk;
mod failover;
mod faults;
mod guide;
mod hostile;
mod http;
mod installing;
mod plugins;
mod projects;
mod remote;
mod services;
mod setup;
mod signin;
mod start;
mod steps;
mod supervised;
mod swarm;
mod upstreams;
mod walls;
