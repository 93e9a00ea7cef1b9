//! The plugins of the cluster: which version of each runs, which are kept to go back to, what each may touch, and whose
//! signatures are believed.
//!
//! Decides what an operator's consent is bound to: a name, and there every capability by itself, with who gave it and when. Refuses to
//! know the bytes (a digest stands for them), the manifest, and how signatures are checked: whoever makes the command has.
//!
//! Plugins that a binary carries are not here; what they may touch is.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

mod apply;
mod refusal;
#[cfg(test)]
mod tests;

pub use self::refusal::PluginRefusal;
use super::State;
use crate::capability::Capability;

/// What the cluster agreed on about plugins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plugins {
    pub(super) installed: BTreeMap<String, Arc<Plugin>>,
    /// By plugin, also one that a binary carries.
    pub(super) grants: BTreeMap<String, BTreeMap<Capability, Grant>>,
    pub(super) signers: BTreeMap<String, Signer>,
    /// What was taken away and not given again, by plugin.
    pub(super) revoked: BTreeMap<String, BTreeMap<Capability, Revoked>>,
}

/// A plugin that was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plugin {
    /// What runs.
    pub current: PluginVersion,
    /// What can be gone back to; the one that ran last comes first.
    pub previous: Vec<PreviousVersion>,
}

/// One version of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginVersion {
    /// What its manifest says.
    pub version: String,
    /// SHA-256 of the component.
    pub digest: PluginDigest,
    /// The world that it is for.
    pub world: String,
    /// How long the component is.
    pub bytes: u64,
    /// Who signed it; none: nobody.
    pub signer: Option<SignedBy>,
    /// Where newer versions may be found: an address; none where a file was given.
    pub source: Option<String>,
    /// Seconds since 1970.
    pub added_at: u64,
    /// The person who agreed.
    pub added_by: String,
}

/// A version that runs no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousVersion {
    /// Which.
    pub version: PluginVersion,
    /// Why the cluster went back from it; none: a newer one came.
    pub left: Option<String>,
}

impl PreviousVersion {
    /// Whether somebody decided to go back from it, rather than the cluster by itself.
    #[must_use]
    pub fn left_by_person(&self) -> bool {
        let why = self.left.as_deref().unwrap_or_default();
        why.starts_with('`') && why.ends_with(BY_PERSON)
    }
}

/// How the reason ends when somebody went back; it begins with the person in backticks. Reasons of the cluster's own begin
/// with words.
pub(super) const BY_PERSON: &str = "` went back from it";

/// SHA-256 of a component.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PluginDigest(pub [u8; 32]);

/// Whose signature a component has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedBy {
    /// The number that minisign gives a key: 8 bytes, in hex.
    pub key: String,
    /// What the key was called here when the signature was found good; none: the key was not known, so nothing was checked.
    pub name: Option<String>,
}

/// Something that a plugin may touch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// What for, as its author said it to whoever granted it.
    pub reason: String,
    /// The person who agreed.
    pub granted_by: String,
    /// Seconds since 1970.
    pub granted_at: u64,
}

/// Something that a plugin might touch once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// The person who took it away.
    pub revoked_by: String,
    /// Seconds since 1970.
    pub revoked_at: u64,
}

/// A key whose signatures are believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// A minisign public key, in the Base64 that minisign prints.
    pub key: String,
    /// The person who said so.
    pub added_by: String,
    /// Seconds since 1970.
    pub added_at: u64,
}

/// What to do about plugins.
// Variants are only ever added at the end: their numbers are on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PluginAction {
    /// Take in a plugin of a new name.
    Add(Consent),
    /// Run another version of a plugin; the one before is kept.
    Update(Consent),
    /// Run a version again that is kept.
    RollBack {
        /// Which plugin.
        plugin: String,
        /// Which version; none: the last that was not gone back from.
        to: Option<PluginDigest>,
        /// The person who wants it.
        by: String,
    },
    /// The same because of what the current version did, said by the node on which it happened.
    GiveUp {
        /// Which plugin.
        plugin: String,
        /// The version that failed: nothing is done when it is no longer current.
        from: PluginDigest,
        /// What it did.
        why: String,
    },
    /// Forget a plugin with all of its versions, and what it, or one that a binary carries, may touch.
    Remove(String),
    /// Let a plugin touch these.
    Grant {
        /// Which plugin.
        plugin: String,
        /// What, and what for.
        grants: Vec<(Capability, String)>,
        /// The person who agrees.
        by: String,
    },
    /// Let a plugin touch these no more.
    Revoke {
        /// Which plugin.
        plugin: String,
        /// What.
        grants: Vec<Capability>,
        /// The person who takes it away.
        by: String,
    },
    /// Believe a key's signatures.
    TrustSigner {
        /// What it is called here.
        name: String,
        /// As [`Signer::key`].
        key: String,
        /// The person who says so.
        by: String,
    },
    /// Believe them no more. What was added with them stays.
    DistrustSigner(String),
}

