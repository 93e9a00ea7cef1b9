//! The default scheduler: work goes where the most room is.
//!
//! A model is placed on the healthy node whose device keeps the most memory free, first among those that already hold its
//! file. A request goes where the beginning of its conversation is cached, unless that replica is full and another is not;
//! otherwise to the replica with the smallest share of its places taken.
//! It knows nothing of time and keeps no more than it was told, beside a bounded list of recent conversations.
#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

mod affinity;
mod place;
mod route;

use alloc::collections::BTreeMap;
use alloc::string::String;

use affinity::Affinity;
use skep_sdk::scheduler::{
    Change, Choice, Job, Node, Placement, Refusal, Replica, Request, Scheduler,
};

/// What the host told so far.
#[derive(Debug, Default)]
pub struct Spread {
    nodes: BTreeMap<String, Node>,
    replicas: BTreeMap<u64, Replica>,
    affinity: Affinity,
}

impl Scheduler for Spread {
    fn observe(&mut self, change: Change) {
        match change {
            Change::Node(node) => drop(self.nodes.insert(node.id.clone(), node)),
            Change::NodeGone(id) => drop(self.nodes.remove(&id)),
            Change::Replica(replica) => drop(self.replicas.insert(replica.id, replica)),
            Change::ReplicaGone(id) => {
                self.replicas.remove(&id);
                self.affinity.forget(id);
            }
        }
    }

    fn place(&mut self, job: Job) -> Result<Placement, Refusal> {
        place::choose(self.nodes.values(), &job)
    }

    fn route(&mut self, request: Request) -> Result<Choice, Refusal> {
        let last = self.affinity.find(request.affinity);
        let choice = route::choose(self.replicas.values(), &self.nodes, &request, last)?;
        self.affinity.remember(request.affinity, choice.replica);
        Ok(choice)
    }
}

skep_sdk::scheduler!(Spread);
