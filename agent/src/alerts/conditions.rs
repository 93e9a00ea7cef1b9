//! What is the case now and somebody should know, from what the agent knows already.
//!
//! Decides which of it that is, how bad, and in which words. Remembers nothing.

use std::collections::BTreeMap;

mod backup;
mod certificate;

use skep_core::state::Plugin;

use super::Condition;
use crate::agent::Agent;
use crate::cluster::{DeviceFacts, NodeState, NodeStatus};
use crate::fleet::ReplicaState;
use crate::host::World;
use crate::keys::unix_now_s;
use crate::limits::{DISK_FREE_ENOUGH_BYTES, DISK_FULL_PERCENT};
use crate::protocol::Severity;
use crate::router::ModelStanding;
use crate::services::{Kind, Standing, State, View};

/// All of it.
pub(super) fn all(agent: &Agent) -> Vec<Condition> {
    let here = agent.cluster.name();
    let mut found = Vec::new();
    for node in agent.cluster.nodes() {
        found.extend(down(&node));
        let devices = node.devices.iter();
        found.extend(devices.filter_map(|one| device(&node, one)));
    }
    found.extend(models(agent, &here));
    found.extend(rolled_back(agent, &here));
    for (name, plugin) in agent.cluster.view().plugins().installed() {
        found.extend(went_back(name, plugin));
    }
    found.extend(disks(agent, &here));
    if let Some(backups) = &agent.backups {
        found.extend(backup::missing(backups, &here));
    }
    if let Some(certificates) = &agent.certificates {
        found.extend(certificate::renewal(
            &certificates.view(),
            &here,
            unix_now_s(),
        ));
    }
    for kind in [Kind::Upstream, Kind::Notifier] {
        let views = agent.services.list(kind);
        found.extend(views.iter().filter_map(|view| service(view, &here)));
    }
    found
}

fn down(node: &NodeStatus) -> Option<Condition> {
    (node.state == NodeState::Down).then(|| {
        let name = &node.name;
        Condition {
            id: format!("node/{}", node.id),
            kind: "node.down".to_owned(),
            severity: Severity::Critical,
            title: format!("The node `{name}` is down"),
            text: format!(
                "Nobody hears of it any more. What ran there goes on elsewhere where it can. `skep nodes` shows who is there; if \
                 it is gone for good, `skep node rm {name}` forgets it."
            ),
            node: Some(name.clone()),
            facts: facts([("node", node.id.clone())]),
        }
    })
}

fn device(node: &NodeStatus, device: &DeviceFacts) -> Option<Condition> {
    let (severity, what) = match device.health.as_str() {
        "lost" => (Severity::Critical, "is lost"),
        "degraded" => (Severity::Warning, "is not well"),
        _ => return None,
    };
    let why = device.why.clone().unwrap_or_default();
    Some(Condition {
        id: format!("device/{}/{}", node.id, device.id),
        kind: format!("device.{}", device.health),
        severity,
        title: format!(
            "The device `{}` of `{}` {what}: {why}",
            device.id, node.name
        ),
        text: format!(
            "{} What runs there moves where it can. `skep node` on `{}` shows its readings, and `skep doctor` what to do.",
            sentence(&why),
            node.name
        ),
        node: Some(node.name.clone()),
        facts: facts([
            ("node", node.id.clone()),
            ("device", device.id.clone()),
            ("kind", device.kind.clone()),
            ("why", why.clone()),
        ]),
    })
}

fn models(agent: &Agent, here: &str) -> Vec<Condition> {
    let failed = agent.router.models().into_iter();
    // Upstreams have alerts of their own.
    let failed =
        failed.filter(|model| model.standing == ModelStanding::Failed && model.upstream.is_none());
    let mut found: Vec<Condition> = failed
        .map(|model| model_failed(agent, here, &model.name, model.why.as_deref()))
        .collect();
    for replica in agent.fleet.replicas() {
        if let ReplicaState::Failed { why } = &replica.state {
            found.push(model_failed(agent, here, &replica.model, Some(why)));
        }
    }
    found
}

