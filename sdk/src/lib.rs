//! Write a skep plugin in Rust: one trait and one macro for each world of `skep:plugin`.
//!
//! A plugin is a WebAssembly component. Plain cargo builds it, and it runs in a sandbox: it can do what its world's imports
//! allow and what an operator granted, and nothing else. There are five worlds:
//!
//! | world | what it is | trait | macro | runs in |
//! |---|---|---|---|---|
//! | `engine` | a model backend | [`engine::Engine`] | [`engine!`] | a worker, one store for each loaded model |
//! | `scheduler` | says where models and requests go | [`scheduler::Scheduler`] | [`scheduler!`] | the agent, one store that lives long |
//! | `upstream` | an adapter to a service elsewhere | [`upstream::Upstream`] | [`upstream!`] | a worker, one store for each request |
//! | `notifier` | tells people of alerts | [`notifier::Notifier`] | [`notifier!`] | a worker, one store for each call |
//! | `installer` | a step of a setup | [`installer::Installer`] | [`installer!`] | the agent, one store for each call |
//!
//! # A first plugin
//!
//! This is a whole one, a scheduler that sends each request to the first ready replica of its model:
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
//! skep-sdk = { path = "skep/sdk" }
//! ```
//!
//! and `cargo build --release --target wasm32-wasip2` makes it. `skep plugin new` writes all of this for you, this crate in `skep/sdk`
//! included: it is on no registry.
//!
//! # The manifest
//!
//! `plugin.toml`, beside `Cargo.toml`, says what the plugin is and what it wants to touch, each with a reason that the operator
//! reads before agreeing. `skep plugin build` puts it into the component.
//!
//! ```toml
//! name = "first"
//! version = "0.1.0"
//! world = "scheduler"
//! title = "The first that is ready"
//! licence = "MIT OR Apache-2.0"
//! authors = ["Somebody <somebody@example.org>"]
//! ```
//!
//! Plugins that reach out add capabilities and settings; [`upstream`](mod@upstream) shows how.
//!
//! # Chapters
//!
//! - [`scheduler`](mod@scheduler): a policy is an order of what is eligible; [`scheduler::Cluster`] does the rest.
//! - [`engine`](mod@engine): a state machine that the host drives, with the kernels of [`engine::compute`].
//! - [`upstream`](mod@upstream): the models of a service elsewhere, and what it says to a request.
//! - [`notifier`](mod@notifier): one alert, delivered, with [`notifier::Alert::plain`] and its kin for the words.
//! - [`installer`](mod@installer): questions, and a plan that the host carries out; with machines to try it on.
//! - [`http`]: requests to granted hosts, answers that come in pieces, and what can go wrong with them.
//! - [`mail`]: a message through a granted server.
//!
//! # Errors
//!
//! All worlds but `scheduler` and `installer` share one [`Error`](engine::Error), and callers decide by its case: what is wrong with the request
//! (`Invalid`, `TooLong`), what a plugin does not do (`Unsupported`), what came damaged (`Malformed`), what may work later
//! (`Exhausted`), what an operator must grant (`Denied`), and the rest (`Other`). Its text is one sentence for people: lower
//! case, no full stop, the cause first.
//!
//! # Secrets
//!
//! A plugin opens a secret by name and puts a stand-in for it into a header ([`http::Request::secret`]); the host puts the text
//! in on the way to a granted host. So a plugin cannot leak a key that it never had.
//!
//! # Without the standard library
//!
//! The worlds `scheduler` and `installer` import nothing, not even WASI, so a plugin of theirs that is to be installed is a
//! `#![no_std]` crate with
//! `skep-sdk = { path = "skep/sdk", default-features = false, features = ["bare"] }`;
//! the plugins `spread` and `pack` in the repository are two. In the other worlds the standard library may be used: the parts of
//! WASI that it asks for are linked, without files, sockets, arguments or environment behind them.
//!
//! # Tests
//!
//! What a plugin decides is best kept apart from what it calls, and tested natively with `cargo test`: the parsers of
//! [`http`] take bytes, and every record of the contract is a plain struct. Functions of the host exist inside of a
//! component only; calling one elsewhere panics. `skep plugin test` runs the component itself against its world.
//!
//! This crate decides nothing: it maps the generated bindings of `wit/` to traits.
#![cfg_attr(not(feature = "std"), no_std)]
#![warn(missing_docs)]

extern crate alloc;

#[cfg(all(feature = "bare", target_arch = "wasm32"))]
mod bare;
pub mod engine;
pub mod http;
pub mod installer;
pub mod mail;
pub mod notifier;
pub mod scheduler;
mod settings;
#[doc(hidden)]
pub mod shared;
pub mod upstream;
