//! Which scheduler is in charge here, as plugins come, change and go.
//!
//! Decides that the version in charge is the one that the cluster runs, that a removed one decides nothing any more, and that the
//! one that the configuration names is put in charge once it can be had. Refuses to know how a scheduler decides.

use skep_core::state::PluginDigest;

use super::{Installed, Shelf, carried, lock};
use crate::host::World;
use crate::scheduling::{EMBEDDED, Policy, Source};

/// The scheduler that the configuration names and that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    pub name: String,
    /// Why not; none before the first look.
    pub why: Option<String>,
    /// The version that was tried.
    tried: Option<PluginDigest>,
}

impl Awaited {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            why: None,
            tried: None,
        }
    }
}

impl Shelf {
    /// The scheduler that the configuration names, while another decides in its place.
    #[must_use]
    pub fn awaited(&self) -> Option<Awaited> {
        let awaited = lock(&self.0.awaited).clone();
        awaited.filter(|awaited| awaited.why.is_some())
    }

    pub(super) async fn follow_schedulers(&self) {
        self.follow_the_configuration().await;
        self.follow_the_cluster().await;
    }

    /// What the configuration names is in charge, unless an operator has chosen since.
    async fn follow_the_configuration(&self) {
        let Some(awaited) = lock(&self.0.awaited).clone() else {
            return;
        };
        if self.0.policies.active() != Source::Embedded(EMBEDDED[0]) {
            *lock(&self.0.awaited) = None;
            return;
        }
        let found = match self.find(&awaited.name) {
            None => return self.still_awaits(awaited, None, self.absent()),
            Some(found) if found.world != World::Scheduler => {
                let why = format!("the plugin is a {} and no scheduler", found.world.name());
                return self.still_awaits(awaited, Some(found.digest), why);
            }
            Some(found) if awaited.tried == Some(found.digest) => return,
            Some(found) => found,
        };
        match self.load(&found).await {
            Ok(policy) => {
                *lock(&self.0.awaited) = None;
                self.0.policies.put_in_charge(policy);
            }
            Err(why) => self.still_awaits(awaited, Some(found.digest), why),
        }
    }

    /// Said in the log once for each reason.
    fn still_awaits(&self, awaited: Awaited, tried: Option<PluginDigest>, why: String) {
        if awaited.why.as_ref() != Some(&why) {
            tracing::warn!(scheduler = %awaited.name, %why, "the scheduler that `scheduler.policy` names cannot be had; `{}` decides in its place", EMBEDDED[0]);
        }
        *lock(&self.0.awaited) = Some(Awaited {
            why: Some(why),
            tried,
            ..awaited
        });
    }

    fn absent(&self) -> String {
        let view = self.0.cluster.view();
        let added = view.plugins().installed();
        let added = added.filter(|(_, plugin)| plugin.current.world == World::Scheduler.name());
        let all: Vec<String> = carried()
            .iter()
            .filter(|plugin| plugin.world == World::Scheduler)
            .map(|plugin| plugin.embedded.name)
            .chain([crate::scheduling::BUILT_IN])
            .chain(added.map(|(name, _)| name))
            .map(|name| format!("`{name}`"))
            .collect();
        format!("there is no such plugin here; there are {}", all.join(", "))
    }

    /// The version in charge is the cluster's.
    async fn follow_the_cluster(&self) {
        let view = self.0.cluster.view();
        let gone = |name: &str| view.plugins().plugin(name).is_none();
        self.0.policies.forget(&gone);
        let active = self.0.policies.active();
        let Source::Installed { name, .. } = &active else {
            return;
        };
        if gone(name) {
            tracing::warn!(scheduler = %name, "the scheduler in charge was removed; `{}` decides from now on", EMBEDDED[0]);
            self.put_the_usual_in_charge().await;
            return;
        }
        let Some(found) = self.find(name) else {
            return;
        };
        let source = Source::Installed {
            name: name.clone(),
            digest: Some(found.digest),
        };
        let given_up = lock(&self.0.failed)
            .get(name)
            .is_some_and(|(digest, _)| *digest == found.digest);
        if source == active || given_up {
            return;
        }
        match self.load(&found).await {
            Ok(policy) => self.0.policies.put_in_charge(policy),
            Err(why) => {
                tracing::error!(scheduler = %name, %why, "the scheduler's new version does not work here; the one before goes on");
                // Told to the others, who may see the same.
                self.failed(name, found.digest, &why, true);
            }
        }
    }

    async fn put_the_usual_in_charge(&self) {
        let source = Source::Embedded(EMBEDDED[0]);
        let policy = match source.plugin() {
            Ok(Some(plugin)) => {
                let loaded = self.0.fleet.scheduler(&plugin).await;
                loaded.map(|scheduler| Policy::new(source, scheduler))
            }
            Ok(None) => Ok(Policy::built_in()),
            Err(error) => Err(error.to_string()),
        };
        let policy = policy.unwrap_or_else(|why| {
            tracing::error!(%why, "the usual scheduler cannot be had; the built-in rule decides");
            Policy::built_in()
        });
        self.0.policies.put_in_charge(policy);
        // It must not come back should the usual one fail.
        self.0.policies.forget(&|name| {
            let view = self.0.cluster.view();
            view.plugins().plugin(name).is_none()
        });
    }

    /// Loaded, and tried with all that is known.
    async fn load(&self, found: &Installed) -> Result<Policy, String> {
        let scheduler = self.0.fleet.scheduler(&found.for_fleet()).await?;
        let known = self.0.policies.known();
        let source = Source::Installed {
            name: found.name.clone(),
            digest: Some(found.digest),
        };
        let tried = tokio::task::spawn_blocking(move || {
            let mut policy = Policy::new(source, scheduler);
            policy.try_out(&known).map(|()| policy)
        });
        tried.await.unwrap_or_else(|error| Err(error.to_string()))
    }
}
