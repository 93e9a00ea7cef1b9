//! Which models are to be loaded, and which may go.
//!
//! A model that is named is loaded; one that nobody names for a while may be unloaded; where there
//! is no room, the one idle longest makes some. Decides that; refuses to know how loading is done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{NodeId, ReplicaId};
use crate::limits::{LOAD_RETRY, MODELS_MAX};
use crate::output::Refusal;
use crate::registry::{Registry, ReplicaState};
use crate::time::Time;

/// Where a model stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelState {
    /// On disk, not loaded.
    Absent,
    /// Wanted, but another must go first.
    MakingRoom {
        /// Since when it is wanted.
        since: Time,
    },
    /// On its way.
    Loading {
        /// Since when.
        since: Time,
    },
    /// It takes requests.
    Ready,
    /// Leaving.
    Unloading,
    /// The last attempt failed.
    Failed {
        /// One sentence for people.
        why: String,
        /// When it may be tried again.
        until: Time,
    },
}

/// What is known of a model.
#[derive(Clone, Debug)]
pub struct ModelView {
    /// Where it stands.
    pub state: ModelState,
    /// Whether it can be loaded from this node's files.
    pub on_disk: bool,
    /// Other nodes that could load it from theirs.
    pub at: BTreeSet<NodeId>,
    /// Stays loaded however idle.
    pub kept: bool,
    /// Requests that named it and are not over.
    pub living: u32,
    /// When the last one named it or ended.
    pub used: Time,
}

/// What to do for a request that names a model.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: it is ready.
    Nothing,
    /// Wait for it.
    Wait,
    /// Start loading it, and wait.
    Load,
    /// Have one of these nodes load it, and wait.
    LoadAt(Vec<NodeId>),
    /// End this replica, and wait.
    MakeRoom(ReplicaId),
    /// Give up.
    Refuse(Refusal),
}

/// Every model by name.
#[derive(Debug)]
pub(crate) struct Models {
    models: BTreeMap<Arc<str>, ModelView>,
    loaded_max: usize,
}

impl Models {
    pub(crate) fn new(loaded_max: usize) -> Self {
        Self {
            models: BTreeMap::new(),
            loaded_max,
        }
    }

    pub(crate) fn get(&self, model: &str) -> Option<&ModelView> {
        self.models.get(model)
    }

    pub(crate) fn get_mut(&mut self, model: &str) -> Option<&mut ModelView> {
        self.models.get_mut(model)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &ModelView)> {
        self.models.iter()
    }

    /// These and no others are on disk. What is loaded stays, but cannot be loaded again.
    pub(crate) fn catalogue(&mut self, names: &[Arc<str>]) {
        for view in self.models.values_mut() {
            view.on_disk = false;
        }
        for name in names {
            if let Some(view) = self.entry(name) {
                view.on_disk = true;
            }
        }
        self.forget_strangers();
    }

    /// These and no others are on another node's disk.
    pub(crate) fn catalogue_at(&mut self, node: NodeId, names: &[Arc<str>]) {
        for view in self.models.values_mut() {
            view.at.remove(&node);
        }
        for name in names {
            if let Some(view) = self.entry(name) {
                view.at.insert(node);
            }
        }
        self.forget_strangers();
    }

    /// Models that may have been on their way on a node that is gone; marked as if never tried.
    pub(crate) fn node_gone(&mut self, node: NodeId, registry: &Registry) -> Vec<Arc<str>> {
        let mut stranded = Vec::new();
        for (name, view) in &mut self.models {
            view.at.remove(&node);
            let loading = matches!(view.state, ModelState::Loading { .. });
            if loading && !view.on_disk && registry.of_model(name).next().is_none() {
                view.state = ModelState::Absent;
                stranded.push(name.clone());
            }
        }
        stranded
    }

    /// What the model's replicas make of it, after one of them changed.
    pub(crate) fn follow(&mut self, now: Time, model: &Arc<str>, registry: &Registry) {
        let Some(view) = self.entry(model) else {
            return;
        };
        let mut found = None;
        for replica in registry.of_model(model) {
            let state = match &replica.state {
                ReplicaState::Ready => ModelState::Ready,
                ReplicaState::Starting => match &view.state {
                    ModelState::Loading { since } => ModelState::Loading { since: *since },
                    ModelState::MakingRoom { .. }
                    | ModelState::Absent
                    | ModelState::Ready
                    | ModelState::Unloading
                    | ModelState::Failed { .. } => ModelState::Loading { since: now },
                },
                ReplicaState::Draining => match &view.state {
                    // Named again while it leaves.
                    ModelState::MakingRoom { since } => ModelState::MakingRoom { since: *since },
                    ModelState::Absent
                    | ModelState::Loading { .. }
                    | ModelState::Ready
                    | ModelState::Unloading
                    | ModelState::Failed { .. } => ModelState::Unloading,
                },
                ReplicaState::Failed(why) => ModelState::Failed {
                    why: why.clone(),
                    until: now.after(LOAD_RETRY),
                },
            };
            if state == ModelState::Ready || found.is_none() {
                found = Some(state);
            }
        }
        match found {
            Some(state) => view.state = state,
            // A load that was just asked for has no replica yet; a failure is remembered.
            None if matches!(view.state, ModelState::Ready | ModelState::Unloading) => {
                view.state = ModelState::Absent;
            }
            None => {}
        }
        self.forget_strangers();
    }

    pub(crate) fn fail(&mut self, now: Time, model: &str, why: String) {
        if let Some(view) = self.models.get_mut(model) {
            view.state = ModelState::Failed {
                why,
                until: now.after(LOAD_RETRY),
            };
        }
    }

