//! Why a service was not configured, or did not do what was asked. Decides nothing.

use std::io;
use std::path::PathBuf;

use skep_core::capability::{Capability, SecretName};

use super::Kind;
use crate::plugins::ShelfError;
use crate::protocol::Error;

/// What went wrong with a service. What was configured before still is.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("`{0}` cannot name a service: give 1 to 64 of a-z, 0-9 and `-`, a letter first")]
    Name(String),
    #[error("there is a {kind} named `{name}` already")]
    Taken { kind: Kind, name: String },
    #[error("there is no {kind} named `{name}`")]
    Unknown { kind: Kind, name: String },
    #[error(
        "there are {max} services, which is as many as there may be; remove one first",
        max = crate::limits::SERVICES_MAX
    )]
    Full,
    #[error("there is no plugin named `{0}` on this node")]
    UnknownPlugin(String),
    #[error("`{plugin}` is a plugin of the world `{world}`, and one of `{wanted}` was asked for")]
    World {
        plugin: String,
        world: String,
        wanted: Kind,
    },
    #[error("`{0}` is no host: give `HOST` or `HOST:PORT`, as `10.0.0.7` or `hive2:8000`")]
    Host(String),
    #[error(
        "more than {} hosts would be looked at; name fewer",
        crate::limits::FIND_HOSTS_MAX
    )]
    TooManyHosts,
    #[error("`{plugin}` has no setting `{name}`; it has {}", listed(known))]
    UnknownSetting {
        plugin: String,
        name: String,
        known: Vec<String>,
    },
    #[error("the setting `{name}` {what}")]
    Setting { name: String, what: String },
    #[error("the setting `{name}` is missing{}", hint(help))]
    Missing { name: String, help: String },
    #[error("what it wants to touch cannot be told: {0}")]
    Wanted(String),
    #[error("models and prefixes belong to upstreams")]
    NoModels,
    #[error(
        "at most {patterns} models can be named, each with at most {bytes} bytes",
        patterns = crate::limits::MODEL_PATTERNS_MAX,
        bytes = crate::limits::OFFER_NAME_BYTES_MAX
    )]
    Patterns,
    #[error("the timeout must be from 1 to {0} seconds")]
    Timeout(u64),
    /// What has to be granted first.
    #[error("`{plugin}` may not do what it needs to: {}", capabilities(missing))]
    NotGranted {
        plugin: String,
        missing: Vec<Capability>,
    },
    #[error("`{0}` is not wanted by this plugin as it is set, so it is not granted here")]
    NotWanted(Capability),
    /// The cluster did not decide on the grants.
    #[error(transparent)]
    Consent(#[from] Box<ShelfError>),
    #[error("there is no secret named `{}`", .0.as_str())]
    UnknownSecret(SecretName),
    #[error("a secret has 1 to {max} bytes and no control characters", max = crate::limits::SECRET_BYTES_MAX)]
    SecretText,
    #[error("there are {max} secrets, which is as many as there may be; remove one first", max = crate::limits::SECRETS_MAX)]
    SecretsFull,
    #[error("the secret `{}` is used by {}", name.as_str(), listed(users))]
    SecretInUse {
        name: SecretName,
        users: Vec<String>,
    },
    #[error("could not read or write `{path}`")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "`{path}` is damaged: {why}; restore it from a backup, or move it away to start without"
    )]
    Damaged { path: PathBuf, why: String },
    /// The plugin, or what it talks to, refused.
    #[error("{0}")]
    Refused(Error),
    /// Its process does not run, or gave no answer.
    #[error("{0}")]
    Lost(String),
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => format!("`{}`", names.join("`, `")),
    }
}

fn hint(help: &str) -> String {
    match help {
        "" => String::new(),
        help => format!(": {help}"),
    }
}

fn capabilities(missing: &[Capability]) -> String {
    let words: Vec<String> = missing.iter().map(Capability::in_words).collect();
    words.join("; ")
}
