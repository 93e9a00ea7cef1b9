//! What somebody agreed to, or takes back, becomes what the cluster agrees on.
//!
//! Decides that nothing is granted that the plugin does not ask for, that nothing is taken in without all that it needs, and that a version
//! that does not work here is not taken in. Refuses to know who asks: a person's name comes with each wish.

use std::collections::BTreeSet;

use skep_core::capability::Capability;
use skep_core::state::{Action, Consent, PluginAction, PluginDigest, SignedBy};

use super::offer::wishes;
use super::{Doubt, Offer, Shelf, ShelfError, carried};
use crate::fleet::Component;
use crate::host::World;
use crate::plugins::manifest::{Manifest, Want};
use crate::plugins::signature::{self, Signed};
use crate::scheduling::{Policy, Source};

/// What somebody agrees to.
#[derive(Clone, Debug)]
pub struct Agreement {
    /// What was shown.
    pub digest: PluginDigest,
    /// What it may touch besides what it may already.
    pub grants: Vec<Capability>,
    /// What speaks against it, and is accepted all the same.
    pub accepts: Vec<Doubt>,
    /// The plugin that is to be updated; none: a new one is added.
    pub updates: Option<String>,
    /// Where it came from: an address.
    pub source: Option<String>,
    /// Who agrees.
    pub by: String,
}

/// Where a rollback leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Going {
    /// The version that ran.
    pub from: String,
    /// The one that runs now.
    pub to: String,
}

impl Shelf {
    /// Adds a plugin that was offered, or updates one to it, once it has shown here that it works.
    ///
    /// # Errors
    /// See [`ShelfError`]; whatever ran before goes on.
    pub async fn agree(&self, agreement: Agreement) -> Result<Offer, ShelfError> {
        let (shelf, digest) = (self.clone(), agreement.digest);
        let offered = tokio::task::spawn_blocking(move || shelf.offered(digest)).await;
        let (offer, component) = offered.map_err(lost)??;
        let name = offer.manifest.name.clone();
        if let Some(wanted) = &agreement.updates {
            if *wanted != name {
                let (wanted, found) = (wanted.clone(), name);
                return Err(ShelfError::OtherName { wanted, found });
            }
            if offer.present.is_none() {
                return Err(ShelfError::Unknown(name));
            }
        }
        let given: BTreeSet<&Capability> = agreement.grants.iter().collect();
        let missing: Vec<Capability> = offer
            .wishes
            .iter()
            .filter(|wish| !wish.optional && !wish.granted)
            .filter_map(|wish| wish.capability.clone())
            .filter(|capability| !given.contains(capability))
            .collect();
        if !missing.is_empty() {
            let plugin = name;
            return Err(ShelfError::NotAgreed { plugin, missing });
        }
        let doubts = offer.doubts.iter().copied();
        let doubts: Vec<Doubt> = doubts
            .filter(|doubt| !agreement.accepts.contains(doubt))
            .collect();
        if !doubts.is_empty() {
            let plugin = name;
            return Err(ShelfError::Doubtful { plugin, doubts });
        }
        let grants = with_reasons(&offer.manifest, &agreement.grants)?;
        self.try_out(&offer, component).await?;
        let consent = Consent {
            plugin: name,
            version: offer.manifest.version.to_string(),
            digest,
            world: offer.world.name().to_owned(),
            bytes: offer.inspection.size_bytes as u64,
            signer: signed_by(&offer.signed),
            unsigned: offer.doubts.iter().any(|doubt| doubt.is_of_trust()),
            source: agreement.source,
            grants,
            by: agreement.by,
        };
        let action = match agreement.updates {
            Some(_) => PluginAction::Update(consent),
            None => PluginAction::Add(consent),
        };
        self.decide(action).await?;
        Ok(offer)
    }