    /// What a request for this model needs. Marks the model when it is to be loaded.
    pub(crate) fn need(&mut self, now: Time, model: &str, registry: &Registry) -> Need {
        let Some(view) = self.models.get(model) else {
            return Need::Refuse(unreachable(model, registry));
        };
        match &view.state {
            ModelState::Ready => return Need::Nothing,
            ModelState::Loading { .. } | ModelState::MakingRoom { .. } => return Need::Wait,
            // Loaded again once it has left.
            ModelState::Unloading => {
                self.mark(model, ModelState::MakingRoom { since: now });
                return Need::Wait;
            }
            ModelState::Failed { why, until } if *until > now => {
                return Need::Refuse(Refusal::LoadFailed {
                    why: why.clone(),
                    retry: until.since(now),
                });
            }
            ModelState::Absent | ModelState::Failed { .. } => {}
        }
        if !view.on_disk {
            let nodes: Vec<NodeId> = view.at.iter().copied().collect();
            if nodes.is_empty() {
                return Need::Refuse(unreachable(model, registry));
            }
            self.mark(model, ModelState::Loading { since: now });
            return Need::LoadAt(nodes);
        }
        self.place(now, model, registry)
    }

    /// The model that waited longest for room, marked as loading, when there is room.
    pub(crate) fn next_to_load(&mut self, now: Time, registry: &Registry) -> Option<Arc<str>> {
        if self.loaded(registry) >= self.loaded_max {
            return None;
        }
        let (_, name) = self
            .models
            .iter()
            .filter_map(|(name, view)| match view.state {
                // Its own last replica may still be leaving.
                ModelState::MakingRoom { since } if registry.of_model(name).next().is_none() => {
                    Some((since, name.clone()))
                }
                _ => None,
            })
            .min()?;
        self.mark(&name, ModelState::Loading { since: now });
        Some(name)
    }

    /// The model leaves where it is and is wanted elsewhere.
    pub(crate) fn move_out(&mut self, now: Time, model: &str) {
        self.mark(model, ModelState::MakingRoom { since: now });
    }

    /// Models that somebody asked to keep loaded and that could not be; marked as if never tried.
    pub(crate) fn kept_and_failed(&mut self) -> Vec<Arc<str>> {
        let failed = self.models.iter_mut().filter(|(_, view)| {
            view.kept && view.on_disk && matches!(view.state, ModelState::Failed { .. })
        });
        failed
            .map(|(name, view)| {
                view.state = ModelState::Absent;
                name.clone()
            })
            .collect()
    }

    fn place(&mut self, now: Time, model: &str, registry: &Registry) -> Need {
        if self.loaded(registry) < self.loaded_max {
            self.mark(model, ModelState::Loading { since: now });
            return Need::Load;
        }
        let victim = self
            .models
            .iter()
            .filter(|(_, view)| view.state == ModelState::Ready && view.living == 0 && !view.kept)
            .filter(|(name, _)| registry.here(name).next().is_some())
            .min_by_key(|(_, view)| view.used)
            .and_then(|(name, _)| registry.here(name).next())
            .map(|replica| (replica.id, replica.model.clone()));
        let Some((replica, leaving)) = victim else {
            return Need::Refuse(Refusal::NoRoom {
                limit: self.loaded_max,
                retry: LOAD_RETRY,
            });
        };
        self.mark(&leaving, ModelState::Unloading);
        self.mark(model, ModelState::MakingRoom { since: now });
        Need::MakeRoom(replica)
    }

    /// How many take up a place: those that are loaded, on their way or leaving.
    fn loaded(&self, registry: &Registry) -> usize {
        self.models
            .iter()
            .filter(|(name, view)| match view.state {
                ModelState::Loading { .. } if view.on_disk => true,
                ModelState::Ready | ModelState::Loading { .. } | ModelState::Unloading => {
                    registry.here(name).next().is_some()
                }
                // Named again while it leaves.
                ModelState::MakingRoom { .. } => registry.here(name).next().is_some(),
                ModelState::Absent | ModelState::Failed { .. } => false,
            })
            .count()
    }

    fn mark(&mut self, model: &str, state: ModelState) {
        if let Some(view) = self.models.get_mut(model) {
            view.state = state;
        }
    }

    fn entry(&mut self, name: &Arc<str>) -> Option<&mut ModelView> {
        if !self.models.contains_key(name) {
            if self.models.len() >= MODELS_MAX {
                return None;
            }
            self.models.insert(
                name.clone(),
                ModelView {
                    state: ModelState::Absent,
                    on_disk: false,
                    at: BTreeSet::new(),
                    kept: false,
                    living: 0,
                    used: Time(Duration::ZERO),
                },
            );
        }
        self.models.get_mut(name)
    }

    fn forget_strangers(&mut self) {
        self.models.retain(|_, view| {
            view.on_disk
                || !view.at.is_empty()
                || view.living > 0
                || !matches!(view.state, ModelState::Absent | ModelState::Failed { .. })
        });
    }
}

/// Why a model of which nobody has files is not there: the upstream that answers for it does not, or nobody knows it.
pub(crate) fn unreachable(model: &str, registry: &Registry) -> Refusal {
    let failed = registry
        .of_model(model)
        .filter(|replica| replica.upstream().is_some())
        .find_map(|replica| match &replica.state {
            ReplicaState::Failed(why) => Some(why.clone()),
            ReplicaState::Starting | ReplicaState::Ready | ReplicaState::Draining => None,
        });
    failed.map_or(Refusal::UnknownModel, |why| Refusal::LoadFailed {
        why,
        retry: LOAD_RETRY,
    })
}