/// What somebody agreed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Which plugin.
    pub plugin: String,
    /// As [`PluginVersion::version`].
    pub version: String,
    /// SHA-256 of the component.
    pub digest: PluginDigest,
    /// The world that it is for.
    pub world: String,
    /// How long the component is.
    pub bytes: u64,
    /// Who signed it.
    pub signer: Option<SignedBy>,
    /// It may run although no trusted key signed it; without it, that is refused once there are trusted keys.
    pub unsigned: bool,
    /// As [`PluginVersion::source`].
    pub source: Option<String>,
    /// What it may touch besides what it may already, and what for.
    pub grants: Vec<(Capability, String)>,
    /// The person who agrees.
    pub by: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginEvent {
    /// A plugin is there.
    Added(String),
    /// Another version runs.
    Updated(String),
    /// An earlier version runs again.
    RolledBack(String),
    /// A plugin is there no more.
    Removed(String),
    /// It may touch this.
    Granted(String, Capability),
    /// It may touch this no more.
    Revoked(String, Capability),
    /// A key's signatures are believed.
    SignerTrusted(String),
    /// They are no more.
    SignerDistrusted(String),
}

impl Plugins {
    /// Every plugin that was added, by name.
    pub fn installed(&self) -> impl ExactSizeIterator<Item = (&str, &Arc<Plugin>)> {
        self.installed
            .iter()
            .map(|(name, plugin)| (name.as_str(), plugin))
    }

    /// A plugin that was added.
    #[must_use]
    pub fn plugin(&self, name: &str) -> Option<&Arc<Plugin>> {
        self.installed.get(name)
    }

    /// What a plugin may touch.
    pub fn grants(&self, plugin: &str) -> impl Iterator<Item = (&Capability, &Grant)> {
        self.grants.get(plugin).into_iter().flatten()
    }

    /// What was taken from a plugin and not given again.
    pub fn revoked(&self, plugin: &str) -> impl Iterator<Item = (&Capability, &Revoked)> {
        self.revoked.get(plugin).into_iter().flatten()
    }

    /// Keys whose signatures are believed, by name.
    pub fn signers(&self) -> impl ExactSizeIterator<Item = (&str, &Signer)> {
        self.signers
            .iter()
            .map(|(name, signer)| (name.as_str(), signer))
    }

    /// Whether any version of any plugin has these bytes.
    #[must_use]
    pub fn refers_to(&self, digest: PluginDigest) -> bool {
        self.installed
            .values()
            .any(|plugin| plugin.versions().any(|version| version.digest == digest))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.installed.is_empty() && self.grants.is_empty() && self.signers.is_empty()
    }
}

impl Plugin {
    /// All versions, the current one first.
    pub fn versions(&self) -> impl Iterator<Item = &PluginVersion> {
        let previous = self.previous.iter().map(|previous| &previous.version);
        std::iter::once(&self.current).chain(previous)
    }

    /// What going back leads to.
    #[must_use]
    pub fn earlier(&self) -> Option<&PluginVersion> {
        let mut kept = self.previous.iter();
        let usable = kept.find(|previous| previous.left.is_none());
        usable.map(|previous| &previous.version)
    }
}

impl std::fmt::Display for PluginDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for PluginDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::str::FromStr for PluginDigest {
    type Err = crate::ids::IdError;

    /// 64 hexadecimal digits, after `sha256:` or alone.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        Ok(Self(digits.parse::<crate::ids::AuthorityId>()?.0))
    }
}

impl State {
    /// The plugins of the cluster.
    #[must_use]
    pub fn plugins(&self) -> &Plugins {
        &self.plugins
    }
}
