//! A scheduler that fills what is in use first, so that the rest can sleep.
//!
//! A model is placed where the least memory is left once it is loaded, first on nodes that have models already. A request
//! goes where the beginning of its conversation is cached, otherwise to the busiest node that has a free place; a further
//! node is used only when those are full. What is degraded comes last.
//! What is eligible at all is the SDK's [`Cluster`] to say; this is no more than an order.
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
pub struct Pack {
    cluster: Cluster,
    affinity: Affinity,
}

impl Scheduler for Pack {
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

skep_sdk::scheduler!(Pack);
