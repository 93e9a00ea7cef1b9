//! What an operator may set, as it is written: a TOML file, then the environment, then flags.
//!
//! Decides names, layers and what an error says; refuses to know what a value leads to. What the
//! agent works with is [`Settings`], made once from a [`Config`] and right in every part.
//!
//! Every key has an environment variable: `http.listen` is `SKEP_HTTP_LISTEN`. A later layer
//! replaces a key of an earlier one; lists are replaced whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

mod error;
mod layers;
mod settings;

pub use self::error::ConfigError;
pub use self::layers::{SECTIONS, in_force, load};
pub use self::settings::{
    AcmeSettings, AlertSettings, BackupSettings, HttpSettings, LETS_ENCRYPT, LogFormat,
    LogSettings, ModelSettings, NodeSettings, RequestSettings, SchedulerSettings, Settings,
    StateSettings, TelemetrySettings, TlsFiles,
};

/// Everything that can be set; what is `None` has a default, written at [`Settings`].
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub node: NodeConfig,
    pub http: HttpConfig,
    pub requests: RequestConfig,
    pub models: ModelConfig,
    pub scheduler: SchedulerConfig,
    pub cluster: ClusterConfig,
    pub state: StateConfig,
    pub telemetry: TelemetryConfig,
    pub alerts: AlertConfig,
    pub backup: BackupConfig,
    pub log: LogConfig,
}

/// `[node]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// What people call this machine; by default its host name.
    pub name: Option<String>,
    /// How many threads a worker computes with; by default one for each core it may use.
    pub threads: Option<u32>,
    /// What models compute on: `cpu`, the default, or a card: `cuda` or `cuda:N` by NVIDIA's driver, `hip` or `hip:N` by AMD's
    /// runtime, `vulkan` or `vulkan:N` by any. `auto` takes the first of these that works when the agent starts.
    pub device: Option<String>,
    /// Where the NVIDIA driver's library is, if it is not found by its name.
    pub cuda_library: Option<PathBuf>,
    /// How long a card may give no sign while requests wait for it before its worker is ended; by default 30.
    pub device_timeout_s: Option<u32>,
    /// The private key that `skep node add` signs in to other machines with; by default those that `SSH_AUTH_SOCK` has, and
    /// those of the usual names in ~/.ssh.
    pub ssh_identity: Option<PathBuf>,
}

/// `[http]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Where to listen, `ADDRESS:PORT`; by default `127.0.0.1:7420`.
    pub listen: Option<String>,
    /// The certificate chain in PEM; needed beyond loopback, and not used while there are `acme_names`.
    pub tls_certificate: Option<PathBuf>,
    /// Its private key in PEM.
    pub tls_key: Option<PathBuf>,
    /// Names that this agent is to have certificates for by ACME (RFC 8555), as `hive.example.org`. Port 443 of each must
    /// lead to `http.listen`'s port: that is how the authority sees that they are ours.
    pub acme_names: Option<Vec<String>>,
    /// The authority's directory; by default Let's Encrypt's.
    pub acme_directory: Option<String>,
    /// A mail address to which the authority may write.
    pub acme_contact: Option<String>,
    /// Whether the authority's terms are agreed to; `skep certificate` shows where they are. Nothing is asked for before.
    pub acme_terms_agreed: Option<bool>,
    /// In PEM, the authority of the directory's own certificate, where it is none that browsers know.
    pub acme_root: Option<PathBuf>,
    /// Whether requests without an API key are refused. Always so beyond loopback.
    pub require_key: Option<bool>,
    /// Further names by which browsers may call this agent (the `Host` header).
    pub allowed_hosts: Option<Vec<String>>,
    /// Web origins (`https://chat.example`) whose pages may call this agent.
    pub allowed_origins: Option<Vec<String>>,
    pub connections_max: Option<u32>,
    /// Applies to each address beyond loopback.
    pub connections_per_address_max: Option<u32>,
    pub body_max_bytes: Option<u64>,
    /// How long a request's head may take, and an idle connection may stay.
    pub header_timeout_s: Option<u32>,
    /// How long answers may go on once the agent was asked to stop.
    pub drain_s: Option<u32>,
}

/// `[requests]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestConfig {
    /// How many may run at once.
    pub running_max: Option<u32>,
    /// How many may wait for that.
    pub queued_max: Option<u32>,
    /// How many of one API key may run or wait.
    pub per_key_max: Option<u32>,
    /// How long one may take in all.
    pub deadline_s: Option<u32>,
}

