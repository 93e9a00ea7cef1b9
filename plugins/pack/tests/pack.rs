//! What `pack` chooses, and that it is a function of what it was told.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use pack::Pack;
use skep_sdk::scheduler::{
    Change, Device, Health, Job, Node, Refusal, Replica, ReplicaState, Request, Scheduler,
};

fn replica(id: u64, running: u32, capacity: u32) -> Replica {
    Replica {
        id,
        model: "m".into(),
        node: format!("n{id}"),
        devices: vec!["cpu".into()],
        state: ReplicaState::Ready,
        running,
        waiting: 0,
        capacity,
        cache_pages: 0,
        cache_pages_used: 0,
        first_token_us: 0,
        token_us: 0,
    }
}

fn node(id: &str, free_mib: u64) -> Node {
    Node {
        id: id.into(),
        name: id.into(),
        health: Health::Healthy,
        draining: false,
        labels: Vec::new(),
        devices: vec![device("cpu", free_mib)],
        models: Vec::new(),
    }
}

fn device(kind: &str, free_mib: u64) -> Device {
    Device {
        id: kind.into(),
        kind: kind.into(),
        health: Health::Healthy,
        memory_bytes: 1024 << 20,
        memory_free_bytes: free_mib << 20,
        bandwidth: 0,
    }
}

fn job(mib: u64) -> Job {
    Job {
        model: "m".into(),
        digest: "d".into(),
        memory_bytes: mib << 20,
        require: Vec::new(),
        devices: Vec::new(),
    }
}

fn request(affinity: u64) -> Request {
    Request {
        model: "m".into(),
        prompt_bytes: 1,
        max_tokens: 1,
        affinity,
        priority: 0,
    }
}

fn told(nodes: &[Node], replicas: &[Replica]) -> Pack {
    let mut pack = Pack::default();
    let nodes = nodes.iter().cloned().map(Change::Node);
    for change in nodes.chain(replicas.iter().cloned().map(Change::Replica)) {
        pack.observe(change);
    }
    pack
}

fn ranking(pack: &mut Pack, affinity: u64) -> Vec<u64> {
    let choice = pack.route(request(affinity)).unwrap();
    choice.ranked.iter().map(|one| one.replica).collect()
}

fn check_routes(nodes: &[Node], replicas: &[Replica], expect: &[u64]) {
    assert_eq!(ranking(&mut told(nodes, replicas), 0), expect);
}

fn check_places(nodes: &[Node], job: Job, expect: Result<&[&str], &str>) {
    let found = told(nodes, &[]).place(job);
    match (found, expect) {
        (Ok(placement), Ok(nodes)) => {
            let ranked: Vec<_> = placement.ranked.iter().map(|spot| &*spot.node).collect();
            assert_eq!(ranked, nodes, "{placement:?}");
        }
        (Err(Refusal::Busy(_)), Err("busy")) | (Err(Refusal::Impossible(_)), Err("impossible")) => {
        }
        (found, expect) => panic!("{found:?}, expected {expect:?}"),
    }
}

#[test]
fn the_busiest_node_with_room_comes_first() {
    check_routes(
        &[],
        &[replica(1, 1, 8), replica(2, 5, 8), replica(3, 0, 8)],
        &[2, 1, 3],
    );
    // A full one comes after all that have room, and of the full ones the emptiest first.
    check_routes(
        &[],
        &[replica(1, 9, 8), replica(2, 8, 8), replica(3, 0, 8)],
        &[3, 2, 1],
    );
    // The node counts as a whole.
    let together = [
        Replica {
            model: "other".into(),
            node: "x".into(),
            ..replica(7, 6, 8)
        },
        Replica {
            node: "x".into(),
            ..replica(1, 0, 8)
        },
        replica(2, 3, 8),
    ];
    check_routes(&[], &together, &[1, 2]);
}

#[test]
fn of_equals_the_fastest_comes_first() {
    let slow = Replica {
        first_token_us: 900_000,
        token_us: 50_000,
        ..replica(1, 0, 8)
    };
    let fast = Replica {
        first_token_us: 90_000,
        token_us: 5_000,
        ..replica(2, 0, 8)
    };
    check_routes(&[], &[slow, fast], &[2, 1]);
}

