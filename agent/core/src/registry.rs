//! The cluster as a scheduler sees it: nodes, and the replicas on them with their load.
//!
//! Decides what counts as a change worth telling. Refuses to know what a scheduler makes of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{NodeId, ReplicaId};
use crate::limits::{NODES_MAX, REPLICAS_MAX};

/// A node, as far as placing work is concerned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its identity.
    pub id: NodeId,
    /// For people.
    pub name: String,
    /// Whether it can be relied on.
    pub health: Health,
    /// No new work.
    pub draining: bool,
    /// What operators say of it, by key.
    pub labels: BTreeMap<String, String>,
    /// What models may run on; the processor, as `cpu`, is the first.
    pub devices: Vec<Device>,
}

/// Something that models run on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// `cpu`, or the device's uuid.
    pub id: String,
    /// For people and schedulers: `cpu`, `nvidia`, `amd`.
    pub kind: String,
    /// Whether it can be relied on.
    pub health: Health,
    /// Memory that a worker could have in all.
    pub memory_bytes: u64,
    /// Memory that a worker could have now, in steps that make small movements no change.
    pub memory_free_bytes: u64,
    /// Measured, in bytes per second; 0 when unknown.
    pub bandwidth: u64,
}

/// Whether a part can be relied on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// Nothing speaks against it.
    Healthy,
    /// It works, but worse or less safely than it should; the cause, for people.
    Degraded(String),
    /// It does not answer; the cause, for people.
    Lost(String),
}

impl Health {
    /// Worse is more.
    fn badness(&self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Degraded(_) => 1,
            Self::Lost(_) => 2,
        }
    }

    /// Whether this is worse than that, whatever the causes.
    #[must_use]
    pub fn is_worse_than(&self, other: &Self) -> bool {
        self.badness() > other.badness()
    }
}

/// A replica of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Its identity.
    pub id: ReplicaId,
    /// What it serves.
    pub model: Arc<str>,
    /// Where it runs.
    pub node: NodeId,
    /// What it was placed on there, by [`Device::id`].
    pub devices: Vec<Arc<str>>,
    /// Whether it takes requests.
    pub state: ReplicaState,
    /// Requests that run in it.
    pub running: u32,
    /// Requests that wait in it.
    pub waiting: u32,
    /// How many it can run at once.
    pub capacity: u32,
    /// Pages of its cache.
    pub cache_pages: u32,
    /// Pages of its cache in use.
    pub cache_pages_used: u32,
    /// How long the first token takes, in microseconds; a coarse moving mean, 0 when unknown.
    pub first_token_us: u64,
    /// The same between two tokens.
    pub token_us: u64,
}

/// Whether a replica takes requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaState {
    /// Not yet, or not again yet.
    Starting,
    /// It does.
    Ready,
    /// No more; what runs may finish.
    Draining,
    /// It cannot.
    Failed(String),
}

impl Replica {
    /// What stands before an upstream's name where other replicas have a device.
    pub const UPSTREAM: &'static str = "upstream:";

    /// The upstream that answers for it: a service elsewhere, which takes no room on any node. None: a worker.
    #[must_use]
    pub fn upstream(&self) -> Option<&str> {
        let mut devices = self.devices.iter();
        devices.find_map(|device| device.strip_prefix(Self::UPSTREAM))
    }
}

/// All that is known of nodes and replicas.
#[derive(Debug, Default)]
pub struct Registry {
    /// The node that decides here: the first that it was told of.
    home: Option<NodeId>,
    nodes: BTreeMap<NodeId, Node>,
    replicas: BTreeMap<ReplicaId, Replica>,
}

impl Registry {
    /// The node that decides here.
    #[must_use]
    pub fn home(&self) -> Option<NodeId> {
        self.home
    }

    /// Whether a replica runs on the node that decides here, and so could be ended here: no upstream's does.
    #[must_use]
    pub fn is_here(&self, replica: &Replica) -> bool {
        self.home.is_none_or(|home| replica.node == home) && replica.upstream().is_none()
    }

    /// The replicas of one model that run on this very node, oldest first.
    pub fn here<'a>(&'a self, model: &'a str) -> impl Iterator<Item = &'a Replica> {
        self.of_model(model).filter(|replica| self.is_here(replica))
    }

    /// Takes in a node; tells whether anything is different now.
    pub fn set_node(&mut self, node: &Node) -> bool {
        if !self.nodes.contains_key(&node.id) && self.nodes.len() >= NODES_MAX {
            return false;
        }
        self.home.get_or_insert(node.id);
        self.nodes.insert(node.id, node.clone()).as_ref() != Some(node)
    }

    /// Forgets a node; tells whether it was known.
    pub fn remove_node(&mut self, id: &NodeId) -> bool {
        self.nodes.remove(id).is_some()
    }

    /// Takes in a replica; tells whether anything is different now.
    pub fn set_replica(&mut self, replica: &Replica) -> bool {
        if !self.replicas.contains_key(&replica.id) && self.replicas.len() >= REPLICAS_MAX {
            return false;
        }
        self.replicas.insert(replica.id, replica.clone()).as_ref() != Some(replica)
    }

    /// Forgets a replica and returns what was known of it.
    pub fn remove_replica(&mut self, id: ReplicaId) -> Option<Replica> {
        self.replicas.remove(&id)
    }

    /// A node.
    #[must_use]
    pub fn node(&self, id: &NodeId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// Every node, by identity.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// Every replica, oldest first.
    pub fn replicas(&self) -> impl Iterator<Item = &Replica> {
        self.replicas.values()
    }

    /// The replicas of one model, oldest first.
    pub fn of_model<'a>(&'a self, model: &'a str) -> impl Iterator<Item = &'a Replica> {
        self.replicas()
            .filter(move |replica| &*replica.model == model)
    }
}