/// `[models]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// The model loaded at start; by default the embedded `tiny`. Empty: none.
    pub default: Option<String>,
    /// How long a request waits for a model that is being loaded before it gets a 503.
    pub load_wait_s: Option<u32>,
    /// Unload a model that nobody asked for so long; 0: never.
    pub idle_unload_s: Option<u32>,
    /// How many models may be loaded at once; the one idle longest makes room.
    pub loaded_max: Option<u32>,
    /// The context to make room for, in tokens.
    pub context_tokens: Option<u32>,
    /// How many sequences a model may run at once.
    pub sequences: Option<u32>,
    /// How many bytes a model's cache of keys and values may take.
    pub cache_bytes: Option<u64>,
    /// How that cache keeps numbers: `f32`, `f16`, `q8-0` (bytes, half of what `f16` takes, where heads are multiples
    /// of 32 wide), or `auto`: `f32` for models in single precision, else `f16`, and narrower where the context that
    /// was asked for fits into memory only so.
    pub cache_type: Option<String>,
    /// Whether to guess tokens ahead where that is faster; by default yes. It changes no answer.
    pub speculate: Option<bool>,
    /// By a model's name, the name of a smaller one of the same vocabulary that guesses tokens ahead for it.
    pub drafts: Option<BTreeMap<String, String>>,
    /// By a model's name, the engine plugin that runs it; `llama` runs the others.
    pub engines: Option<BTreeMap<String, String>>,
    /// Where `hf:OWNER/REPOSITORY` is pulled from: Hugging Face, or a mirror of it.
    pub hub: Option<String>,
    /// The devices that models may be placed on, as `skep node` names them; by default what
    /// `node.device` says.
    pub devices: Option<Vec<String>>,
}

/// `[scheduler]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SchedulerConfig {
    /// Who decides where models and requests go: `spread` (the default), `pack`, `built-in`, or the absolute path of a
    /// scheduler component.
    pub policy: Option<String>,
}

/// `[cluster]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterConfig {
    /// Where to listen for other nodes, UDP, `ADDRESS:PORT`; by default every address and `http.listen`'s port. Nothing
    /// listens before this node has, or invites, others.
    pub listen: Option<String>,
    /// Under which `ADDRESS:PORT` others reach this node, where it cannot tell; port 0: the one that it listens on.
    pub advertise: Option<String>,
    /// How long a node's certificate holds; renewed at half of it.
    pub certificate_life_s: Option<u32>,
    /// Whether to tell the local network (mDNS) that this node is there, while it listens for others.
    pub announce: Option<bool>,
    /// Where to look for nodes beside the local network: `HOST:PORT`, or `dns:DOMAIN` for a domain whose records for
    /// `_skep._udp` name them.
    pub look: Option<Vec<String>>,
}

/// `[state]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StateConfig {
    /// What keeps the cluster's log on the disk: `sled` or `redb`; by default the one that it is in, and
    /// `redb` for a new one.
    pub engine: Option<String>,
}

/// `[telemetry]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// How often the machine is looked at.
    pub interval_ms: Option<u32>,
    /// Where the kernel shows its devices; by default `/sys`. A container may see its host's elsewhere.
    pub sysfs: Option<PathBuf>,
}

/// `[alerts]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertConfig {
    /// How long what was wrong must be gone until it is told as over; what comes back meanwhile was never away.
    pub quiet_s: Option<u32>,
}

/// `[backup]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackupConfig {
    /// The folder that the agent writes backups of this node into; without it there are none.
    pub folder: Option<PathBuf>,
    /// How long from one to the next; by default a day.
    pub every_s: Option<u32>,
    /// How many of this node stay in the folder; by default 14.
    pub keep: Option<u32>,
    /// A file whose first line seals them.
    pub passphrase_file: Option<PathBuf>,
}

/// `[log]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// What to log, as `info` or `info,skep::fleet=debug`.
    pub filter: Option<String>,
    /// `text` or `json`.
    pub format: Option<String>,
}

/// One `KEY=VALUE` from a flag: the key as in the file (`http.listen`), the value as TOML or text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    pub key: String,
    pub value: String,
    /// How an error names where it came from: `--listen`, `SKEP_HTTP_LISTEN`.
    pub origin: String,
}

/// Where the file is, and whether the operator named it (then it must exist).
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    Default(&'a Path),
    Named(&'a Path),
}