    /// Compiles it, and has a scheduler start with all that is known here and a step of a setup say what it is.
    async fn try_out(&self, offer: &Offer, component: Vec<u8>) -> Result<(), ShelfError> {
        let plugin = crate::fleet::Plugin {
            name: offer.manifest.name.clone(),
            component: Component::Bytes(component.into()),
        };
        if offer.world == World::Installer {
            let installer = self.0.fleet.installer(&plugin).await;
            let installer = installer.map_err(ShelfError::Unhealthy)?;
            let described = tokio::task::spawn_blocking(move || installer.describe()).await;
            let described = described.map_err(lost)?;
            return described
                .map(drop)
                .map_err(|fault| ShelfError::Unhealthy(fault.to_string()));
        }
        if offer.world != World::Scheduler {
            let compiled = self.0.fleet.compile(offer.world, &plugin).await;
            return compiled.map_err(ShelfError::Unhealthy);
        }
        let scheduler = self.0.fleet.scheduler(&plugin).await;
        let scheduler = scheduler.map_err(ShelfError::Unhealthy)?;
        let known = self.0.policies.known();
        let source = Source::Installed {
            name: plugin.name,
            digest: Some(offer.digest),
        };
        let tried =
            tokio::task::spawn_blocking(move || Policy::new(source, scheduler).try_out(&known));
        tried.await.map_err(lost)?.map_err(ShelfError::Unhealthy)
    }

    /// Lets a plugin touch more.
    ///
    /// # Errors
    /// When there is no such plugin, it does not ask for this, or the cluster does not decide.
    pub async fn grant(
        &self,
        plugin: &str,
        grants: &[Capability],
        by: &str,
    ) -> Result<(), ShelfError> {
        let found = self.find(plugin);
        let found = found.ok_or_else(|| ShelfError::Unknown(shown(plugin)))?;
        let grants = with_reasons(&found.manifest, grants)?;
        let (plugin, by) = (plugin.to_owned(), by.to_owned());
        self.decide(PluginAction::Grant { plugin, grants, by })
            .await
    }

    /// Lets a plugin touch less, from now on and also in what it is doing.
    ///
    /// # Errors
    /// When it was not granted, or the cluster does not decide.
    pub async fn revoke(
        &self,
        plugin: &str,
        grants: Vec<Capability>,
        by: &str,
    ) -> Result<(), ShelfError> {
        let (plugin, by) = (plugin.to_owned(), by.to_owned());
        self.decide(PluginAction::Revoke { plugin, grants, by })
            .await
    }

    /// Goes back to a version that is kept: the last that was not gone back from, or the one named.
    ///
    /// # Errors
    /// When there is none, or the cluster does not decide.
    pub async fn roll_back(
        &self,
        plugin: &str,
        to: Option<&str>,
        by: &str,
    ) -> Result<Going, ShelfError> {
        let view = self.0.cluster.view();
        let Some(known) = view.plugins().plugin(plugin) else {
            return Err(self.not_added(plugin));
        };
        let to = match to {
            None => None,
            Some(text) => {
                let mut kept = known.previous.iter().map(|previous| &previous.version);
                let digits = text.strip_prefix("sha256:").unwrap_or(text);
                let named = |digest: &PluginDigest| {
                    digits.len() >= 6 && digest.to_string().starts_with(digits)
                };
                let found = kept.find(|kept| kept.version == text || named(&kept.digest));
                Some(
                    found
                        .ok_or_else(|| ShelfError::NoVersion {
                            plugin: plugin.to_owned(),
                            version: shown(text),
                        })?
                        .digest,
                )
            }
        };
        let from = known.current.version.clone();
        let (name, by) = (plugin.to_owned(), by.to_owned());
        self.decide(PluginAction::RollBack {
            plugin: name,
            to,
            by,
        })
        .await?;
        let view = self.0.cluster.view();
        let now = view.plugins().plugin(plugin);
        let to = now.map_or_else(|| from.clone(), |now| now.current.version.clone());
        Ok(Going { from, to })
    }

