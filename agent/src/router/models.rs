//! Loading and unloading as the core wants it, and where every model stands.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use skep_core::{Input, ModelState, Replica, ReplicaId, ReplicaState};

use super::{LOOK_INTERVAL, ModelFacts, Router, facts};
use crate::fleet::{self, ReplicaStatus};
use crate::models::ModelName;

/// Where a model stands, for people and programs.
#[derive(Clone, Debug, Serialize)]
pub struct ModelStatus {
    pub name: Arc<str>,
    pub standing: ModelStanding,
    /// For how long it has been loading.
    pub loading_s: Option<u64>,
    /// Why it could not be loaded.
    pub why: Option<String>,
    pub on_disk: bool,
    /// Stays loaded however idle.
    pub kept: bool,
    pub requests: u32,
    /// The upstream that answers for it, where only upstreams do.
    pub upstream: Option<Arc<str>>,
}

/// In a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelStanding {
    Absent,
    Loading,
    Ready,
    Unloading,
    Failed,
}

impl Router {
    /// Where every model stands, by name.
    #[must_use]
    pub fn models(&self) -> Vec<ModelStatus> {
        let now = self.now();
        let state = self.state();
        let status = |(name, view): (&Arc<str>, &skep_core::ModelView)| {
            let (standing, since, why) = match &view.state {
                ModelState::Absent => (ModelStanding::Absent, None, None),
                ModelState::MakingRoom { since } | ModelState::Loading { since } => {
                    (ModelStanding::Loading, Some(*since), None)
                }
                ModelState::Ready => (ModelStanding::Ready, None, None),
                ModelState::Unloading => (ModelStanding::Unloading, None, None),
                ModelState::Failed { why, .. } => (ModelStanding::Failed, None, Some(why.clone())),
            };
            ModelStatus {
                name: name.clone(),
                standing,
                loading_s: since.map(|since| now.since(since).as_secs()),
                why,
                on_disk: view.on_disk,
                kept: view.kept,
                requests: view.living,
                upstream: only_upstream(state.core.registry().of_model(name)),
            }
        };
        state.core.models().map(status).collect()
    }

    /// Where one model stands.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<ModelStatus> {
        self.models().into_iter().find(|model| &*model.name == name)
    }

    /// What is known of a loaded model.
    #[must_use]
    pub fn facts(&self, model: &str) -> Arc<ModelFacts> {
        self.shared.facts.of(model)
    }

    /// Loads a model and keeps it loaded.
    pub fn want(&self, model: &str) {
        self.tell(Input::Wanted(model.into()));
    }

    /// Unloads a model once its requests are over.
    pub fn unwant(&self, model: &str) {
        self.tell(Input::Unwanted(model.into()));
    }

    /// Takes in what the catalogue holds now.
    pub fn catalogue_changed(&self) {
        let models = self.shared.catalogue.models();
        let names = models.iter().map(|model| Arc::from(model.name().as_str()));
        self.tell(Input::Catalogued(names.collect()));
        self.tell_of_files();
        self.offers_changed();
    }

    pub(super) async fn load(self, model: Arc<str>) {
        let loaded = match self.placed(&model) {
            Ok(spec) => self
                .shared
                .fleet
                .load(spec)
                .await
                .map_err(|error| error.to_string()),
            Err(why) => Err(why),
        };
        match loaded {
            Ok(replica) => self.remember(replica),
            Err(why) => {
                tracing::error!(%model, %why, "could not load a model");
                self.tell(Input::LoadFailed { model, why });
            }
        }
        self.look();
    }

    /// Ends a replica after its requests, which have the grace for that.
    pub(super) async fn unload(self, replica: ReplicaId, grace: Duration) {
        let model = {
            let state = self.state();
            let mut replicas = state.core.registry().replicas();
            replicas
                .find(|known| known.id == replica)
                .map(|known| known.model.clone())
        };
        if let Some(model) = model
            && let Err(error) = self.shared.fleet.unload(&model, grace).await
        {
            tracing::debug!(%replica, %error, "nothing to unload");
        }
        self.look();
    }

    /// Follows the fleet for as long as it lives.
    pub(super) async fn follow_fleet(self) {
        let mut changes = self.shared.fleet.changes();
        let mut moving = false;
        loop {
            self.look();
            // How full replicas are is no change of theirs; it is looked at while anything runs.
            let busy = self.running_and_waiting() != (0, 0);
            tokio::select! {
                changed = changes.changed() => if changed.is_err() {
                    return;
                },
                () = tokio::time::sleep(LOOK_INTERVAL), if busy || moving => {}
            }
            moving = busy;
        }
    }

    /// Tells the core how the fleet's replicas are now.
    pub(super) fn look(&self) {
        // One at a time: an older look that is told after a newer one would stand until something changes again.
        let _looking = facts::lock(&self.shared.looking);
        let replicas = self.shared.fleet.replicas();
        let offered = self.offered();
        let mut known = self.learn(&replicas);
        for offer in &offered {
            known
                .entry(offer.model.clone())
                .or_insert_with(|| Arc::new(offer.facts()));
        }
        self.shared.facts.replace(known);
        let before: BTreeSet<_> = {
            let state = self.state();
            let replicas = state.core.registry().replicas();
            let here = replicas.filter(|replica| replica.node == self.shared.node);
            here.map(|replica| replica.id).collect()
        };
        let own = replicas.iter().map(|replica| ReplicaId(replica.id.0));
        let now: BTreeSet<_> = own.chain(offered.iter().map(|offer| offer.id)).collect();
        for replica in &replicas {
            self.tell(Input::Replica(self.for_core(replica)));
        }
        for offer in &offered {
            self.tell(Input::Replica(self.offer_for_core(offer)));
        }
        self.shared
            .latencies
            .retain(|id| now.contains(&ReplicaId(id)));
        for gone in before.difference(&now) {
            self.tell(Input::ReplicaGone(*gone));
        }
    }

    fn learn(&self, replicas: &[ReplicaStatus]) -> HashMap<Arc<str>, Arc<ModelFacts>> {
        let known = |status: &ReplicaStatus| {
            let before = self.shared.facts.of(&status.model);
            if before.info == status.info && !before.fingerprint.is_empty() {
                return before;
            }
            let name = status.model.parse::<ModelName>().ok();
            let digest = name
                .and_then(|name| self.shared.catalogue.find(&name).ok())
                .map_or_else(String::new, |model| model.digest().to_string());
            let hex = digest.rsplit(':').next().unwrap_or_default();
            Arc::new(ModelFacts {
                fingerprint: format!("fp_{}", hex.get(..12).unwrap_or("unknown")),
                info: status.info.clone(),
            })
        };
        replicas
            .iter()
            .map(|status| (Arc::from(status.model.as_str()), known(status)))
            .collect()
    }

    fn for_core(&self, status: &ReplicaStatus) -> Replica {
        let means = self.shared.latencies.of(status.id.0);
        Replica {
            id: ReplicaId(status.id.0),
            model: status.model.as_str().into(),
            node: self.shared.node,
            devices: status.devices.iter().map(|id| id.as_str().into()).collect(),
            state: match &status.state {
                fleet::ReplicaState::Starting | fleet::ReplicaState::Restarting { .. } => {
                    ReplicaState::Starting
                }
                fleet::ReplicaState::Ready => ReplicaState::Ready,
                fleet::ReplicaState::Draining => ReplicaState::Draining,
                fleet::ReplicaState::Failed { why } => ReplicaState::Failed(why.clone()),
            },
            running: status.load.running,
            waiting: status.load.waiting,
            capacity: status.info.as_ref().map_or(0, |info| info.sequences),
            cache_pages: status.load.cache_pages,
            cache_pages_used: status.load.cache_pages_used,
            first_token_us: means.first_token_us,
            token_us: means.token_us,
        }
    }

    /// Waits until a model takes requests; tells why when it will not.
    ///
    /// # Errors
    /// The reason, when loading failed or took longer than `patience`.
    pub async fn ready(&self, model: &str, patience: Duration) -> Result<(), String> {
        let deadline = tokio::time::Instant::now() + patience;
        let mut changes = self.shared.fleet.changes();
        loop {
            match self.model(model) {
                None => return Err(format!("there is no model named `{model}`")),
                Some(status) => match status.standing {
                    ModelStanding::Ready => return Ok(()),
                    ModelStanding::Failed => return Err(status.why.unwrap_or_default()),
                    _ => {}
                },
            }
            let step = tokio::time::Instant::now() + LOOK_INTERVAL;
            if step >= deadline {
                return Err(format!("`{model}` is still loading"));
            }
            let _ = tokio::time::timeout_at(step, changes.changed()).await;
        }
    }
}

