//! What is known of loaded models, and how the scheduler is told of what changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use skep_core::NodeId;

use crate::host::scheduler as host;
use crate::protocol::ModelInfo;

/// A loaded model, as far as answers tell of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// Changes whenever the same request may give another answer.
    pub fingerprint: String,
    /// What was opened; none while nothing is.
    pub info: Option<ModelInfo>,
}

type ByModel = HashMap<Arc<str>, Arc<ModelFacts>>;

#[derive(Debug, Default)]
pub(super) struct Facts {
    by_model: RwLock<ByModel>,
    /// The same of other nodes' models.
    elsewhere: RwLock<BTreeMap<NodeId, ByModel>>,
}

impl Facts {
    pub(super) fn of(&self, model: &str) -> Arc<ModelFacts> {
        let by_model = self.by_model.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(facts) = by_model.get(model) {
            return facts.clone();
        }
        drop(by_model);
        let elsewhere = self
            .elsewhere
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let mut others = elsewhere.values();
        others
            .find_map(|of| of.get(model))
            .cloned()
            .unwrap_or_default()
    }

    /// What another node has loaded; nothing forgets it.
    pub(super) fn replace_of(&self, node: NodeId, facts: Vec<(Arc<str>, ModelFacts)>) {
        let facts: HashMap<_, _> = facts
            .into_iter()
            .map(|(model, facts)| (model, Arc::new(facts)))
            .collect();
        let mut elsewhere = self
            .elsewhere
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if facts.is_empty() {
            elsewhere.remove(&node);
        } else {
            elsewhere.insert(node, facts);
        }
    }

    pub(super) fn replace(&self, facts: HashMap<Arc<str>, Arc<ModelFacts>>) {
        *self
            .by_model
            .write()
            .unwrap_or_else(PoisonError::into_inner) = facts;
    }
}

/// The core's change in the plugin's own types.
pub(super) fn for_scheduler(change: skep_core::Change) -> host::Change {
    match change {
        skep_core::Change::Node(node) => host::Change::Node(host::Node {
            id: node.id.to_string(),
            name: node.name,
            health: health(&node.health),
            draining: node.draining,
            labels: node.labels.into_iter().collect(),
            devices: node.devices.into_iter().map(device).collect(),
            models: Vec::new(),
        }),
        skep_core::Change::NodeGone(id) => host::Change::NodeGone(id.to_string()),
        skep_core::Change::Replica(replica) => host::Change::Replica(host::Replica {
            id: replica.id.0,
            model: replica.model.to_string(),
            node: replica.node.to_string(),
            devices: replica.devices.iter().map(ToString::to_string).collect(),
            state: match replica.state {
                skep_core::ReplicaState::Starting => host::ReplicaState::Starting,
                skep_core::ReplicaState::Ready => host::ReplicaState::Ready,
                skep_core::ReplicaState::Draining => host::ReplicaState::Draining,
                skep_core::ReplicaState::Failed(_) => host::ReplicaState::Failed,
            },
            running: replica.running,
            waiting: replica.waiting,
            capacity: replica.capacity,
            cache_pages: replica.cache_pages,
            cache_pages_used: replica.cache_pages_used,
            first_token_us: replica.first_token_us,
            token_us: replica.token_us,
        }),
        skep_core::Change::ReplicaGone(id) => host::Change::ReplicaGone(id.0),
    }
}

fn device(device: skep_core::Device) -> host::Device {
    host::Device {
        health: health(&device.health),
        id: device.id,
        kind: device.kind,
        memory_bytes: device.memory_bytes,
        memory_free_bytes: device.memory_free_bytes,
        bandwidth: device.bandwidth,
    }
}

fn health(health: &skep_core::Health) -> host::Health {
    match health {
        skep_core::Health::Healthy => host::Health::Healthy,
        skep_core::Health::Degraded(_) => host::Health::Degraded,
        skep_core::Health::Lost(_) => host::Health::Lost,
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