fn model_failed(agent: &Agent, here: &str, model: &str, why: Option<&str>) -> Condition {
    let why = why.unwrap_or("it is not known why");
    Condition {
        id: format!("model/{}/{model}", agent.node),
        kind: "model.failed".to_owned(),
        severity: Severity::Warning,
        title: format!("The model `{model}` cannot be used on `{here}`"),
        text: format!(
            "{} `skep logs` tells more, and `skep load {model}` tries again.",
            sentence(why)
        ),
        node: Some(here.to_owned()),
        facts: facts([("model", model.to_owned()), ("why", why.to_owned())]),
    }
}

fn rolled_back(agent: &Agent, here: &str) -> Option<Condition> {
    let back = agent.router.policies().overview().rolled_back?;
    Some(Condition {
        id: format!("scheduler/{}/{}", agent.node, back.from),
        kind: "plugin.rolled-back".to_owned(),
        severity: Severity::Warning,
        title: format!(
            "The scheduler `{}` was replaced by `{}`",
            back.from, back.to
        ),
        text: format!(
            "{} Nothing was lost by that. `skep scheduler ls` shows how often it failed, and `skep scheduler use` puts one in \
             charge.",
            sentence(&back.why)
        ),
        node: Some(here.to_owned()),
        facts: facts([
            ("from", back.from.to_string()),
            ("to", back.to.to_string()),
            ("why", back.why.clone()),
        ]),
    })
}

/// Until another version runs. Schedulers that the cluster went back from have an alert of their own, and who went back knows
/// of it.
fn went_back(name: &str, plugin: &Plugin) -> Option<Condition> {
    let left = plugin.previous.first()?;
    if left.left_by_person() {
        return None;
    }
    let why = left.left.as_ref()?;
    let (from, to) = (&left.version.version, &plugin.current.version);
    if plugin.current.world == World::Scheduler.name() {
        return None;
    }
    Some(Condition {
        id: format!("plugin/{name}/{}", left.version.digest),
        kind: "plugin.rolled-back".to_owned(),
        severity: Severity::Warning,
        title: format!("The plugin `{name}` went back from {from} to {to}"),
        text: format!(
            "{} What uses it goes on with {to}. `skep plugin show {name}` tells more, and `skep plugin update {name}` brings \
             another version.",
            sentence(why)
        ),
        node: None,
        facts: facts([
            ("plugin", name.to_owned()),
            ("from", from.clone()),
            ("to", to.clone()),
            ("why", why.clone()),
        ]),
    })
}

fn disks(agent: &Agent, here: &str) -> Vec<Condition> {
    let Some(machine) = agent.telemetry.borrow().clone() else {
        return Vec::new();
    };
    let disks = machine.snapshot.host.disks.iter();
    let full = disks.filter_map(|disk| {
        let (total, free) = (disk.total_bytes?, disk.available_bytes?);
        is_full(total, free).then(|| Condition {
            id: format!("disk/{}/{}", agent.node, disk.path),
            kind: "disk.full".to_owned(),
            severity: Severity::Warning,
            title: format!("The disk of `{here}` with `{}` is nearly full", disk.path),
            text: format!(
                "{} MiB of {} MiB are free. `skep models` shows what models take, and `skep rm MODEL` removes one.",
                free >> 20,
                total >> 20
            ),
            node: Some(here.to_owned()),
            facts: facts([
                ("path", disk.path.clone()),
                ("free_bytes", free.to_string()),
                ("total_bytes", total.to_string()),
            ]),
        })
    });
    full.collect()
}

fn is_full(total: u64, free: u64) -> bool {
    let used = total.saturating_sub(free);
    total > 0
        && free < DISK_FREE_ENOUGH_BYTES
        && used / 100 * 100 >= total / 100 * DISK_FULL_PERCENT
}

