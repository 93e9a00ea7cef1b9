//! How plugins are shown.

use skep_core::capability::Capability;
use skep_core::state::{PluginVersion, Plugins, SignedBy, Signer};

use crate::agent::Agent;
use crate::fleet::ReplicaState;
use crate::host::World;
use crate::plugins::signature::{Signed, key_number};
use crate::plugins::{Installed, Offer, Wish, words};
use crate::scheduling::{Source, Standing};
use crate::{version, wire};

pub(super) fn list(agent: &Agent) -> Vec<wire::PluginState> {
    let view = agent.cluster.view();
    let carried = version::plugins().into_iter().map(|plugin| plugin.name);
    let added = view.plugins().installed().map(|(name, _)| name.to_owned());
    let mut names: Vec<String> = carried.chain(added).collect();
    names.dedup();
    names.iter().filter_map(|name| state(agent, name)).collect()
}

fn state(agent: &Agent, name: &str) -> Option<wire::PluginState> {
    let view = agent.cluster.view();
    let plugins = view.plugins();
    let found = agent.shelf.find(name);
    let grants = plugins.grants(name).map(|(what, _)| what.to_string());
    let grants = grants.collect();
    let used_by = agent.shelf.uses(name);
    let title = found
        .as_ref()
        .map_or_else(String::new, |found| found.manifest.title.clone());
    if let Some(plugin) = version::plugins()
        .into_iter()
        .find(|plugin| plugin.name == name)
    {
        return Some(wire::PluginState {
            version: found.map_or_else(|| version::VERSION.to_owned(), |found| found.version),
            plugin,
            title,
            carried: true,
            state: "ready".to_owned(),
            grants,
            signature: wire::SignatureView {
                state: "carried".to_owned(),
                key: None,
                name: None,
            },
            used_by,
        });
    }
    let current = &plugins.plugin(name)?.current;
    let imports = found.as_ref().map(|found| found.imports.to_vec());
    let runs_in = match current.world.as_str() {
        "scheduler" => "agent",
        _ => "worker",
    };
    Some(wire::PluginState {
        plugin: wire::Plugin {
            name: name.to_owned(),
            world: current.world.clone(),
            imports: imports.unwrap_or_default(),
            bytes: current.bytes,
            digest: format!("sha256:{}", current.digest),
            runs_in: runs_in.to_owned(),
        },
        version: current.version.clone(),
        title,
        carried: false,
        state: if found.is_some() { "ready" } else { "fetching" }.to_owned(),
        grants,
        signature: signature(plugins, current.signer.as_ref()),
        used_by,
    })
}

pub(super) fn details(agent: &Agent, name: &str) -> Option<wire::PluginDetails> {
    let state = state(agent, name)?;
    let view = agent.cluster.view();
    let plugins = view.plugins();
    let found = agent.shelf.find(name);
    let wishes = found.as_ref().map(Installed::wishes).unwrap_or_default();
    let world: Option<World> = state.plugin.world.parse().ok();
    let grant = |(what, grant): (&Capability, &skep_core::state::Grant)| wire::GrantView {
        capability: what.to_string(),
        words: what.in_words(),
        reason: grant.reason.clone(),
        granted_by: grant.granted_by.clone(),
        granted_unix_s: grant.granted_at,
        asked_for: found.as_ref().is_some_and(|found| found.asks_for(what)),
    };
    let granted: Vec<_> = plugins.grants(name).map(grant).collect();
    let revoked = plugins
        .revoked(name)
        .map(|(what, taken)| wire::RevokedView {
            capability: what.to_string(),
            revoked_by: taken.revoked_by.clone(),
            revoked_unix_s: taken.revoked_at,
        });
    let reaches = granted
        .iter()
        .any(|grant| !grant.capability.starts_with("secret:"));
    Some(wire::PluginDetails {
        usage: usage(agent, name),
        versions: versions(plugins, name),
        limits: world.map(limits).unwrap_or_default(),
        gives: world.map(words::gives).unwrap_or_default(),
        may_not: world
            .map(|world| words::may_not(world, reaches))
            .unwrap_or_default(),
        wishes: wishes.iter().map(wish).collect(),
        manifest: found.as_ref().map(|found| (*found.manifest).clone()),
        granted,
        revoked: revoked.collect(),
        state,
    })
}

fn versions(plugins: &Plugins, name: &str) -> Vec<wire::KeptVersion> {
    let Some(plugin) = plugins.plugin(name) else {
        return Vec::new();
    };
    let one = |version: &PluginVersion, current, left: Option<String>| wire::KeptVersion {
        version: version.version.clone(),
        digest: format!("sha256:{}", version.digest),
        bytes: version.bytes,
        current,
        added_unix_s: version.added_at,
        added_by: version.added_by.clone(),
        signature: signature(plugins, version.signer.as_ref()),
        source: version.source.clone(),
        left,
    };
    let earlier = plugin.previous.iter();
    let earlier = earlier.map(|previous| one(&previous.version, false, previous.left.clone()));
    std::iter::once(one(&plugin.current, true, None))
        .chain(earlier)
        .collect()
}

