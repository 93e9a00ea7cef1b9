//! What a scheduler is to know: every node and replica once, as last told.
//!
//! Decides how many there may be. Refuses to judge any of them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, Node, Replica};
use crate::limits::SCHEDULER_FACTS;

/// The cluster as schedulers are told of it.
#[derive(Clone, Debug, Default)]
pub struct Known {
    nodes: BTreeMap<String, Node>,
    replicas: BTreeMap<u64, Replica>,
    by_model: BTreeMap<String, BTreeSet<u64>>,
}

impl Known {
    /// Takes in a change. Past [`SCHEDULER_FACTS`] of a kind, what is new is not taken in.
    pub fn take_in(&mut self, change: &Change) {
        match change {
            Change::Node(node) => {
                if self.nodes.len() < SCHEDULER_FACTS || self.nodes.contains_key(&node.id) {
                    self.nodes.insert(node.id.clone(), node.clone());
                }
            }
            Change::NodeGone(id) => drop(self.nodes.remove(id)),
            Change::Replica(replica) => {
                let known = self.replicas.contains_key(&replica.id);
                if known || self.replicas.len() < SCHEDULER_FACTS {
                    self.forget(replica.id);
                    let ids = self.by_model.entry(replica.model.clone()).or_default();
                    ids.insert(replica.id);
                    self.replicas.insert(replica.id, replica.clone());
                }
            }
            Change::ReplicaGone(id) => self.forget(*id),
        }
    }

    /// Everything as changes: nodes before the replicas on them, each in the order of its identity.
    pub fn facts(&self) -> impl Iterator<Item = Change> {
        let nodes = self.nodes.values().cloned().map(Change::Node);
        nodes.chain(self.replicas.values().cloned().map(Change::Replica))
    }

    /// How many nodes and replicas there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.nodes.len() + self.replicas.len()
    }

    /// A node.
    #[must_use]
    pub fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// A replica.
    #[must_use]
    pub fn replica(&self, id: u64) -> Option<&Replica> {
        self.replicas.get(&id)
    }

    /// Every node, by identity.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// The replicas of a model, oldest first.
    pub fn of_model<'a>(&'a self, model: &str) -> impl Iterator<Item = &'a Replica> + use<'a> {
        let ids = self.by_model.get(model).into_iter().flatten();
        ids.filter_map(|id| self.replicas.get(id))
    }

    fn forget(&mut self, id: u64) {
        let Some(replica) = self.replicas.remove(&id) else {
            return;
        };
        if let Some(ids) = self.by_model.get_mut(&replica.model) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_model.remove(&replica.model);
            }
        }
    }
}
