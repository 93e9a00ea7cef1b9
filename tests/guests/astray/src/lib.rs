//! A scheduler that goes astray: the name of a request's model says how. For any other name it routes to the first replica.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::hint::black_box;

use skep_sdk::scheduler::{Change, Choice, Job, Placement, Refusal, Replica, Request, Scheduler};

/// What it was told.
#[derive(Debug, Default)]
pub struct Astray {
    replicas: Vec<Replica>,
}

impl Scheduler for Astray {
    fn observe(&mut self, change: Change) {
        if let Change::Replica(replica) = change {
            self.replicas.push(replica);
        }
    }

    fn place(&mut self, job: Job) -> Result<Placement, Refusal> {
        Err(Refusal::Impossible(format!("no place for {}", job.model)))
    }

    #[expect(clippy::panic, reason = "it is what is tried")]
    fn route(&mut self, request: Request) -> Result<Choice, Refusal> {
        match request.model.as_str() {
            "loop" => loop {
                black_box(&self.replicas);
            },
            "grow" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(black_box(Vec::<u8>::with_capacity(1 << 20)));
                }
            }
            "panic" => panic!("astray"),
            "talk" => return Err(Refusal::Busy("so much to say. ".repeat(100_000))),
            "babble" => return Err(Refusal::Busy(String::from("\u{1b}[2J\n"))),
            _ => {}
        }
        let replica = self.replicas.first().map(|replica| replica.id);
        let known = self.replicas.len();
        replica
            .map(|replica| Choice {
                replica,
                why: format!("the first of {known}"),
            })
            .ok_or_else(|| Refusal::Unknown(String::from("none")))
    }
}

skep_sdk::scheduler!(Astray);