fn limits(world: World) -> Vec<wire::Limit> {
    let limit = |of: &'static str| {
        move |(name, value): (&str, String)| wire::Limit {
            of: of.to_owned(),
            name: name.to_owned(),
            value,
        }
    };
    let own = words::limits(world).into_iter().map(limit("plugin"));
    own.chain(words::cluster_limits().into_iter().map(limit("cluster")))
        .collect()
}

/// What it takes on this node now.
fn usage(agent: &Agent, name: &str) -> Vec<wire::PluginUsage> {
    let mut all = Vec::new();
    for replica in agent.fleet.replicas() {
        if replica.plugin == name {
            all.push(wire::PluginUsage {
                what: format!("the worker of `{}`", replica.model),
                resident_bytes: replica
                    .pid
                    .map(skep_hw::telemetry::resident_bytes)
                    .unwrap_or_default(),
                calls: None,
                failures: Some(u64::from(replica.restarts)),
                last_failure: match replica.state {
                    ReplicaState::Restarting { why, .. } | ReplicaState::Failed { why } => {
                        Some(why)
                    }
                    ReplicaState::Starting | ReplicaState::Ready | ReplicaState::Draining => None,
                },
                fuel: None,
            });
        }
    }
    let overview = agent.router.policies().overview();
    for (policy, standing, source, tally) in overview.policies {
        let is_it = match &source {
            Some(Source::Embedded(this)) => *this == name,
            Some(Source::Installed { name: this, .. }) => this == name,
            Some(Source::BuiltIn | Source::File(_)) | None => false,
        };
        let taken = match standing {
            Standing::Active => overview.taken,
            _ => None,
        };
        if is_it && (tally.decisions > 0 || taken.is_some()) {
            all.push(wire::PluginUsage {
                what: format!("the scheduler `{policy}`"),
                resident_bytes: taken.map(|(_, bytes)| bytes as u64),
                calls: Some(tally.decisions),
                failures: Some(tally.failures),
                last_failure: tally.last_failure,
                fuel: taken.map(|(fuel, _)| fuel),
            });
        }
    }
    all
}

pub(super) fn offer(offer: &Offer) -> wire::PluginOffer {
    let network = |wish: &Wish| !wish.written.starts_with("secret:");
    wire::PluginOffer {
        digest: format!("sha256:{}", offer.digest),
        bytes: offer.inspection.size_bytes as u64,
        world: offer.world.name().to_owned(),
        imports: offer.inspection.imports.clone(),
        signature: match &offer.signed {
            Signed::Nobody => signed("none", None, None),
            Signed::Unknown { key } => signed("unknown", Some(key), None),
            Signed::Trusted { key, name } => signed("trusted", Some(key), Some(name)),
        },
        wishes: offer.wishes.iter().map(wish).collect(),
        gives: words::gives(offer.world),
        may_not: words::may_not(offer.world, offer.wishes.iter().any(network)),
        present: offer.present.as_ref().map(|present| wire::PresentPlugin {
            version: present.version.clone(),
            digest: format!("sha256:{}", present.digest),
            world: present.world.clone(),
        }),
        doubts: offer
            .doubts
            .iter()
            .map(|doubt| wire::Doubt {
                name: doubt.name().to_owned(),
                words: doubt.in_words().to_owned(),
            })
            .collect(),
        asks: offer.asks(),
        manifest: (*offer.manifest).clone(),
    }
}

fn wish(wish: &Wish) -> wire::PluginWish {
    let words = match (&wish.capability, wish.written.split_once(":${")) {
        (Some(capability), _) => capability.in_words(),
        (None, Some((kind, setting))) => {
            let setting = setting.trim_end_matches('}');
            let what = match kind {
                "secret" => "use the secret",
                "mail" | "mail-local" => "send mail by the server",
                _ => "send requests to the host",
            };
            format!("{what} that you set as `{setting}`; you are asked when you do")
        }
        (None, None) => wish.written.clone(),
    };
    wire::PluginWish {
        capability: wish.capability.as_ref().map(ToString::to_string),
        written: wish.written.clone(),
        words,
        reason: wish.reason.clone(),
        optional: wish.optional,
        granted: wish.granted,
    }
}

pub(super) fn signer((name, signer): (&str, &Signer)) -> wire::SignerView {
    wire::SignerView {
        name: name.to_owned(),
        number: key_number(&signer.key).unwrap_or_default(),
        key: signer.key.clone(),
        added_by: signer.added_by.clone(),
        added_unix_s: signer.added_at,
    }
}

/// As it is now: a signer may have lost the trust that it had.
fn signature(plugins: &Plugins, by: Option<&SignedBy>) -> wire::SignatureView {
    let Some(by) = by else {
        return signed("none", None, None);
    };
    let mut trusted = plugins.signers();
    let still = trusted.any(|(_, signer)| key_number(&signer.key).as_ref() == Some(&by.key));
    match &by.name {
        Some(name) if still => signed("trusted", Some(&by.key), Some(name)),
        name => signed("unknown", Some(&by.key), name.as_ref()),
    }
}

fn signed(state: &str, key: Option<&String>, name: Option<&String>) -> wire::SignatureView {
    wire::SignatureView {
        state: state.to_owned(),
        key: key.cloned(),
        name: name.cloned(),
    }
}