impl Router {
    /// Loads a model on this very node, also where another has it, and keeps it loaded.
    ///
    /// # Errors
    /// The reason, when loading failed or took longer than `patience`.
    pub async fn load_here(&self, model: &str, patience: Duration) -> Result<(), String> {
        let deadline = tokio::time::Instant::now() + patience;
        self.want(model);
        self.ready(model, patience).await?;
        let mut changes = self.shared.fleet.changes();
        if self.here(model).is_none() {
            let loaded = self.shared.fleet.replicas().len();
            if loaded >= self.shared.loaded_max {
                return Err(format!(
                    "{loaded} models are loaded here, which is as many as `models.loaded_max` allows: unload one first"
                ));
            }
            let spec = self.placed(model)?;
            let loading = self.shared.fleet.load(spec).await;
            self.remember(loading.map_err(|error| error.to_string())?);
        }
        loop {
            match self.here(model) {
                None => return Err("it was unloaded again at once".into()),
                Some(fleet::ReplicaState::Ready) => break,
                Some(fleet::ReplicaState::Failed { why }) => return Err(why),
                Some(_) => {}
            }
            let step = tokio::time::Instant::now() + LOOK_INTERVAL;
            if step >= deadline {
                return Err(format!("`{model}` is still loading"));
            }
            let _ = tokio::time::timeout_at(step, changes.changed()).await;
        }
        self.look();
        Ok(())
    }

    /// How this node's own replica of a model is.
    fn here(&self, model: &str) -> Option<fleet::ReplicaState> {
        let mut replicas = self.shared.fleet.replicas().into_iter();
        replicas
            .find(|replica| replica.model == model)
            .map(|replica| replica.state)
    }
}

/// The upstream of a model that no worker has.
fn only_upstream<'a>(mut replicas: impl Iterator<Item = &'a Replica>) -> Option<Arc<str>> {
    let first = replicas.next()?.upstream()?;
    let others = replicas.all(|replica| replica.upstream().is_some());
    others.then(|| Arc::from(first))
}

/// The core unloads only what no request uses; this is for one that came just now.
pub(super) const UNLOAD_GRACE: Duration = Duration::from_secs(60);
