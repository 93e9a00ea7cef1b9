//! The agent of one node: it serves requests, and keeps models loaded in worker processes.
//!
//! This crate acts: sockets, files, processes, clocks. What is to be done is decided by
//! `skep-core`, which never acts; what a request costs is computed by `skep-hw` in workers.

pub mod client;
pub mod compiler;
pub mod config;
pub mod fleet;
pub mod host;
pub mod http;
pub mod identity;
pub mod keys;
pub mod limits;
pub mod logs;
pub mod models;
pub mod paths;
pub mod protocol;
pub mod wire;
pub mod worker;
