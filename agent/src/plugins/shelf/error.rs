//! Why something about plugins could not be done.

use skep_core::capability::Capability;
use skep_core::state::PluginDigest;

use super::{Doubt, StoreError};
use crate::cluster::ClusterError;
use crate::host::InspectError;
use crate::plugins::manifest::ManifestError;
use crate::plugins::signature::SignatureError;

/// Why something about plugins could not be done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    #[error("it cannot be a plugin: {0}")]
    Component(#[from] InspectError),
    #[error("it cannot be a plugin: it exports no world of `skep:plugin@0.1.0`")]
    NoWorld,
    #[error("it imports `{import}`, which no plugin of the world `{world}` is given")]
    Ungranted { import: String, world: &'static str },
    #[error("it cannot be a plugin: {0}")]
    Manifest(#[from] ManifestError),
    #[error("its manifest says that it is for the world `{said}`, and it is made for `{found}`")]
    OtherWorld { said: String, found: &'static str },
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error("`{0}` is the name of a plugin that comes with skep")]
    Carried(String),
    #[error("there is no plugin `{0}` here")]
    Unknown(String),
    #[error("no version `{version}` of the plugin `{plugin}` is kept")]
    NoVersion { plugin: String, version: String },
    #[error("the component is of the plugin `{found}` and not of `{wanted}`")]
    OtherName { wanted: String, found: String },
    #[error("no component {0} was shown here lately; show it again")]
    NotOffered(PluginDigest),
    #[error("`{plugin}` cannot do its work without: {}", list(missing))]
    NotAgreed {
        plugin: String,
        missing: Vec<Capability>,
    },
    #[error("there is reason to think twice about `{plugin}`: {}", words(doubts))]
    Doubtful { plugin: String, doubts: Vec<Doubt> },
    #[error("`{plugin}` does not ask for `{capability}`")]
    NotAsked {
        plugin: String,
        capability: Capability,
    },
    /// The health gate: what runs goes on.
    #[error("it does not work here: {0}")]
    Unhealthy(String),
    #[error("`{plugin}` is used by {}", uses.join(", "))]
    InUse { plugin: String, uses: Vec<String> },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

fn list(capabilities: &[Capability]) -> String {
    let all: Vec<String> = capabilities.iter().map(|one| format!("`{one}`")).collect();
    all.join(", ")
}

fn words(doubts: &[Doubt]) -> String {
    let all: Vec<&str> = doubts.iter().map(|doubt| doubt.in_words()).collect();
    all.join("; ")
}

impl ShelfError {
    /// What to do next, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Ungranted { .. } => {
                "ask its author for one that is built for this world alone: the interfaces that it is given are in `wit/`".to_owned()
            }
            Self::Carried(name) => {
                format!("it needs no adding and is not removed; `skep plugin grant {name}` and `revoke` say what it may touch")
            }
            Self::Unknown(_) => "`skep plugin ls` lists them".to_owned(),
            Self::NoVersion { plugin, .. } => {
                format!("`skep plugin show {plugin}` lists those that are")
            }
            Self::NotAgreed { missing, .. } => {
                let grants: Vec<String> =
                    missing.iter().map(|one| format!("--grant {one}")).collect();
                format!("agree to each by name: {}", grants.join(" "))
            }
            Self::Doubtful { doubts, .. } => {
                let accepts: Vec<String> =
                    doubts.iter().map(|doubt| format!("--accept {doubt}")).collect();
                format!("if you want it all the same, say so by name: {}", accepts.join(" "))
            }
            Self::NotAsked { plugin, .. } => {
                format!("`skep plugin show {plugin}` lists what it asks for")
            }
            Self::Unhealthy(_) => "nothing was changed; what ran before goes on".to_owned(),
            Self::InUse { .. } => "stop using it first, or add `--force`".to_owned(),
            Self::Signature(SignatureError::Wrong { .. }) => {
                "do not use it; get it again from its author".to_owned()
            }
            _ => return None,
        })
    }

    /// For programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Component(_) | Self::NoWorld | Self::OtherWorld { .. } => "not_a_plugin",
            Self::Ungranted { .. } => "import_not_granted",
            Self::Manifest(_) => "manifest_invalid",
            Self::Signature(_) => "signature_invalid",
            Self::Carried(_) => "plugin_carried",
            Self::Unknown(_) | Self::NoVersion { .. } => "plugin_not_found",
            Self::OtherName { .. } => "other_plugin",
            Self::NotOffered(_) => "not_offered",
            Self::NotAgreed { .. } | Self::Doubtful { .. } => "consent_needed",
            Self::NotAsked { .. } => "not_asked_for",
            Self::Unhealthy(_) => "plugin_unusable",
            Self::InUse { .. } => "plugin_in_use",
            Self::Store(_) => "plugin_store",
            Self::Cluster(_) => "refused",
        }
    }
}
