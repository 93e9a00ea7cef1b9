//! What `/api/v1` says of schedulers.

use serde::{Deserialize, Serialize};

/// `GET /api/v1/scheduler`, and the answer to every change there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedulers {
    /// The active one first.
    pub schedulers: Vec<Scheduler>,
    /// The latest change that no operator asked for, until an operator makes one.
    pub rolled_back: Option<RolledBack>,
    pub shadow: Option<Shadow>,
    /// The one that the configuration names, while it cannot be had.
    #[serde(default)]
    pub awaited: Option<AwaitedScheduler>,
}

/// A scheduler that the configuration names, while another decides in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitedScheduler {
    pub name: String,
    /// Why it cannot be had.
    pub why: String,
}

/// A policy that decides where models and requests go, or could.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scheduler {
    pub name: String,
    /// `active`, `shadow`, `previous`, `available`, `retired`
    pub state: String,
    /// `embedded`, `built-in`, or a path on the agent's machine; none when it is no longer held.
    pub source: Option<String>,
    /// Times that it was asked while it was active, since the agent started.
    pub decisions: u64,
    /// Times that it failed and the built-in rule decided in its stead.
    pub failures: u64,
    pub last_failure: Option<String>,
}

/// A policy that failed too often and was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBack {
    pub from: String,
    pub to: String,
    pub why: String,
    pub at_unix_s: u64,
}

/// A policy that is asked and not heeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadow {
    pub name: String,
    pub since_unix_s: u64,
    /// Decisions in which it named the same place as the active one.
    pub agreed: u64,
    pub differed: u64,
    pub failures: u64,
    pub last_failure: Option<String>,
    /// What it did not hear since it was behind.
    pub dropped: u64,
    /// Why it is no longer asked.
    pub ended: Option<String>,
}

/// `POST /api/v1/scheduler/use` and `/shadow`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchedulerWish {
    /// A name, or an absolute path on the agent's machine; none ends the shadow.
    pub policy: Option<String>,
}

/// `GET /api/v1/scheduler/differences`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Differences {
    /// None: no policy is in shadow.
    pub shadow: Option<Shadow>,
    /// Newest first.
    pub differences: Vec<Difference>,
}

/// A decision that the policy in shadow would have taken otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Counts from 1; the oldest are forgotten.
    pub number: u64,
    pub at_unix_s: u64,
    /// `route` or `place`.
    pub kind: String,
    pub model: String,
    /// Who decided.
    pub active: String,
    /// What was decided.
    pub live: Chosen,
    /// What the shadow would have decided.
    pub shadow: Chosen,
}

/// A place, or none where the answer was a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    pub replica: Option<u64>,
    /// What the node is called.
    pub node: Option<String>,
    pub devices: Vec<String>,
    pub why: String,
}
