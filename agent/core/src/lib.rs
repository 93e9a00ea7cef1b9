//! What a node decides, apart from what it does.
//!
//! Deterministic: the same inputs in the same order give the same outputs. Nothing here reads a
//! clock, a file, a socket or a random source; `now` is an argument, and every effect is returned.
//! Tokens never pass through: this is the control plane.
//!
//! # How to drive it
//!
//! One [`Core`] per node, owned by one task or held under one lock.
//!
//! 1. [`Core::handle`] with everything that happens, in the order in which it happened.
//! 2. [`Core::handle_timeout`] once [`Core::poll_timeout`]'s moment has come; earlier is harmless.
//! 3. After each of these, [`Core::poll_output`] until it gives `None`, and do what it says.
//!
//! `now` must never run backwards.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod capability;
mod core;
mod ids;
mod input;
pub mod install;
pub mod limits;
pub mod membership;
mod model;
mod output;
mod registry;
mod request;
pub mod state;
mod time;

pub use self::core::{Core, Settings};
pub use self::ids::{
    AuthorityId, ClusterId, IdError, KeyId, NodeId, ReplicaId, RequestId, TokenId,
};
pub use self::input::{Arrival, Input, Outcome, Usage};
pub use self::model::{ModelState, ModelView};
pub use self::output::{Change, Output, Refusal};
pub use self::registry::{Device, Health, Node, Registry, Replica, ReplicaState};
pub use self::request::{Counters, Phase};
pub use self::time::{Time, TimerTable};
