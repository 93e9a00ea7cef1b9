//! Our own adapters and notifiers, each as the component that is shipped, in a real service process: what they ask, what they make
//! of answers, and what they do when a service is busy, slow, wrong, cut off or endless.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../services/bench.rs"]
#[allow(dead_code, reason = "what is tried here needs a part of it")]
mod bench;
mod call;
mod notifiers;
mod ollama;
mod openai;
mod own;
#[path = "../services/servers.rs"]
#[allow(dead_code, reason = "what is tried here needs a part of it")]
mod servers;