fn service(view: &View, here: &str) -> Option<Condition> {
    let (name, kind) = (&view.service.name, view.service.kind);
    let why = match (&view.state, &view.standing) {
        (State::NotGranted(_), _) => "its plugin may not do what it needs to".to_owned(),
        (State::Failed(why), _) => why.clone(),
        // Once is a slip.
        (_, Standing::Down(why)) if view.failures >= FAILURES_MIN => why.clone(),
        _ => return None,
    };
    let (code, what, tries) = match kind {
        Kind::Upstream => ("upstream.unreachable", "does not answer", "models"),
        Kind::Notifier => ("notifier.failing", "delivers no alerts", "test"),
    };
    let mut facts = facts([("why", why.clone())]);
    facts.insert(kind.to_string(), name.clone());
    Some(Condition {
        id: format!("{kind}/{here}/{name}"),
        kind: code.to_owned(),
        severity: Severity::Warning,
        title: format!("The {kind} `{name}` of `{here}` {what}"),
        text: format!(
            "{} `skep {kind} show {name}` tells more, and `skep {kind} {tries} {name}` tries it.",
            sentence(&why)
        ),
        node: Some(here.to_owned()),
        facts,
    })
}

/// With an end.
fn sentence(text: &str) -> String {
    match text.ends_with(['.', '?', '!']) {
        true => text.to_owned(),
        false => format!("{text}."),
    }
}

fn facts<const N: usize>(facts: [(&str, String); N]) -> BTreeMap<String, String> {
    let facts = facts.into_iter();
    facts
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The fact that names a notifier which an alert is about.
pub(super) const NOTIFIER: &str = "notifier";

/// Attempts in a row that must fail.
const FAILURES_MIN: u32 = 2;

#[cfg(test)]
mod tests {
    use skep_core::state::{PluginDigest, PluginVersion, PreviousVersion};

    use super::*;

    #[test]
    fn a_plugin_that_went_back_is_told_until_another_version_runs() {
        let version = |number: u8, world: &str| PluginVersion {
            version: format!("1.{number}.0"),
            digest: PluginDigest([number; 32]),
            world: world.into(),
            bytes: 1,
            signer: None,
            source: None,
            added_at: 0,
            added_by: "user ada".into(),
        };
        let before = |number, why: Option<&str>| PreviousVersion {
            version: version(number, "upstream"),
            left: why.map(str::to_owned),
        };
        let told = |world: &str, previous: Vec<PreviousVersion>| {
            let current = version(0, world);
            went_back("lab", &Plugin { current, previous })
        };
        let trapped = Some("it trapped 3 times");
        let condition = told("upstream", vec![before(1, trapped), before(2, None)]);
        let condition = condition.expect("it is told");
        assert_eq!(condition.kind, "plugin.rolled-back");
        assert!(condition.text.contains("it trapped 3 times."));
        assert!(condition.title.contains("from 1.1.0 to 1.0.0"));
        assert_eq!(told("upstream", vec![]), None);
        let by_hand = Some("`user ada` went back from it");
        assert_eq!(told("upstream", vec![before(1, by_hand)]), None);
        // Whatever a plugin says as it fails.
        let forged = Some("it failed too often: `user ada` went back from it");
        assert!(told("upstream", vec![before(1, forged)]).is_some());
        assert_eq!(
            told("notifier", vec![before(2, None), before(1, trapped)]),
            None
        );
        assert_eq!(told("scheduler", vec![before(1, trapped)]), None);
    }

    #[test]
    fn a_disk_is_full_by_its_share_and_by_what_is_left() {
        let gib = 1 << 30;
        for (total, free, expect) in [
            (100 * gib, 50 * gib, false),
            (100 * gib, 4 * gib, true),
            (100 * gib, 6 * gib, false),
            (10_000 * gib, 100 * gib, false),
            (10_000 * gib, 10 * gib, true),
            (0, 0, false),
        ] {
            assert_eq!(is_full(total, free), expect, "{free} of {total}");
        }
    }
}
