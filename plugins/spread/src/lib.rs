//! The default scheduler: work goes where the most room is.
//!
//! A model is placed on the device that keeps the most memory free, first among those whose node already holds its
//! file. A request goes where the beginning of its conversation is cached, unless that replica is full and another is not;
//! otherwise to the replica with the smallest share of its places taken, and of those to the fastest. What is degraded comes
//! last. What is eligible at all is the SDK's [`Cluster`] to say; this is no more than an order.
//! It knows nothing of time and keeps no more than it was told, beside a bounded list of recent conversations.
#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

mod place;
mod route;

use skep_sdk::scheduler::{
    Affinity, Change, Choice, Cluster, Job, Placement, Refusal, Request, Scheduler,
};

/// What the host told so far.
#[derive(Debug, Default)]
pub struct Spread {
    cluster: Cluster,
    affinity: Affinity,
}

impl Scheduler for Spread {
    fn observe(&mut self, change: Change) {
        if let Change::ReplicaGone(id) = &change {
            self.affinity.forget(*id);
        }
        self.cluster.observe(change);
    }

    fn place(&mut self, job: Job) -> Result<Placement, Refusal> {
        place::rank(&self.cluster, &job)
    }

    fn route(&mut self, request: Request) -> Result<Choice, Refusal> {
        let last = self.affinity.find(request.affinity);
        let choice = route::rank(&self.cluster, &request, last)?;
        if let Some(first) = choice.ranked.first() {
            self.affinity.remember(request.affinity, first.replica);
            self.cluster.sent(first.replica);
        }
        Ok(choice)
    }
}

skep_sdk::scheduler!(Spread);
