//! What each command about plugins does.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    BY_PERSON, Consent, Grant, Plugin, PluginAction, PluginDigest, PluginEvent, PluginRefusal,
    PluginVersion, Plugins, PreviousVersion, Revoked, Signer,
};
use crate::capability::Capability;
use crate::limits::{
    CONSENT_GRANTS_MAX, GRANTS_MAX, PLUGIN_PERSON_BYTES_MAX, PLUGIN_REASON_BYTES_MAX,
    PLUGIN_SOURCE_BYTES_MAX, PLUGIN_VERSION_BYTES_MAX, PLUGINS_MAX, SIGNER_KEY_BYTES_MAX,
    SIGNERS_MAX, VERSIONS_KEPT,
};
use crate::state::text::is_plain;

impl Plugins {
    pub(in crate::state) fn change(
        &mut self,
        at: u64,
        action: &PluginAction,
    ) -> Result<Vec<PluginEvent>, PluginRefusal> {
        match action {
            PluginAction::Add(consent) => {
                if self.installed.contains_key(&consent.plugin) {
                    return Err(PluginRefusal::Exists(consent.plugin.clone()));
                }
                if self.installed.len() >= PLUGINS_MAX {
                    return Err(PluginRefusal::TooMany);
                }
                let events = self.agree(at, consent)?;
                let plugin = Plugin {
                    current: version(at, consent),
                    previous: Vec::new(),
                };
                let name = consent.plugin.clone();
                self.installed.insert(name.clone(), Arc::new(plugin));
                Ok(after(PluginEvent::Added(name), events))
            }
            PluginAction::Update(consent) => self.update(at, consent),
            PluginAction::RollBack { plugin, to, by } => {
                check_text("the person", by, PLUGIN_PERSON_BYTES_MAX)?;
                let why = format!("`{by}{BY_PERSON}");
                self.go_back(plugin, *to, why)
            }
            PluginAction::GiveUp { plugin, from, why } => {
                check_text("the reason", why, PLUGIN_REASON_BYTES_MAX)?;
                if self.known(plugin)?.current.digest != *from {
                    return Err(PluginRefusal::NotCurrent(plugin.clone()));
                }
                self.go_back(plugin, None, why.clone())
            }
            PluginAction::Remove(plugin) => {
                let granted = self.grants.remove(plugin).is_some();
                self.revoked.remove(plugin);
                if self.installed.remove(plugin).is_none() && !granted {
                    return Err(PluginRefusal::Unknown(plugin.clone()));
                }
                Ok(vec![PluginEvent::Removed(plugin.clone())])
            }
            PluginAction::Grant { plugin, grants, by } => self.grant(at, plugin, grants, by),
            PluginAction::Revoke { plugin, grants, by } => self.revoke(at, plugin, grants, by),
            PluginAction::TrustSigner { name, key, by } => self.trust(at, name, key, by),
            PluginAction::DistrustSigner(name) => match self.signers.remove(name) {
                Some(_) => Ok(vec![PluginEvent::SignerDistrusted(name.clone())]),
                None => Err(PluginRefusal::UnknownSigner(name.clone())),
            },
        }
    }

    fn update(&mut self, at: u64, consent: &Consent) -> Result<Vec<PluginEvent>, PluginRefusal> {
        let mut plugin = Plugin::clone(self.known(&consent.plugin)?);
        if plugin.current.digest == consent.digest {
            return Err(PluginRefusal::Same(consent.plugin.clone()));
        }
        let events = self.agree(at, consent)?;
        plugin.run(version(at, consent), None);
        let name = consent.plugin.clone();
        self.installed.insert(name.clone(), Arc::new(plugin));
        Ok(after(PluginEvent::Updated(name), events))
    }

    fn go_back(
        &mut self,
        name: &str,
        to: Option<PluginDigest>,
        why: String,
    ) -> Result<Vec<PluginEvent>, PluginRefusal> {
        let mut plugin = Plugin::clone(self.known(name)?);
        let found = match to {
            None => plugin
                .earlier()
                .cloned()
                .ok_or_else(|| PluginRefusal::NoEarlier(name.to_owned()))?,
            Some(digest) => {
                let mut kept = plugin.previous.iter().map(|previous| &previous.version);
                kept.find(|version| version.digest == digest)
                    .cloned()
                    .ok_or_else(|| PluginRefusal::NotKept {
                        plugin: name.to_owned(),
                        digest,
                    })?
            }
        };
        plugin.run(found, Some(why));
        self.installed.insert(name.to_owned(), Arc::new(plugin));
        Ok(vec![PluginEvent::RolledBack(name.to_owned())])
    }

