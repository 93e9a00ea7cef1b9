//! The eight steps of a setup, and the plugins that they are made of.
//!
//! Decides their order and their words, which plugins belong to which, and that a plugin that an operator added comes with
//! those that deploy. Refuses to know what a plugin asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use skep_core::state::PluginDigest;

use super::SetupError;
use crate::agent::Agent;
use crate::host::World;
use crate::host::installer::Installer;
use crate::plugins::Installed;

/// One of the eight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) purpose: &'static str,
    /// Plugins, in the order in which they are gone through.
    parts: &'static [&'static str],
    /// The agent itself does it.
    pub(super) built_in: bool,
}

/// All of them, in their order.
pub(super) const STEPS: [Step; 8] = [
    Step {
        id: "system",
        title: "System",
        purpose: "What this machine is, and whether it has what models need.",
        parts: &["step-system"],
        built_in: false,
    },
    Step {
        id: "network",
        title: "Network",
        purpose: "Where people and other machines reach this one, and what the firewall lets through.",
        parts: &["step-network", "step-firewall"],
        built_in: false,
    },
    Step {
        id: "security",
        title: "Security",
        purpose: "Who gets in, and by which certificates machines know each other.",
        parts: &["step-security"],
        built_in: false,
    },
    Step {
        id: "models",
        title: "Models",
        purpose: "Which services that run models already are to be used.",
        parts: &["step-backends"],
        built_in: false,
    },
    Step {
        id: "resources",
        title: "Resources",
        purpose: "How much of this machine models may take, and which drivers its cards need.",
        parts: &["step-resources", "step-drivers"],
        built_in: false,
    },
    Step {
        id: "service",
        title: "Service",
        purpose: "How skep starts with the machine, and how what it knows is kept safe.",
        parts: &["step-service", "step-containers", "step-backup"],
        built_in: false,
    },
    Step {
        id: "cluster",
        title: "Cluster",
        purpose: "Which other machines work together with this one.",
        parts: &[],
        built_in: true,
    },
    Step {
        id: "tests",
        title: "Tests",
        purpose: "Whether all of it works: connections, answers, safety, speed.",
        parts: &[],
        built_in: true,
    },
];

/// The step to which plugins belong that no step names.
const OTHERS: &str = "service";

impl Step {
    /// Its parts that are here.
    pub(super) fn parts(&self, agent: &Agent) -> Vec<Installed> {
        let find = |name: &&str| agent.shelf.find(name).filter(is_step);
        let mut parts: Vec<Installed> = self.parts.iter().filter_map(find).collect();
        if self.id == OTHERS {
            let named = |plugin: &Installed| {
                let name = plugin.name.as_str();
                STEPS.iter().any(|step| step.parts.contains(&name))
            };
            let all = agent.shelf.all().into_iter();
            parts.extend(all.filter(is_step).filter(|plugin| !named(plugin)));
        }
        parts
    }
}

/// The plugin of a part.
pub(super) fn find(agent: &Agent, part: &str) -> Result<Installed, SetupError> {
    let found = agent.shelf.find(part).filter(is_step);
    found.ok_or_else(|| SetupError::NoPart(part.chars().take(64).collect()))
}

/// All parts, in the order of the steps.
pub(super) fn parts(agent: &Agent) -> Vec<Installed> {
    STEPS.iter().flat_map(|step| step.parts(agent)).collect()
}

fn is_step(plugin: &Installed) -> bool {
    plugin.world == World::Installer
}

/// The steps that were loaded, by their plugins' names.
#[derive(Debug, Default)]
pub(super) struct Loaded(Mutex<BTreeMap<String, (PluginDigest, Arc<Installer>)>>);

impl Loaded {
    /// A plugin, ready to be asked. The first time it is compiled.
    pub(super) async fn get(
        &self,
        agent: &Agent,
        plugin: &Installed,
    ) -> Result<Arc<Installer>, SetupError> {
        let known = self.lock().get(&plugin.name).cloned();
        if let Some((_, installer)) = known.filter(|(digest, _)| *digest == plugin.digest) {
            return Ok(installer);
        }
        let installer = agent.fleet.installer(&plugin.for_fleet()).await;
        let installer = Arc::new(installer.map_err(SetupError::Plugin)?);
        let kept = (plugin.digest, installer.clone());
        self.lock().insert(plugin.name.clone(), kept);
        Ok(installer)
    }

    /// Forgets those whose plugins are gone.
    pub(super) fn tidy(&self, present: &[Installed]) {
        self.lock()
            .retain(|name, _| present.iter().any(|plugin| plugin.name == *name));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (PluginDigest, Arc<Installer>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_plugin_belongs_to_one_step() {
        let mut seen = std::collections::BTreeSet::new();
        for step in STEPS {
            assert_eq!(step.built_in, step.parts.is_empty(), "{}", step.id);
            assert!(seen.insert(step.id));
            for part in step.parts {
                assert!(part.starts_with("step-") && seen.insert(part), "{part}");
            }
        }
        assert!(STEPS.iter().any(|step| step.id == OTHERS));
    }
}
