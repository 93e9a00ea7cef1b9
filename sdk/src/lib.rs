//! Write a skep plugin in Rust: one trait and one macro for each world of `skep:plugin`.
//!
//! A plugin is a WebAssembly component. It is built by plain cargo and runs in a sandbox: it can do
//! what its world's imports allow, and nothing else. This is a whole one, a scheduler that
//! sends each request to the first ready replica of its model:
//!
//! ```
//! use skep_sdk::scheduler::{
//!     Candidate, Change, Choice, Job, Placement, Refusal, Replica, ReplicaState, Request, Scheduler,
//! };
//!
//! #[derive(Default)]
//! struct First {
//!     replicas: Vec<Replica>,
//! }
//!
//! impl Scheduler for First {
//!     fn observe(&mut self, change: Change) {
//!         match change {
//!             Change::Replica(new) => {
//!                 self.replicas.retain(|known| known.id != new.id);
//!                 self.replicas.push(new);
//!             }
//!             Change::ReplicaGone(id) => self.replicas.retain(|known| known.id != id),
//!             Change::Node(_) | Change::NodeGone(_) => {}
//!         }
//!     }
//!
//!     fn place(&mut self, job: Job) -> Result<Placement, Refusal> {
//!         Err(Refusal::Impossible(format!("no place for `{}`", job.model)))
//!     }
//!
//!     fn route(&mut self, request: Request) -> Result<Choice, Refusal> {
//!         self.replicas
//!             .iter()
//!             .find(|replica| replica.model == request.model && replica.state == ReplicaState::Ready)
//!             .map(|replica| Choice {
//!                 ranked: vec![Candidate { replica: replica.id, why: "it is ready".into() }],
//!                 passed_over: Vec::new(),
//!                 why: "the first that is ready".into(),
//!             })
//!             .ok_or_else(|| Refusal::Unknown(format!("no replica of `{}`", request.model)))
//!     }
//! }
//!
//! skep_sdk::scheduler!(First);
//! ```
//!
//! `Cargo.toml` asks for a component library:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! skep-sdk = "0.1"
//! ```
//!
//! and `cargo build --release --target wasm32-wasip2` makes it. A scheduler's world imports nothing, not even
//! WASI, so a scheduler that is to be installed is a `#![no_std]` crate with
//! `skep-sdk = { version = "0.1", default-features = false, features = ["bare"] }`;
//! the plugins `spread` and `pack` in the repository are two, and [`scheduler::Cluster`] does the greater part of their work.
//!
//! | world | trait | macro | runs in |
//! |---|---|---|---|
//! | `engine`, a model backend | [`engine::Engine`] | [`engine!`] | a worker, one store per loaded model |
//! | `scheduler` | [`scheduler::Scheduler`] | [`scheduler!`] | the agent, one long-lived store |
//! | `upstream`, a service elsewhere | [`upstream::Upstream`] | [`upstream!`] | a worker, one store per request |
//!
//! This crate decides nothing: it maps the generated bindings of `wit/` to traits.
#![cfg_attr(not(feature = "std"), no_std)]
#![warn(missing_docs)]

extern crate alloc;

#[cfg(all(feature = "bare", target_arch = "wasm32"))]
mod bare;
pub mod engine;
pub mod http;
pub mod mail;
pub mod notifier;
pub mod scheduler;
mod settings;
#[doc(hidden)]
pub mod shared;
pub mod upstream;
