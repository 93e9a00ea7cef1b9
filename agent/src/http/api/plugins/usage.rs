//! What a plugin takes on this node now: memory, calls, failures, fuel.

use crate::agent::Agent;
use crate::fleet::ReplicaState;
use crate::scheduling::{Source, Standing};
use crate::services::Kind;
use crate::wire::PluginUsage;

pub(super) fn usage(agent: &Agent, name: &str) -> Vec<PluginUsage> {
    let mut all = workers(agent, name);
    all.extend(services(agent, name));
    all.extend(schedulers(agent, name));
    all
}

fn workers(agent: &Agent, name: &str) -> Vec<PluginUsage> {
    let replicas = agent.fleet.replicas().into_iter();
    let replicas = replicas.filter(|replica| replica.plugin == name);
    replicas
        .map(|replica| PluginUsage {
            what: format!("the worker of `{}`", replica.model),
            resident_bytes: replica.pid.and_then(skep_hw::telemetry::resident_bytes),
            failures: Some(u64::from(replica.restarts)),
            last_failure: match replica.state {
                ReplicaState::Restarting { why, .. } | ReplicaState::Failed { why } => Some(why),
                ReplicaState::Starting | ReplicaState::Ready | ReplicaState::Draining => None,
            },
            ..PluginUsage::default()
        })
        .collect()
}

fn services(agent: &Agent, name: &str) -> Vec<PluginUsage> {
    let kinds = [(Kind::Upstream, "upstream"), (Kind::Notifier, "notifier")];
    let mut all = Vec::new();
    for (kind, word) in kinds {
        let services = agent.services.list(kind).into_iter();
        for view in services.filter(|view| view.service.plugin == name) {
            all.push(PluginUsage {
                what: format!("the {word} `{}`", view.service.name),
                resident_bytes: view.pid.and_then(skep_hw::telemetry::resident_bytes),
                calls: Some(view.used.calls),
                failures: Some(view.used.faults),
                last_failure: view.fault,
                fuel: None,
                computing_us: Some(view.used.computing_us),
                call_bytes_max: Some(view.used.memory_peak_bytes),
                requests_out: Some(view.used.requests_out),
                refused_out: Some(view.used.refused_out),
            });
        }
    }
    all
}

fn schedulers(agent: &Agent, name: &str) -> Vec<PluginUsage> {
    let mut all = Vec::new();
    let overview = agent.router.policies().overview();
    for (policy, standing, source, tally) in overview.policies {
        let is_it = match &source {
            Some(Source::Embedded(this)) => *this == name,
            Some(Source::Installed { name: this, .. }) => this == name,
            Some(Source::BuiltIn | Source::File(_)) | None => false,
        };
        let taken = match standing {
            Standing::Active => overview.taken,
            Standing::Shadow | Standing::Previous | Standing::Available | Standing::Retired => None,
        };
        if is_it && (tally.decisions > 0 || taken.is_some()) {
            all.push(PluginUsage {
                what: format!("the scheduler `{policy}`"),
                resident_bytes: taken.map(|(_, bytes)| bytes as u64),
                calls: Some(tally.decisions),
                failures: Some(tally.failures),
                last_failure: tally.last_failure,
                fuel: taken.map(|(fuel, _)| fuel),
                ..PluginUsage::default()
            });
        }
    }
    all
}
