//! What is said of plugins, below `/api/v1/plugins`.

use serde::{Deserialize, Serialize};

use super::Plugin;
use crate::plugins::manifest::Manifest;

/// `GET /api/v1/plugins`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PluginStates {
    pub plugins: Vec<PluginState>,
}

/// A plugin, as a list shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PluginState {
    #[serde(flatten)]
    pub plugin: Plugin,
    pub version: String,
    /// A few words of its author's.
    pub title: String,
    /// It comes with this binary.
    pub carried: bool,
    /// `ready`, or `fetching` while its component is not on this node.
    pub state: String,
    /// What it may touch, as grants are written.
    pub grants: Vec<String>,
    pub signature: SignatureView,
    /// Who uses it on this node, in words.
    pub used_by: Vec<String>,
}

/// Whose signature a component has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureView {
    /// `trusted`, `unknown`, `none`; `carried` for what came with the binary.
    pub state: String,
    /// The key's number.
    pub key: Option<String>,
    /// What the key is called.
    pub name: Option<String>,
}

/// `GET /api/v1/plugins/NAME`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PluginDetails {
    #[serde(flatten)]
    pub state: PluginState,
    /// None while its component is not on this node.
    pub manifest: Option<Manifest>,
    pub wishes: Vec<PluginWish>,
    pub granted: Vec<GrantView>,
    /// What was taken away and not given again.
    pub revoked: Vec<RevokedView>,
    /// What its world gives it whether or not anything is granted, in words.
    pub gives: Vec<String>,
    /// What it may not touch, in words.
    pub may_not: Vec<String>,
    pub limits: Vec<Limit>,
    /// The current one first.
    pub versions: Vec<KeptVersion>,
    pub usage: Vec<PluginUsage>,
}

/// Something that a plugin wants to touch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginWish {
    /// As it is granted; none where a setting decides.
    pub capability: Option<String>,
    /// As its author wrote it.
    pub written: String,
    /// In words, as the rest of a sentence that begins with `it may`.
    pub words: String,
    pub reason: String,
    /// It works without.
    pub optional: bool,
    /// It may already.
    pub granted: bool,
}

/// Something that a plugin may touch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantView {
    pub capability: String,
    pub words: String,
    pub reason: String,
    pub granted_by: String,
    pub granted_unix_s: u64,
    /// The version that runs still asks for it.
    pub asked_for: bool,
}

/// Something that a plugin might touch once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedView {
    pub capability: String,
    pub revoked_by: String,
    pub revoked_unix_s: u64,
}

/// A bound that holds for a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// `plugin` or `cluster`.
    pub of: String,
    pub name: String,
    pub value: String,
}

/// A version of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptVersion {
    pub version: String,
    pub digest: String,
    pub bytes: u64,
    pub current: bool,
    pub added_unix_s: u64,
    pub added_by: String,
    pub signature: SignatureView,
    pub source: Option<String>,
    /// Why the cluster went back from it.
    pub left: Option<String>,
}

/// What a plugin takes while it runs on this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginUsage {
    /// Where it runs, in words.
    pub what: String,
    /// Of its process, or of its instance where it runs in the agent's.
    pub resident_bytes: Option<u64>,
    pub calls: Option<u64>,
    /// Traps, and answers that made no sense.
    pub failures: Option<u64>,
    /// What it did wrong the last time.
    pub last_failure: Option<String>,
    /// Units of work that its last call took.
    pub fuel: Option<u64>,
}

/// `POST /api/v1/plugins/-/inspect`: what somebody could agree to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PluginOffer {
    pub digest: String,
    pub bytes: u64,
    pub world: String,
    pub manifest: Manifest,
    pub imports: Vec<String>,
    pub signature: SignatureView,
    pub wishes: Vec<PluginWish>,
    pub gives: Vec<String>,
    pub may_not: Vec<String>,
    /// What of that name runs already.
    pub present: Option<PresentPlugin>,
    /// What speaks against it; each is accepted by its name.
    pub doubts: Vec<Doubt>,
    /// Somebody has to agree: it is new, or touches more, or something else speaks against it.
    pub asks: bool,
}

/// The version that would be replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresentPlugin {
    pub version: String,
    pub digest: String,
    pub world: String,
}

/// Something that speaks against a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// `unsigned`, `unknown-signer`, `other-signer`, `other-world`, `older-version`
    pub name: String,
    pub words: String,
}

/// `POST /api/v1/plugins/-/install`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Install {
    /// What was shown.
    pub digest: String,
    /// Everything that is agreed to, one by one.
    #[serde(default)]
    pub grants: Vec<String>,
    /// What speaks against it and is accepted all the same, one by one.
    #[serde(default)]
    pub accepts: Vec<String>,
    /// The plugin that this is another version of; none: it is new.
    #[serde(default)]
    pub updates: Option<String>,
    /// The address that it came from.
    #[serde(default)]
    pub source: Option<String>,
    /// Who agrees; of whoever shows a key, the key's name counts.
    #[serde(default)]
    pub by: Option<String>,
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedPlugin {
    pub name: String,
    pub version: String,
    pub world: String,
    pub digest: String,
    /// Everything that it may touch now.
    pub grants: Vec<String>,
}

/// `POST /api/v1/plugins/NAME/grant` and `/revoke`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantsWish {
    pub grants: Vec<String>,
    #[serde(default)]
    pub by: Option<String>,
}

/// The answer to both: everything that it may touch now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginGrants {
    pub name: String,
    pub grants: Vec<String>,
}

/// `POST /api/v1/plugins/NAME/rollback`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollBackWish {
    /// A version, or the beginning of a digest; none: the last that was not gone back from.
    #[serde(default)]
    pub to: Option<String>,
    #[serde(default)]
    pub by: Option<String>,
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBackPlugin {
    pub name: String,
    pub from: String,
    pub to: String,
}

/// The query of `DELETE /api/v1/plugins/NAME`
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    /// Also one that is used.
    #[serde(default)]
    pub force: bool,
}

/// `GET /api/v1/plugins/-/signers`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Signers {
    pub signers: Vec<SignerView>,
}

/// A key whose signatures are believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignerView {
    pub name: String,
    /// The public key.
    pub key: String,
    /// Its number.
    pub number: String,
    pub added_by: String,
    pub added_unix_s: u64,
}

/// `POST /api/v1/plugins/-/signers`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignerWish {
    pub name: String,
    /// A public key of minisign's, or the text of its file.
    pub key: String,
    #[serde(default)]
    pub by: Option<String>,
}
