//! What a `route` costs without a sandbox, as one line of JSON: medians in nanoseconds by the number of replicas to choose from.
//!
//! `cargo xtask bench plugins` runs it beside the component; both choose among the same replicas.
#![allow(
    clippy::print_stdout,
    reason = "a command-line tool speaks on its terminal"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use skep_sdk::scheduler::{
    Change, Device, Health, Node, Replica, ReplicaState, Request, Scheduler as _,
};
use spread::Spread;

const REPLICAS: [u64; 3] = [1, 10, 100];
const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(30);

fn main() {
    let times = REPLICAS.map(|replicas| format!("\"{replicas}\":{:.1}", route_ns(replicas)));
    println!("{{{}}}", times.join(","));
}

fn route_ns(replicas: u64) -> f64 {
    let mut policy = Spread::default();
    for id in 0..replicas {
        policy.observe(Change::Node(node(id)));
        policy.observe(Change::Replica(replica(id)));
    }
    let mut turn = 0;
    let mut rounds = Vec::new();
    for _ in 0..=ROUNDS {
        let (started, mut count) = (Instant::now(), 0_u32);
        while started.elapsed() < ROUND {
            turn += 1;
            let _ = black_box(policy.route(black_box(request(turn))));
            count += 1;
        }
        rounds.push(started.elapsed().as_secs_f64() * 1e9 / f64::from(count.max(1)));
    }
    rounds.remove(0);
    rounds.sort_by(f64::total_cmp);
    rounds.get(ROUNDS / 2).copied().unwrap_or(f64::NAN)
}

fn node(id: u64) -> Node {
    Node {
        id: format!("{id:032x}"),
        name: format!("node-{id}"),
        health: Health::Healthy,
        draining: false,
        labels: Vec::new(),
        devices: vec![Device {
            id: "cpu".into(),
            kind: "cpu".into(),
            health: Health::Healthy,
            memory_bytes: 64 << 30,
            memory_free_bytes: 32 << 30,
            bandwidth: 0,
        }],
        models: Vec::new(),
    }
}

fn replica(id: u64) -> Replica {
    Replica {
        id,
        model: "model".into(),
        node: format!("{id:032x}"),
        devices: vec!["cpu".into()],
        state: ReplicaState::Ready,
        running: u32::try_from(id % 8).unwrap_or_default(),
        waiting: 0,
        capacity: 16,
        cache_pages: 1_024,
        cache_pages_used: 100,
        first_token_us: 20_000 + id,
        token_us: 5_000,
    }
}

fn request(turn: u64) -> Request {
    Request {
        model: "model".into(),
        prompt_bytes: 400,
        max_tokens: 256,
        // Every second one goes on with a conversation.
        affinity: turn / 2,
        priority: 0,
    }
}
