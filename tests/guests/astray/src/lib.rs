//! A scheduler that goes astray: the name of a request's model says how. For any other name it routes to the first replica.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::hint::black_box;

use skep_sdk::scheduler::{
    Candidate, Change, Choice, Job, Node, Placement, Refusal, Replica, Request, Scheduler, Spot,
};

/// What it was told.
#[derive(Debug, Default)]
pub struct Astray {
    nodes: Vec<Node>,
    replicas: Vec<Replica>,
    routed: u64,
}

impl Scheduler for Astray {
    fn observe(&mut self, change: Change) {
        match change {
            Change::Replica(replica) => self.replicas.push(replica),
            Change::Node(node) => {
                // Some 5 million units: less than a call may take.
                if node.name == "slow" {
                    (0..1_000_000_u32).for_each(|turn| {
                        black_box(turn);
                    });
                }
                self.nodes.push(node);
            }
            Change::NodeGone(_) | Change::ReplicaGone(_) => {}
        }
    }

    fn place(&mut self, job: Job) -> Result<Placement, Refusal> {
        let spots = match job.model.as_str() {
            "unknown" => Vec::from([spot("nowhere", "cpu")]),
            "no-device" => self
                .nodes
                .iter()
                .map(|node| spot(&node.id, "GPU-0"))
                .collect(),
            "empty" => Vec::new(),
            "every" => self
                .nodes
                .iter()
                .map(|node| spot(&node.id, "cpu"))
                .collect(),
            model => return Err(Refusal::Impossible(format!("no place for {model}"))),
        };
        Ok(Placement {
            ranked: spots,
            passed_over: Vec::new(),
            why: String::from("so it is"),
        })
    }

    #[expect(clippy::panic, reason = "it is what is tried")]
    fn route(&mut self, request: Request) -> Result<Choice, Refusal> {
        self.routed += 1;
        let ids = || self.replicas.iter().map(|replica| replica.id);
        let ranked: Vec<u64> = match request.model.as_str() {
            "loop" => loop {
                black_box(&self.replicas);
            },
            // One instruction that takes as long as millions.
            "fill" => {
                let mut room = alloc::vec![0_u8; 48 << 20];
                let mut byte = 0_u8;
                loop {
                    byte = byte.wrapping_add(1);
                    room.fill(byte);
                    black_box(&room);
                }
            }
            "grow" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(black_box(Vec::<u8>::with_capacity(1 << 20)));
                }
            }
            "panic" => panic!("astray"),
            "talk" => return Err(Refusal::Busy("so much to say. ".repeat(100_000))),
            "babble" => return Err(Refusal::Busy(String::from("\u{1b}[2J\n"))),
            "deny" => return Err(Refusal::Unknown(String::from("never heard of it"))),
            "empty" => Vec::new(),
            "unknown" => Vec::from([4711]),
            "twice" => ids().chain(ids()).collect(),
            "late" => ids().next_back().into_iter().collect(),
            "flood" => (0..4_000).collect(),
            // Another order at each call.
            "flip" => {
                let mut ids: Vec<u64> = ids().collect();
                let turn = (self.routed as usize) % ids.len().max(1);
                ids.rotate_left(turn);
                ids
            }
            _ => ids().collect(),
        };
        let known = self.replicas.len();
        if known == 0 {
            return Err(Refusal::Unknown(String::from("none")));
        }
        Ok(Choice {
            ranked: ranked.into_iter().map(candidate).collect(),
            passed_over: Vec::new(),
            why: format!("the first of {known}"),
        })
    }
}

fn candidate(replica: u64) -> Candidate {
    Candidate {
        replica,
        why: String::new(),
    }
}

fn spot(node: &str, device: &str) -> Spot {
    Spot {
        node: node.into(),
        devices: Vec::from([device.into()]),
        why: String::new(),
    }
}

skep_sdk::scheduler!(Astray);
