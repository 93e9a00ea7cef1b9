//! What is known of a machine: gathered before a step of the setup is called.
//!
//! Decides where each fact is read, that reading is bounded in size and time, and that no secret is among them. Everything is read
//! as whoever runs the agent, by files of the kernel and the system where there are some; programs are asked only for what no file
//! says. What cannot be found out is left out, never guessed. Refuses to know what a fact is for.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::host::installer::{Facts, Need, Neighbour, Service};
use crate::limits::{FACTS_ITEMS_MAX, FACTS_NEEDS_MAX, FACTS_TEXT_BYTES, FACTS_TIMEOUT};

mod accounts;
mod agent;
mod disks;
mod files;
mod firewalls;
mod gpus;
mod listeners;
mod network;
mod packages;
mod programs;
mod read;
mod system;
mod units;

pub use self::agent::{About, Around};

/// Where a machine is looked at.
#[derive(Clone, Debug)]
pub struct Places {
    /// What is taken for `/`.
    pub root: PathBuf,
    /// Whether this is the machine that this runs on, so that its kernel and its programs can be asked. A folder that only looks like
    /// a machine has neither.
    pub here: bool,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            root: "/".into(),
            here: true,
        }
    }
}

impl Places {
    /// A machine that is only a folder.
    #[must_use]
    pub fn under(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            here: false,
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

/// Gathers everything that is always told, and what these steps need beside. Takes no longer than [`FACTS_TIMEOUT`] and a little;
/// what was not found by then is left out.
pub async fn gather(around: &dyn Around, needs: &[Need]) -> Facts {
    let until = Instant::now() + FACTS_TIMEOUT;
    let about = around.about();
    let mut needs: Vec<Need> = needs.to_vec();
    needs.truncate(FACTS_NEEDS_MAX);
    let wants = |need: &Need| needs.contains(need);
    let (wants_services, wants_neighbours) = (wants(&Need::Services), wants(&Need::Neighbours));
    let places = around.places();
    let looked = {
        let (places, about) = (places.clone(), about.clone());
        let needs = needs.clone();
        // It ends by itself; that a file system hangs in it must not hang us.
        tokio::task::spawn_blocking(move || look(&places, &about, &needs, until))
    };
    let services = async {
        match wants_services {
            true => around.services().await,
            false => Vec::new(),
        }
    };
    let neighbours = async {
        match wants_neighbours {
            true => around.neighbours().await,
            false => Vec::new(),
        }
    };
    let rest = async { tokio::join!(services, neighbours) };
    let left = FACTS_TIMEOUT + FACTS_TIMEOUT / 4;
    let (looked, rest) = tokio::join!(
        tokio::time::timeout(left, looked),
        tokio::time::timeout(left, rest)
    );
    let mut facts = match looked {
        Ok(Ok(facts)) => facts,
        // Only what the agent knows of itself.
        Ok(Err(_)) | Err(_) => {
            tracing::warn!("this machine could not be looked at in time");
            let mut facts = Facts::default();
            about.tell(&mut facts);
            facts
        }
    };
    if let Ok((services, neighbours)) = rest {
        facts.services = services;
        facts.neighbours = neighbours;
    }
    bound(&mut facts);
    facts
}

/// Looks at a machine; blocks, and stops asking programs when the time is over.
#[must_use]
pub fn look(places: &Places, about: &About, needs: &[Need], until: Instant) -> Facts {
    let programs = programs::Programs::new(places, until);
    let mut facts = Facts {
        system: system::look(places, &programs),
        disks: disks::look(places, until),
        routes: network::routes(places),
        name_servers: network::name_servers(places),
        gpus: gpus::look(places, &about.devices),
        listeners: listeners::look(places, until),
        ..Facts::default()
    };
    facts.interfaces = network::interfaces(places, &facts.routes);
    about.tell(&mut facts);
    if facts.agent.node.is_empty() {
        facts.agent.node.clone_from(&facts.system.host_name);
    }
    facts.firewalls = firewalls::look(places, &programs, about.uid == 0);
    let names = |pick: fn(&Need) -> Option<&String>| -> Vec<String> {
        let mut names: Vec<String> = needs.iter().filter_map(pick).cloned().collect();
        names.sort();
        names.dedup();
        names
    };
    let wanted = names(|need| match need {
        Need::File(path) => Some(path),
        _ => None,
    });
    facts.files = files::look(places, about, &wanted, until);
    let wanted = names(|need| match need {
        Need::Package(name) => Some(name),
        _ => None,
    });
    let manager = facts.system.package_manager.clone();
    facts.packages = packages::look(places, &programs, &manager, &wanted);
    let wanted = names(|need| match need {
        Need::Unit(name) => Some(name),
        _ => None,
    });
    facts.units = units::look(places, &programs, &wanted);
    let wanted = names(|need| match need {
        Need::Account(name) => Some(name),
        _ => None,
    });
    facts.accounts = accounts::look(places, &about.user, &wanted);
    let wanted = names(|need| match need {
        Need::Group(name) => Some(name),
        _ => None,
    });
    facts.groups = accounts::groups(places, &wanted);
    let wanted = names(|need| match need {
        Need::Program(name) => Some(name),
        _ => None,
    });
    facts.programs = programs.look(&wanted);
    bound(&mut facts);
    facts
}

/// No list and no text is longer than a step can take.
fn bound(facts: &mut Facts) {
    facts.disks.truncate(FACTS_ITEMS_MAX);
    facts.interfaces.truncate(FACTS_ITEMS_MAX);
    facts.routes.truncate(FACTS_ITEMS_MAX);
    facts.name_servers.truncate(FACTS_ITEMS_MAX);
    facts.gpus.truncate(FACTS_ITEMS_MAX);
    facts.listeners.truncate(FACTS_ITEMS_MAX);
    facts.services.truncate(FACTS_ITEMS_MAX);
    facts.neighbours.truncate(FACTS_ITEMS_MAX);
    for interface in &mut facts.interfaces {
        interface.addresses.truncate(FACTS_ITEMS_MAX);
    }
    for service in &mut facts.services {
        service.models.truncate(FACTS_ITEMS_MAX);
    }
    // What others say of themselves.
    let short = |text: &mut String| text.truncate(text.floor_char_boundary(FACTS_TEXT_BYTES));
    for Service { url, models, .. } in &mut facts.services {
        short(url);
        models.iter_mut().for_each(short);
    }
    for Neighbour { name, address, .. } in &mut facts.neighbours {
        short(name);
        short(address);
    }
}

#[cfg(test)]
mod tests;