    /// Forgets a plugin with its versions and rights. `force`: although something uses it.
    ///
    /// # Errors
    /// When it is used, comes with skep, is not there, or the cluster does not decide.
    pub async fn remove(&self, plugin: &str, force: bool) -> Result<(), ShelfError> {
        if self.0.cluster.view().plugins().plugin(plugin).is_none() {
            return Err(self.not_added(plugin));
        }
        let uses = self.uses(plugin);
        if !force && !uses.is_empty() {
            let plugin = plugin.to_owned();
            return Err(ShelfError::InUse { plugin, uses });
        }
        self.decide(PluginAction::Remove(plugin.to_owned())).await
    }

    /// Believes a key's signatures from now on; the key, as it is kept.
    ///
    /// # Errors
    /// When it is no key, or the cluster does not decide.
    pub async fn trust(&self, name: &str, key: &str, by: &str) -> Result<String, ShelfError> {
        let key = signature::public_key(key)?;
        let (name, by) = (name.to_owned(), by.to_owned());
        let action = PluginAction::TrustSigner {
            name,
            key: key.clone(),
            by,
        };
        self.decide(action).await?;
        Ok(key)
    }

    /// Believes them no more. What was added with them stays.
    ///
    /// # Errors
    /// When nobody of that name is trusted, or the cluster does not decide.
    pub async fn distrust(&self, name: &str) -> Result<(), ShelfError> {
        self.decide(PluginAction::DistrustSigner(name.to_owned()))
            .await
    }

    pub(super) async fn decide(&self, action: PluginAction) -> Result<(), ShelfError> {
        self.0.cluster.decide(Action::Plugins(action)).await?;
        Ok(())
    }

    fn not_added(&self, plugin: &str) -> ShelfError {
        if carried().iter().any(|one| one.embedded.name == plugin) {
            return ShelfError::Carried(plugin.to_owned());
        }
        ShelfError::Unknown(shown(plugin))
    }
}

/// Each grant with what its author said it is for.
fn with_reasons(
    manifest: &Manifest,
    grants: &[Capability],
) -> Result<Vec<(Capability, String)>, ShelfError> {
    let with = |grant: &Capability| {
        let reason = reason_for(manifest, grant).ok_or_else(|| ShelfError::NotAsked {
            plugin: manifest.name.clone(),
            capability: grant.clone(),
        })?;
        Ok((grant.clone(), brief(&reason)))
    };
    grants.iter().map(with).collect()
}

/// What its author says that this is for; none where it does not ask for it.
pub(super) fn reason_for(manifest: &Manifest, grant: &Capability) -> Option<String> {
    let wishes = wishes(manifest, &BTreeSet::new()).unwrap_or_default();
    let mut exact = wishes.iter();
    let exact = exact.find(|wish| wish.capability.as_ref() == Some(grant));
    let reason = exact.map(|wish| wish.reason.clone());
    reason.or_else(|| settable(manifest, grant))
}

/// The reason of a want that some setting decides, when what it decides could be this.
fn settable(manifest: &Manifest, grant: &Capability) -> Option<String> {
    let written = grant.to_string();
    let kind = written.split(':').next().unwrap_or_default();
    let wanted = manifest
        .capabilities
        .iter()
        .find(|wanted| match &wanted.wants {
            Want::FromSetting { kind: asked, .. } => asked == kind,
            Want::Fixed(_) => false,
        });
    wanted.map(|wanted| wanted.reason.clone())
}

/// As much of a reason as the cluster keeps.
fn brief(reason: &str) -> String {
    let mut text: String = reason.replace('\n', " ");
    while text.len() > skep_core::limits::PLUGIN_REASON_BYTES_MAX {
        text.pop();
    }
    text
}

fn signed_by(signed: &Signed) -> Option<SignedBy> {
    match signed {
        Signed::Nobody => None,
        Signed::Unknown { key } => Some(SignedBy {
            key: key.clone(),
            name: None,
        }),
        Signed::Trusted { key, name } => Some(SignedBy {
            key: key.clone(),
            name: Some(name.clone()),
        }),
    }
}

fn shown(text: &str) -> String {
    text.chars()
        .take(64)
        .collect::<String>()
        .escape_debug()
        .to_string()
}

fn lost(_: tokio::task::JoinError) -> ShelfError {
    ShelfError::Unhealthy("what looked at it broke off inside the agent".to_owned())
}
