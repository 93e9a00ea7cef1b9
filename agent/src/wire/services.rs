//! Upstreams, notifiers, secrets and alerts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ErrorBody;

/// `GET /api/v1/upstreams`, `GET /api/v1/notifiers`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Services {
    pub services: Vec<Service>,
    /// The plugins that one can be made with.
    pub plugins: Vec<String>,
}

/// An upstream or a notifier as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    pub name: String,
    /// `upstream` or `notifier`.
    pub kind: String,
    pub plugin: String,
    /// What the operator set; secrets by their names.
    pub settings: BTreeMap<String, String>,
    /// Of an upstream: patterns of the models to expose; empty: all.
    #[serde(default)]
    pub models: Vec<String>,
    /// Of an upstream: whether clients write `NAME/MODEL`.
    #[serde(default)]
    pub prefix: bool,
    pub timeout_s: u64,
    pub added_unix_s: u64,
    /// `up`, `down`, `unknown`: whether what it talks to answers.
    pub state: String,
    /// `idle`, `starting`, `running`, `restarting`, `failed`, `not_granted`: how its process is.
    pub process: String,
    /// Why it is not well, where there is a reason.
    pub why: Option<String>,
    pub pid: Option<u32>,
    /// How often its process was started.
    pub starts: u32,
    /// Models that it answers for.
    pub offers: usize,
    /// Requests under way.
    pub requests: u32,
    /// When it last answered; none: never.
    pub answered_unix_s: Option<u64>,
    /// What its plugin did wrong the last time.
    pub fault: Option<String>,
    /// What it wants to touch.
    pub wants: Vec<Want>,
    pub used: ServiceUse,
}

/// What a service used since the agent started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceUse {
    pub calls: u64,
    pub faults: u64,
    pub requests_out: u64,
    pub refused_out: u64,
    pub bytes_out: u64,
    pub bytes_in: u64,
    pub computing_us: u64,
    pub memory_peak_bytes: u64,
}

/// Something that a service wants to touch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// As it is granted.
    pub capability: String,
    /// The same as the rest of a sentence that begins with `it may`.
    pub words: String,
    /// What for, in the plugin's own words.
    pub reason: String,
    pub optional: bool,
    pub granted: bool,
}

/// `POST /api/v1/upstreams`, `PUT /api/v1/upstreams/{name}`, and the same for notifiers; with `/check` behind the first,
/// nothing is changed and the answer is what would have to be granted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewService {
    #[serde(default)]
    pub name: String,
    pub plugin: String,
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    #[serde(default)]
    pub models: Vec<String>,
    #[serde(default)]
    pub prefix: bool,
    #[serde(default)]
    pub timeout_s: Option<u64>,
    /// What its plugin is granted with this, each by itself.
    #[serde(default)]
    pub grant: Vec<String>,
    /// Who agrees to that: a user of the machine where it was typed.
    #[serde(default)]
    pub by: Option<String>,
}

/// What a service would want to touch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Wants {
    pub wants: Vec<Want>,
}

/// `GET /api/v1/upstreams/{name}/models`, and the answer to its `POST .../test`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpstreamModels {
    pub models: Vec<UpstreamModel>,
}

/// A model that an upstream answers for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamModel {
    /// What clients call it.
    pub name: String,
    /// What the upstream calls it.
    pub id: String,
    pub context_tokens: Option<u32>,
    pub parameters: Option<u64>,
    pub quantisation: Option<String>,
}

/// `POST /api/v1/upstreams/{name}/pull`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamPull {
    pub model: String,
}

/// One line of the answer to it. The last one is `done` or `failed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum UpstreamPullEvent {
    Progress {
        /// What is being done, for people.
        what: String,
        done_bytes: u64,
        total_bytes: Option<u64>,
    },
    Done,
    Failed {
        error: ErrorBody,
    },
}

/// `POST /api/v1/upstreams/-/find`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindUpstreams {
    /// Where to look besides this machine and the cluster's other nodes: `HOST` or `HOST:PORT`.
    #[serde(default)]
    pub hosts: Vec<String>,
}

/// The answer to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FoundUpstreams {
    pub found: Vec<FoundUpstream>,
    /// The cluster's other nodes that were looked at.
    pub nodes: Vec<String>,
}

/// A model server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundUpstream {
    pub base_url: String,
    /// The plugin that knows how to speak with it.
    pub plugin: String,
    pub models: Vec<String>,
    /// It tells nothing without a key.
    pub wants_key: bool,
    /// The upstream that uses it already.
    pub upstream: Option<String>,
    /// What to type to use it; none where it is used already.
    pub command: Option<String>,
}

/// `GET /api/v1/secrets`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Secrets {
    pub secrets: Vec<Secret>,
}

/// What may be told of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    pub name: String,
    pub set_unix_s: u64,
    /// The services that use it, as `upstream NAME`.
    pub used_by: Vec<String>,
}

/// `PUT /api/v1/secrets/{name}`
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSecret {
    pub text: String,
}

impl std::fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewSecret(..)")
    }
}

/// `GET /api/v1/alerts`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Alerts {
    /// What is raised now, the worst first.
    pub raised: Vec<Alert>,
    /// What is over, the latest first.
    pub past: Vec<Alert>,
    /// What waits to be delivered, by notifier.
    pub waiting: BTreeMap<String, Waiting>,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub id: String,
    /// `device.lost`, `node.down`, ...
    pub kind: String,
    /// `info`, `warning`, `critical`
    pub severity: String,
    pub title: String,
    pub text: String,
    pub node: Option<String>,
    pub raised_unix_s: u64,
    pub resolved_unix_s: Option<u64>,
    pub facts: BTreeMap<String, String>,
}

/// What waits for a notifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub count: usize,
    /// Alerts that found no room.
    pub dropped: u64,
    /// Why the last attempt failed.
    pub why: Option<String>,
}

/// A model that upstreams of the cluster answer for, in `GET /api/v1/models`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedModel {
    pub name: String,
    pub upstream: String,
    /// The name of the node that has the upstream.
    pub node: String,
    /// As a replica's.
    pub state: String,
    pub why: Option<String>,
}
