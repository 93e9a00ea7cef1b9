//! What other nodes have, and what they may know of this one.
//!
//! Decides where a model is loaded that this node has no files of. Refuses to know how another node is
//! reached.

use std::sync::Arc;
use std::time::Duration;

use skep_core::{Input, Node, NodeId, Replica, ReplicaId};

use super::{ModelFacts, Router, facts};
use crate::fleet::{self, Exchange, SubmitError};
use crate::host::scheduler as host;
use crate::protocol::Work;

/// What this node knows of the replicas of others.
pub trait Elsewhere: std::fmt::Debug + Send + Sync {
    /// Hands a request to a replica of another node. Dropping the `Exchange` cancels it.
    ///
    /// # Errors
    /// When its node is not reached.
    fn submit(&self, replica: ReplicaId, work: Arc<Work>) -> Result<Exchange, SubmitError>;

    /// Has another node load a model; the router hears of it when that fails.
    fn load(&self, node: NodeId, model: &Arc<str>);
}

/// What a node tells of itself: the node, its replicas, the models on its disk, and what is known of those
/// that are loaded.
pub type Own = (
    Node,
    Vec<Replica>,
    Vec<Arc<str>>,
    Vec<(Arc<str>, ModelFacts)>,
);

impl Router {
    /// How other nodes are reached from now on.
    pub fn set_elsewhere(&self, elsewhere: Arc<dyn Elsewhere>) {
        *self.elsewhere_slot() = Some(elsewhere);
    }

    /// Takes in something about other nodes.
    pub fn hear(&self, input: Input) {
        let files = matches!(input, Input::CataloguedAt(..));
        self.tell(input);
        if files {
            self.offers_changed();
        }
    }

    /// Takes in what is known of models that other nodes have loaded.
    pub fn hear_facts(&self, node: NodeId, facts: Vec<(Arc<str>, ModelFacts)>) {
        self.shared.facts.replace_of(node, facts);
    }

    /// What others may know of this node; none before it knows itself.
    #[must_use]
    pub fn own(&self) -> Option<Own> {
        let me = self.shared.node;
        let state = self.state();
        let registry = state.core.registry();
        let node = registry.nodes().find(|node| node.id == me)?.clone();
        let replicas: Vec<Replica> = registry
            .replicas()
            .filter(|replica| replica.node == me)
            .cloned()
            .collect();
        let models = state
            .core
            .models()
            .filter(|(_, view)| view.on_disk)
            .map(|(name, _)| name.clone())
            .collect();
        drop(state);
        let loaded = replicas
            .iter()
            .map(|replica| {
                let facts = self.shared.facts.of(&replica.model);
                (replica.model.clone(), ModelFacts::clone(&facts))
            })
            .collect();
        Some((node, replicas, models, loaded))
    }

    /// Whether anything runs or waits in any replica of this node.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let replicas = self.shared.fleet.replicas();
        replicas.iter().any(|replica| replica.living > 0)
            || self.offered().iter().any(|replica| replica.running > 0)
    }

    /// Gets a model of this node ready, for a request of another.
    ///
    /// # Errors
    /// Why it does not come.
    pub async fn load_for_other(&self, model: &str) -> Result<(), String> {
        self.tell(Input::Needed(model.into()));
        self.ready(model, LOAD_PATIENCE).await
    }

    /// A request of another node runs on one of this node's replicas, until what this gives is dropped.
    ///
    /// # Errors
    /// When the replica does not take it.
    pub fn lend(&self, replica: u64, work: Arc<Work>) -> Result<(Exchange, Lent), SubmitError> {
        let id = fleet::ReplicaId(replica);
        let unknown = || SubmitError::Unknown(id);
        let model = {
            let state = self.state();
            let mut replicas = state.core.registry().replicas();
            let known = replicas
                .find(|known| known.id.0 == replica)
                .ok_or_else(unknown)?;
            known.model.clone()
        };
        let exchange = self.submit_here(replica, work)?;
        self.tell(Input::Serves(model.clone()));
        let lent = Lent {
            router: self.clone(),
            model,
        };
        Ok((exchange, lent))
    }

    /// Hands work to a replica, wherever it is.
    pub(super) fn submit(&self, replica: u64, work: Arc<Work>) -> Result<Exchange, SubmitError> {
        if replica < FIRST_ELSEWHERE {
            return self.submit_here(replica, work);
        }
        let gone = || SubmitError::NotReady("the node that ran it was lost".into());
        let elsewhere = self.elsewhere_slot().clone().ok_or_else(gone)?;
        elsewhere.submit(ReplicaId(replica), work)
    }

    /// Has another node load a model: where the scheduler says, if that is one that has its files.
    pub(super) fn load_at(&self, model: &Arc<str>, nodes: &[NodeId]) {
        let job = host::Job {
            model: model.to_string(),
            digest: String::new(),
            memory_bytes: 0,
            require: Vec::new(),
            devices: Vec::new(),
        };
        let placement = self.shared.policies.place(&job).answer;
        let ranked = placement.into_iter().flat_map(|placement| placement.ranked);
        let mut named = ranked.filter_map(|spot| spot.node.parse().ok());
        let chosen = named.find(|node| nodes.contains(node));
        let chosen = chosen.or_else(|| self.roomiest(nodes));
        let elsewhere = self.elsewhere_slot().clone();
        match (chosen, elsewhere) {
            (Some(node), Some(elsewhere)) => {
                tracing::info!(%model, %node, "has another node load a model");
                elsewhere.load(node, model);
            }
            _ => self.tell(Input::LoadFailed {
                model: model.clone(),
                why: "the nodes that have its files are not reached".into(),
            }),
        }
    }

    /// Of these nodes the one with the most free memory.
    fn roomiest(&self, nodes: &[NodeId]) -> Option<NodeId> {
        let state = self.state();
        let known = state.core.registry().nodes();
        known
            .filter(|node| nodes.contains(&node.id) && !node.draining)
            .max_by_key(|node| {
                let free = node.devices.iter().map(|device| device.memory_free_bytes);
                free.max().unwrap_or(0)
            })
            .map(|node| node.id)
            .or_else(|| nodes.first().copied())
    }

    pub(super) fn elsewhere_slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<dyn Elsewhere>>> {
        facts::lock(&self.shared.elsewhere)
    }
}

/// A request of another node that runs here.
#[derive(Debug)]
pub struct Lent {
    router: Router,
    model: Arc<str>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.router.tell(Input::Served(self.model.clone()));
    }
}

/// Replicas of other nodes are numbered from here; a node starts fewer of its own.
pub const FIRST_ELSEWHERE: u64 = 1 << 32;

/// How long another node's request may wait for a model to load.
const LOAD_PATIENCE: Duration = Duration::from_mins(10);
