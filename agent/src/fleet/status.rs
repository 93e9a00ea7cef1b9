//! What the fleet tells of a replica. Decides nothing.

use std::time::{Duration, SystemTime};

use crate::protocol::{Load, ModelInfo};

/// A loaded (or loading) model on this node. Never used twice while the agent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub u64);

impl std::fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A replica as it is now.
#[derive(Clone, Debug)]
pub struct ReplicaStatus {
    pub id: ReplicaId,
    pub model: String,
    pub plugin: String,
    pub state: ReplicaState,
    /// What was opened, once it was.
    pub info: Option<ModelInfo>,
    /// What it computes on, for people; empty until it is ready.
    pub device: String,
    /// What it was placed on, by id.
    pub devices: Vec<String>,
    /// The kind of what it computes on, as `cpu`; empty until it is ready.
    pub computes_on: String,
    /// How full it was at its last step.
    pub load: Load,
    /// Requests that are under way, as the agent counts them.
    pub living: u32,
    pub pid: Option<u32>,
    /// How often its worker was started again.
    pub restarts: u32,
    /// Since when it is in `state`.
    pub since: SystemTime,
    /// How long the last open took.
    pub opened_in: Option<Duration>,
    /// What it took of its card's memory as it was opened, in bytes; none on the processor.
    pub card_bytes: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplicaState {
    /// Its component is compiled, its worker starts or opens the model.
    Starting,
    Ready,
    /// Its worker died; the next attempt comes after `delay`.
    Restarting {
        delay: Duration,
        attempts: u32,
        why: String,
    },
    /// It takes no new requests; the living ones finish.
    Draining,
    /// It could not be opened, or died too often; for the latter, slow attempts go on.
    Failed {
        why: String,
    },
}