    /// Checks what somebody agreed to, and grants what belongs to it. Nothing is changed on an error.
    fn agree(&mut self, at: u64, consent: &Consent) -> Result<Vec<PluginEvent>, PluginRefusal> {
        check_name(&consent.plugin)?;
        check_name(&consent.world)?;
        check_text("the version", &consent.version, PLUGIN_VERSION_BYTES_MAX)?;
        if let Some(signer) = &consent.signer {
            check_text("the signer's key", &signer.key, SIGNER_KEY_BYTES_MAX)?;
            signer.name.as_deref().map_or(Ok(()), check_name)?;
        }
        let name = consent.signer.as_ref().and_then(|by| by.name.as_deref());
        let trusted = name.is_some_and(|name| self.signers.contains_key(name));
        if !trusted && !self.signers.is_empty() && !consent.unsigned {
            return Err(PluginRefusal::Unsigned(consent.plugin.clone()));
        }
        let source = consent.source.as_deref();
        source.map_or(Ok(()), |source| {
            check_text("the source", source, PLUGIN_SOURCE_BYTES_MAX)
        })?;
        self.grant(at, &consent.plugin, &consent.grants, &consent.by)
    }

    fn grant(
        &mut self,
        at: u64,
        plugin: &str,
        grants: &[(Capability, String)],
        by: &str,
    ) -> Result<Vec<PluginEvent>, PluginRefusal> {
        check_name(plugin)?;
        check_text("the person", by, PLUGIN_PERSON_BYTES_MAX)?;
        for (_, reason) in grants {
            check_text("the reason", reason, PLUGIN_REASON_BYTES_MAX)?;
        }
        if grants.is_empty() {
            return Ok(Vec::new());
        }
        if !self.grants.contains_key(plugin) && self.grants.len() >= PLUGINS_MAX {
            return Err(PluginRefusal::TooMany);
        }
        let mut held = self.grants.get(plugin).cloned().unwrap_or_default();
        for (capability, reason) in grants {
            let grant = Grant {
                reason: reason.clone(),
                granted_by: by.to_owned(),
                granted_at: at,
            };
            held.insert(capability.clone(), grant);
        }
        if held.len() > GRANTS_MAX || grants.len() > CONSENT_GRANTS_MAX {
            return Err(PluginRefusal::TooManyGrants);
        }
        self.grants.insert(plugin.to_owned(), held);
        if let Some(revoked) = self.revoked.get_mut(plugin) {
            revoked.retain(|capability, _| !grants.iter().any(|(given, _)| given == capability));
        }
        self.revoked.retain(|_, revoked| !revoked.is_empty());
        let granted = |(capability, _): &(Capability, String)| {
            PluginEvent::Granted(plugin.to_owned(), capability.clone())
        };
        Ok(grants.iter().map(granted).collect())
    }

    fn revoke(
        &mut self,
        at: u64,
        plugin: &str,
        grants: &[Capability],
        by: &str,
    ) -> Result<Vec<PluginEvent>, PluginRefusal> {
        check_text("the person", by, PLUGIN_PERSON_BYTES_MAX)?;
        let mut held = self.grants.get(plugin).cloned().unwrap_or_default();
        let mut revoked = self.revoked.get(plugin).cloned().unwrap_or_default();
        let mut events = Vec::new();
        for capability in grants {
            if held.remove(capability).is_none() {
                return Err(PluginRefusal::NotGranted {
                    plugin: plugin.to_owned(),
                    capability: capability.clone(),
                });
            }
            let taken = Revoked {
                revoked_by: by.to_owned(),
                revoked_at: at,
            };
            revoked.insert(capability.clone(), taken);
            events.push(PluginEvent::Revoked(plugin.to_owned(), capability.clone()));
        }
        while revoked.len() > GRANTS_MAX {
            let oldest = revoked.iter().min_by_key(|(_, taken)| taken.revoked_at);
            let Some(oldest) = oldest.map(|(capability, _)| capability.clone()) else {
                break;
            };
            revoked.remove(&oldest);
        }
        self.remember_revoked(plugin, revoked);
        if held.is_empty() {
            self.grants.remove(plugin);
        } else {
            self.grants.insert(plugin.to_owned(), held);
        }
        Ok(events)
    }

