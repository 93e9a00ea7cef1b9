//! The models that run on this node: one worker process each, started, watched and replaced here.
//!
//! Decides when a worker starts, when it counts as dead and when to try again, and carries requests
//! to it. Refuses to know what a request asks (`http` and the plugin do) and which replica it should
//! go to (a scheduler plugin does, see `host::scheduler`).

mod error;
mod spec;
mod status;

pub use error::{LoadError, StartError, SubmitError, UnloadError};
pub use spec::{Component, FleetSettings, ModelSpec, Plugin};
pub use status::{ReplicaId, ReplicaState, ReplicaStatus};
