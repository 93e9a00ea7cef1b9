//! What is told of devices and their health, and everything that `skep top` shows.

use serde::{Deserialize, Serialize};

use super::{Node, Replica};
use crate::router::Trace;

/// Something that models run on, and what it is worth.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// `cpu`, or the device's uuid.
    pub id: String,
    /// `cpu`, `nvidia`, `amd`
    pub kind: String,
    /// Its number among the vendor's devices.
    pub index: Option<u32>,
    /// The product's name.
    pub name: Option<String>,
    /// `healthy`, `degraded`, `lost`
    pub health: String,
    /// Since when the causes are what they are.
    pub since_unix_s: Option<u64>,
    /// What speaks against it; empty when nothing does.
    pub causes: Vec<Cause>,
    /// How old the figures are.
    pub read_ms_ago: Option<u64>,
    pub utilisation_percent: Option<f32>,
    pub memory_total_bytes: Option<u64>,
    pub memory_used_bytes: Option<u64>,
    pub temperature_celsius: Option<f32>,
    pub power_watts: Option<f32>,
    pub power_limit_watts: Option<f32>,
    /// How many processes hold it.
    pub processes: Option<u32>,
}

/// One thing that speaks against a device or a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// For programs; does not change between versions.
    pub code: String,
    /// `degraded`, `lost`
    pub health: String,
    /// For people.
    pub text: String,
    /// What was seen.
    pub evidence: String,
}

/// `GET /api/v1/top`: how things stand, of every node that this one knows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Top {
    pub at_unix_ms: u64,
    /// Without `hardware`; `GET /api/v1/node` has it.
    pub nodes: Vec<Node>,
    pub replicas: Vec<Replica>,
    pub requests: Requests,
}

/// Requests: counted since the start, now, and lately.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Requests {
    pub running: u32,
    pub waiting: u32,
    pub arrived: u64,
    pub refused: u64,
    pub answered: u64,
    pub failed: u64,
    pub cut: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// The latest, newest first.
    pub latest: Vec<Trace>,
}