#[test]
fn one_replica_fills_before_the_next_is_used() {
    let mut pack = told(&[], &[replica(1, 0, 4), replica(2, 0, 4)]);
    for running in 1..=4 {
        assert_eq!(ranking(&mut pack, 0)[0], 1);
        pack.observe(Change::Replica(replica(1, running, 4)));
    }
    assert_eq!(ranking(&mut pack, 0)[0], 2);
    // Between two reports no more are sent than it serves in a while.
    let mut pack = told(&[], &[replica(1, 0, 4), replica(2, 0, 4)]);
    let first: Vec<_> = (0..10).map(|_| ranking(&mut pack, 0)[0]).collect();
    assert_eq!(first, [1, 1, 1, 1, 1, 1, 1, 1, 2, 2]);
}

#[test]
fn a_conversation_stays_where_it_is_cached() {
    let mut pack = told(&[], &[replica(1, 0, 8), replica(2, 0, 8)]);
    assert_eq!(ranking(&mut pack, 7)[0], 1);
    pack.observe(Change::Replica(replica(2, 5, 8)));
    assert_eq!(ranking(&mut pack, 8)[0], 2);
    assert_eq!(ranking(&mut pack, 7)[0], 1);
    pack.observe(Change::Replica(replica(1, 8, 8)));
    assert_eq!(ranking(&mut pack, 7)[0], 2);
}

#[test]
fn the_degraded_come_last() {
    let mut nodes = [node("n1", 100), node("n2", 100)];
    nodes[0].devices[0].health = Health::Degraded;
    check_routes(&nodes, &[replica(1, 5, 8), replica(2, 0, 8)], &[2, 1]);
    nodes[0].devices[0].health = Health::Lost;
    check_routes(&nodes, &[replica(1, 5, 8), replica(2, 0, 8)], &[2]);
}

#[test]
fn the_best_fit_comes_first() {
    let nodes = [node("a", 100), node("b", 900), node("c", 60)];
    check_places(&nodes, job(50), Ok(&["c", "a", "b"]));
    check_places(&nodes, job(500), Ok(&["b"]));
    check_places(&nodes, job(950), Err("busy"));
    check_places(&nodes, job(5000), Err("impossible"));
    // Before an empty node is woken, one that has models takes another.
    let here = Replica {
        model: "other".into(),
        node: "b".into(),
        ..replica(7, 0, 8)
    };
    let placement = told(&nodes, &[here]).place(job(50)).unwrap();
    let ranked: Vec<_> = placement.ranked.iter().map(|spot| &*spot.node).collect();
    assert_eq!(ranked, ["b", "c", "a"]);
    let mut draining = node("c", 60);
    draining.draining = true;
    let placement = told(&[node("a", 100), draining], &[])
        .place(job(50))
        .unwrap();
    assert_eq!(placement.ranked.len(), 1);
    assert_eq!(placement.passed_over[0].why, "`c` is draining");
}

/// The same calls give the same answers, however often; nodes and replicas that come and go leave nothing behind.
#[test]
fn it_is_a_function_of_the_calls() {
    let run = || {
        let mut pack = Pack::default();
        let mut seed = 1_u64;
        let mut draw = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        let mut said = String::new();
        for _ in 0..3_000 {
            let id = draw(40);
            match draw(7) {
                0 => pack.observe(Change::Node(node(&format!("n{id}"), draw(900)))),
                1 => pack.observe(Change::NodeGone(format!("n{id}"))),
                2 | 3 => pack.observe(Change::Replica(replica(id, draw(12) as u32, 8))),
                4 => pack.observe(Change::ReplicaGone(id)),
                5 => said += &format!("{:?}", pack.route(request(draw(20)))),
                _ => said += &format!("{:?}", pack.place(job(draw(900)))),
            }
        }
        said
    };
    assert_eq!(run(), run());
}
