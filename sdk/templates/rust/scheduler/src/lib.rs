//! A scheduler: the first ready replica with the fewest running requests.
//!
//! It imports nothing, so it is built without the standard library; tests run natively and have it.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use core::cmp::Reverse;

use skep_sdk::scheduler::{
    Change, Choice, Cluster, Job, Place, Placement, Refusal, Request, Scheduler, Seat,
};

/// What the host told so far.
#[derive(Default)]
pub struct Fewest {
    cluster: Cluster,
}

impl Scheduler for Fewest {
    fn observe(&mut self, change: Change) {
        self.cluster.observe(change);
    }

    // Where a model is loaded: the device with the most free memory.
    fn place(&mut self, job: Job) -> Result<Placement, Refusal> {
        let key = |place: &Place<'_>| Reverse(place.left_bytes);
        self.cluster.rank_places(&job, key, room, room)
    }

    // Where a request runs. What is eligible at all is the SDK's to say; this is the order.
    fn route(&mut self, request: Request) -> Result<Choice, Refusal> {
        let key = |seat: &Seat<'_>| (seat.replica.running, seat.replica.id);
        self.cluster.rank(&request, key, load, load)
    }
}

fn room(place: &Place<'_>) -> String {
    format!("{} MiB stay free", place.left_bytes >> 20)
}

fn load(seat: &Seat<'_>) -> String {
    format!("{} running", seat.replica.running)
}

skep_sdk::scheduler!(Fewest);

#[cfg(test)]
mod tests {
    use super::*;
    use skep_sdk::scheduler::{Replica, ReplicaState};

    fn replica(id: u64, running: u32) -> Change {
        Change::Replica(Replica {
            id,
            model: "tiny".into(),
            node: "n1".into(),
            devices: Vec::new(),
            state: ReplicaState::Ready,
            running,
            waiting: 0,
            capacity: 8,
            cache_pages: 0,
            cache_pages_used: 0,
            first_token_us: 0,
            token_us: 0,
        })
    }

    #[test]
    fn the_one_with_the_fewest_requests_comes_first() {
        let mut scheduler = Fewest::default();
        for (id, running) in [(1, 5), (2, 1), (3, 3)] {
            scheduler.observe(replica(id, running));
        }
        let request = Request {
            model: "tiny".into(),
            prompt_bytes: 10,
            max_tokens: 10,
            affinity: 0,
            priority: 0,
        };
        let choice = scheduler.route(request).expect("three are ready");
        let ids: Vec<u64> = choice.ranked.iter().map(|seat| seat.replica).collect();
        assert_eq!(ids, [2, 3, 1]);
    }
}
