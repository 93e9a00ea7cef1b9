//! What `/api/v1` says, for both of its ends: the handlers, and the command line.
//!
//! Decides the names and units of every field. They are kept from version to version: fields are
//! added, never renamed. Refuses to know where a figure comes from.

mod adopt;
mod burn_in;
mod certificate;
mod cluster;
mod plugins;
mod scheduling;
mod services;
mod setup;
mod top;
mod users;

use serde::{Deserialize, Serialize};
use skep_hw::telemetry::Snapshot;

pub use self::adopt::{
    AdoptWish, Adoption, AdoptionRole, AdoptionState, Adoptions, Offer, OfferWish,
};
pub use self::burn_in::{BurnInEvent, BurnInWish, BurnIns, Forgotten};
pub use self::certificate::{AcmeStanding, Certificate, RenewWish};
pub use self::cluster::{
    Authorities, Authority, ClusterNode, ClusterNodes, DeviceFacts, Invitation, JoinToken,
    JoinTokens, JoinWish, Joined, Neighbour, Neighbours, NewLabels, NewName, NewToken, NodeState,
};
pub use self::plugins::{
    AddedPlugin, Doubt, GrantView, GrantsWish, Install, KeptVersion, Limit, PluginDetails,
    PluginGrants, PluginOffer, PluginState, PluginStates, PluginUsage, PluginWish, PresentPlugin,
    Removal, RevokedView, RollBackWish, RolledBackPlugin, SignatureView, SignerView, SignerWish,
    Signers,
};
pub use self::scheduling::{
    AwaitedScheduler, Chosen, Difference, Differences, RolledBack, Scheduler, SchedulerWish,
    Schedulers, Shadow,
};
pub use self::services::{
    Alert, Alerts, FindUpstreams, FoundUpstream, FoundUpstreams, NewSecret, NewService,
    OfferedModel, Secret, Secrets, Service, ServiceUse, Services, UpstreamModel, UpstreamModels,
    UpstreamPull, UpstreamPullEvent, Waiting, Want, Wants,
};
pub use self::setup::{
    SessionUser, SessionView, SetupAnswers, SetupApply, SetupDrifts, SetupFinding, SetupKind,
    SetupLink, SetupOption, SetupPart, SetupPartLine, SetupPlan, SetupQuestion, SetupQuestions,
    SetupRuns, SetupStarted, SetupStep, SetupTest, SetupValue, SetupView, SignIn,
};
pub use self::top::{Cause, Device, Requests, Top};
pub use self::users::{
    NewPassword, NewRole, NewUser, OwnPassword, SignInCheck, SignInDoor, SignInDoors, SignInTried,
    SignInWish, User, Users,
};

/// `GET /api/v1/node`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Node {
    /// Its identity in a cluster.
    #[serde(default)]
    pub id: String,
    /// What people call this machine.
    pub name: String,
    pub version: String,
    pub pid: u32,
    pub started_unix_s: u64,
    /// Where the agent listens, as `http://127.0.0.1:7420`.
    pub url: String,
    /// Whether every request needs a key.
    pub key_required: bool,
    /// What models run on in this version.
    pub computes_on: String,
    /// Resident memory of the agent itself.
    pub resident_bytes: Option<u64>,
    /// `healthy`, `degraded`, `lost`
    #[serde(default)]
    pub health: String,
    /// Why, when it is less than healthy.
    #[serde(default)]
    pub why: Option<String>,
    /// What models may run on: the processor, then the accelerators; empty before the first look.
    #[serde(default)]
    pub devices: Vec<Device>,
    /// The last look at the machine; none before the first.
    pub hardware: Option<Snapshot>,
    /// How far its clock is ahead of that of the node which was asked, give or take half the way there and back; none for that
    /// node itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ahead_ms: Option<i64>,
}

/// `GET /api/v1/models`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Models {
    pub models: Vec<Model>,
    /// What lies in the catalogue and cannot be used.
    pub damaged: Vec<Damaged>,
    /// What upstreams answer for.
    #[serde(default)]
    pub offered: Vec<OfferedModel>,
}

/// A model on this node's disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    pub name: String,
    /// `sha256:` and 64 digits.
    pub digest: String,
    pub bytes: u64,
    /// `gguf`
    pub format: String,
    /// `embedded`, a path, or an address.
    pub source: String,
    pub added_unix_s: u64,
    /// `ready`, `starting`, `restarting`, `draining`, `failed`; none when it is not loaded.
    pub state: Option<String>,
    /// Whether it is the model that is loaded at start.
    pub is_default: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Damaged {
    pub path: String,
    pub reason: String,
}

/// `GET /api/v1/ps`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replicas {
    pub replicas: Vec<Replica>,
}