    /// Keeps what was taken from a plugin; of as many plugins as may have rights, the one that lost some longest ago makes room.
    fn remember_revoked(&mut self, plugin: &str, revoked: BTreeMap<Capability, Revoked>) {
        self.revoked.insert(plugin.to_owned(), revoked);
        while self.revoked.len() > PLUGINS_MAX {
            let latest = |taken: &BTreeMap<Capability, Revoked>| {
                taken.values().map(|taken| taken.revoked_at).max()
            };
            let oldest = self.revoked.iter().min_by_key(|(_, taken)| latest(taken));
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
                break;
            };
            self.revoked.remove(&oldest);
        }
    }

    fn trust(
        &mut self,
        at: u64,
        name: &str,
        key: &str,
        by: &str,
    ) -> Result<Vec<PluginEvent>, PluginRefusal> {
        check_name(name)?;
        check_text("the key", key, SIGNER_KEY_BYTES_MAX)?;
        check_text("the person", by, PLUGIN_PERSON_BYTES_MAX)?;
        if self.signers.get(name).is_some_and(|known| known.key != key) {
            return Err(PluginRefusal::SignerExists(name.to_owned()));
        }
        if !self.signers.contains_key(name) && self.signers.len() >= SIGNERS_MAX {
            return Err(PluginRefusal::TooManySigners);
        }
        let signer = Signer {
            key: key.to_owned(),
            added_by: by.to_owned(),
            added_at: at,
        };
        self.signers.insert(name.to_owned(), signer);
        Ok(vec![PluginEvent::SignerTrusted(name.to_owned())])
    }

    fn known(&self, plugin: &str) -> Result<&Arc<Plugin>, PluginRefusal> {
        self.plugin(plugin)
            .ok_or_else(|| PluginRefusal::Unknown(plugin.chars().take(64).collect()))
    }

    /// Whether this could have come about by commands.
    pub(in crate::state) fn is_within_bounds(&self) -> bool {
        let versions = |plugin: &Plugin| {
            plugin.previous.len() <= VERSIONS_KEPT
                && plugin.versions().all(|version| {
                    check_name(&version.world).is_ok()
                        && check_text("", &version.version, PLUGIN_VERSION_BYTES_MAX).is_ok()
                        && check_text("", &version.added_by, PLUGIN_PERSON_BYTES_MAX).is_ok()
                })
        };
        let names = |name: &String| check_name(name).is_ok();
        let grant = |grant: &Grant| {
            check_text("", &grant.reason, PLUGIN_REASON_BYTES_MAX).is_ok()
                && check_text("", &grant.granted_by, PLUGIN_PERSON_BYTES_MAX).is_ok()
        };
        let grants = |held: &BTreeMap<Capability, Grant>| {
            held.len() <= GRANTS_MAX && held.values().all(grant)
        };
        let revoked = |revoked: &BTreeMap<Capability, Revoked>| {
            revoked.len() <= GRANTS_MAX
                && revoked
                    .values()
                    .all(|taken| check_text("", &taken.revoked_by, PLUGIN_PERSON_BYTES_MAX).is_ok())
        };
        self.installed.len() <= PLUGINS_MAX
            && self.revoked.len() <= PLUGINS_MAX
            && self.revoked.keys().all(names)
            && self.revoked.values().all(revoked)
            && self.grants.len() <= PLUGINS_MAX
            && self.signers.len() <= SIGNERS_MAX
            && self.installed.keys().all(names)
            && self.grants.keys().all(names)
            && self.signers.keys().all(names)
            && self.installed.values().all(|plugin| versions(plugin))
            && self.grants.values().all(grants)
            && self
                .signers
                .values()
                .all(|signer| check_text("", &signer.key, SIGNER_KEY_BYTES_MAX).is_ok())
    }
}

impl Plugin {
    /// Another version runs; the one before is kept, with why it was left.
    fn run(&mut self, next: PluginVersion, left: Option<String>) {
        self.previous
            .retain(|previous| previous.version.digest != next.digest);
        let before = std::mem::replace(&mut self.current, next);
        let before = PreviousVersion {
            version: before,
            left,
        };
        self.previous.insert(0, before);
        self.previous.truncate(VERSIONS_KEPT);
    }
}

fn version(at: u64, consent: &Consent) -> PluginVersion {
    PluginVersion {
        version: consent.version.clone(),
        digest: consent.digest,
        world: consent.world.clone(),
        bytes: consent.bytes,
        signer: consent.signer.clone(),
        source: consent.source.clone(),
        added_at: at,
        added_by: consent.by.clone(),
    }
}

fn after(first: PluginEvent, mut rest: Vec<PluginEvent>) -> Vec<PluginEvent> {
    rest.insert(0, first);
    rest
}

fn check_name(name: &str) -> Result<(), PluginRefusal> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let first = name.as_bytes().first().copied().unwrap_or_default();
    if name.len() <= 64 && first.is_ascii_lowercase() && name.bytes().all(fits) {
        return Ok(());
    }
    let shown: String = name.chars().take(64).collect();
    Err(PluginRefusal::Name(shown.escape_debug().to_string()))
}

fn check_text(what: &'static str, text: &str, bytes_max: usize) -> Result<(), PluginRefusal> {
    if text.is_empty() || text.len() > bytes_max || !is_plain(text) {
        return Err(PluginRefusal::Text(what));
    }
    Ok(())
}