/// A model that is loaded, or about to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replica {
    pub id: u64,
    pub model: String,
    pub plugin: String,
    /// `ready`, `starting`, `restarting`, `draining`, `failed`
    pub state: String,
    /// Why it is in this state, where there is a reason.
    pub why: Option<String>,
    pub since_unix_s: u64,
    /// Requests under way.
    pub requests: u32,
    /// Of these, in the model's batch.
    pub running: u32,
    /// Of these, waiting for a place in it.
    pub waiting: u32,
    pub cache_pages: u32,
    pub cache_pages_used: u32,
    /// Tokens guessed ahead since the model was opened.
    #[serde(default)]
    pub guessed: u64,
    /// Of these, how many became part of an answer.
    #[serde(default)]
    pub guesses_kept: u64,
    /// Generated over the last seconds.
    pub tokens_per_s: Option<f64>,
    /// The worker process.
    pub pid: Option<u32>,
    /// Its resident memory.
    pub resident_bytes: Option<u64>,
    /// How often it was started again.
    pub restarts: u32,
    pub opened_in_ms: Option<u64>,
    /// What it took of its card's memory as it was opened; none on the processor.
    #[serde(default)]
    pub card_bytes: Option<u64>,
    /// What it computes on.
    pub device: String,
    /// The name of the node that it runs on.
    #[serde(default)]
    pub node: String,
    /// What it was placed on there.
    #[serde(default)]
    pub devices: Vec<String>,
    /// `healthy`, or `degraded` when it does not compute where it was placed.
    #[serde(default)]
    pub health: String,
    /// What speaks against it; empty when nothing does.
    #[serde(default)]
    pub causes: Vec<Cause>,
    /// What was opened, once it was.
    pub info: Option<ModelInfo>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    pub architecture: String,
    pub name: String,
    pub parameters: u64,
    pub quantisation: String,
    pub context_tokens: u32,
    pub trained_context_tokens: u32,
    pub embedding_width: u32,
    pub sequences: u32,
    /// What keys and values take when the cache is full.
    #[serde(default)]
    pub cache_bytes: u64,
    /// Of `chat`, `complete`, `embed`.
    pub abilities: Vec<String>,
}

/// A plugin of this agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plugin {
    pub name: String,
    /// `engine`, `upstream`, `scheduler`, ...
    pub world: String,
    /// What it asks the host for.
    pub imports: Vec<String>,
    pub bytes: u64,
    pub digest: String,
    /// `worker` or `agent`.
    pub runs_in: String,
}

/// `GET /api/v1/keys`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Keys {
    pub keys: Vec<Key>,
}

/// What may be told of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub id: u64,
    pub name: String,
    pub prefix: String,
    pub created_unix_s: u64,
    pub last_used_unix_s: Option<u64>,
    /// The user whose it is; none: it may do everything.
    #[serde(default)]
    pub owner: Option<String>,
}

/// `POST /api/v1/keys`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    pub name: String,
}

/// The answer to it: the only time that the key itself is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MadeKey {
    pub key: Key,
    pub secret: String,
}

/// `GET /api/v1/version`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub version: String,
    /// The commit that it was built from, if that was known.
    pub commit: Option<String>,
    /// The platform that it was built for.
    pub target: String,
    pub wasmtime: String,
    pub plugins: Vec<Plugin>,
}

/// `POST /api/v1/models/pull`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullRequest {
    /// `hf:OWNER/REPOSITORY`, an `http(s)` address, or an absolute path on the agent's machine.
    pub source: String,
    /// By default the source's file name.
    #[serde(default)]
    pub name: Option<String>,
    /// What the file must hash to.
    #[serde(default)]
    pub sha256: Option<String>,
}

/// `GET /api/v1/models/-/offers`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelOffers {
    pub offers: Vec<ModelOffer>,
}

/// A model that can be pulled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelOffer {
    /// As `source` of a pull.
    pub source: String,
    /// What it will be called.
    pub name: String,
    pub title: String,
    pub parameters: f64,
    /// Of its file, estimated.
    pub about_bytes: u64,
    pub licence: String,
    /// `chat`, `code`, `embeddings`
    pub purpose: String,
    /// In a sentence.
    pub about: String,
    /// Where this machine has room for it: `card`, `memory`, or none.
    pub fits: Option<String>,
    /// Whether it was pulled already.
    pub here: bool,
}

/// One line of the answer to it. The last one is `done` or `failed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum PullEvent {
    /// The first line: what the model will be called.
    Started {
        name: String,
    },
    Progress {
        done_bytes: u64,
        total_bytes: Option<u64>,
        resumed_bytes: u64,
    },
    /// What an earlier pull left is being read again.
    Checking {
        done_bytes: u64,
        total_bytes: u64,
    },
    Retrying {
        attempt: u32,
        pause_ms: u64,
        reason: String,
    },
    Done {
        model: Model,
    },
    Failed {
        error: ErrorBody,
    },
}

/// `DELETE /api/v1/models/{name}`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Removed {
    pub name: String,
    pub freed_bytes: u64,
}

/// `GET /api/v1/logs`; with `follow=true` its entries come one a line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Logs {
    pub entries: Vec<crate::logs::LogEntry>,
}

/// Every refusal of `/api/v1`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorAnswer {
    pub error: ErrorBody,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// For people.
    pub message: String,
    /// For programs; does not change between versions.
    #[serde(default)]
    pub code: Option<String>,
    /// What to do next.
    #[serde(default)]
    pub hint: Option<String>,
}
