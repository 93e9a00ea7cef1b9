//! What `spread` chooses, and that it is a function of what it was told.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use skep_sdk::scheduler::{
    Change, Device, Health, Job, Node, Refusal, Replica, ReplicaState, Request, Scheduler,
};
use spread::Spread;

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

fn told(nodes: &[Node], replicas: &[Replica]) -> Spread {
    let mut spread = Spread::default();
    let nodes = nodes.iter().cloned().map(Change::Node);
    for change in nodes.chain(replicas.iter().cloned().map(Change::Replica)) {
        spread.observe(change);
    }
    spread
}

fn ranking(spread: &mut Spread, affinity: u64) -> Vec<u64> {
    let choice = spread.route(request(affinity)).unwrap();
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
fn the_smallest_share_comes_first() {
    check_routes(&[], &[replica(1, 4, 8), replica(2, 5, 16)], &[2, 1]);
    check_routes(&[], &[replica(1, 0, 8), replica(2, 0, 16)], &[1, 2]);
    let most = [replica(1, u32::MAX, 0), replica(2, u32::MAX, u32::MAX)];
    check_routes(&[], &most, &[2, 1]);
}

#[test]
fn of_equal_shares_the_fastest_comes_first() {
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
    check_routes(&[], &[slow.clone(), fast.clone()], &[2, 1]);
    // One that is unknown is tried; a slow one with room beats a fast one that is full.
    check_routes(
        &[],
        &[slow.clone(), fast.clone(), replica(3, 0, 8)],
        &[3, 2, 1],
    );
    check_routes(&[], &[slow, Replica { running: 8, ..fast }], &[1, 2]);
}

#[test]
fn a_conversation_stays_where_it_is_cached() {
    let mut spread = told(&[], &[replica(1, 0, 8), replica(2, 0, 8)]);
    assert_eq!(ranking(&mut spread, 7)[0], 1);
    // What was just sent counts, and the conversation counts more.
    assert_eq!(ranking(&mut spread, 8)[0], 2);
    spread.observe(Change::Replica(replica(1, 7, 8)));
    assert_eq!(ranking(&mut spread, 7)[0], 1);
    spread.observe(Change::Replica(replica(1, 8, 8)));
    assert_eq!(ranking(&mut spread, 7)[0], 2);
    spread.observe(Change::ReplicaGone(2));
    assert_eq!(ranking(&mut spread, 7), [1]);
}

#[test]
fn requests_between_two_reports_are_spread() {
    let mut spread = told(&[], &[replica(1, 0, 8), replica(2, 0, 8), replica(3, 0, 8)]);
    let mut counts = [0; 4];
    for _ in 0..300 {
        counts[ranking(&mut spread, 0)[0] as usize] += 1;
    }
    assert!(
        counts[1..].iter().all(|count| (95..=105).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn what_cannot_serve_is_passed_over_with_its_reason() {
    let mut nodes: Vec<_> = (1..=5).map(|id| node(&format!("n{id}"), 100)).collect();
    nodes[0].health = Health::Lost;
    nodes[1].draining = true;
    nodes[2].devices[0].health = Health::Lost;
    nodes[3].health = Health::Degraded;
    let mut replicas: Vec<_> = (1..=6).map(|id| replica(id, 0, 8)).collect();
    replicas[4].running = 7;
    replicas[5].state = ReplicaState::Starting;
    let choice = told(&nodes, &replicas).route(request(0)).unwrap();
    let ranked: Vec<_> = choice.ranked.iter().map(|one| one.replica).collect();
    assert_eq!(ranked, [5, 4], "the degraded one comes last, however empty");
    assert!(choice.ranked[1].why.contains("degraded"), "{choice:?}");
    let passed: Vec<_> = choice.passed_over.iter().map(|one| &*one.why).collect();
    assert_eq!(
        passed,
        [
            "its node `n1` is lost",
            "its node `n2` is draining",
            "its device `cpu` is lost",
            "replica 6 is starting",
        ]
    );
    let none = told(&nodes[..1], &replicas[..1])
        .route(request(0))
        .unwrap_err();
    assert!(
        matches!(&none, Refusal::Busy(why) if why.contains("`n1` is lost")),
        "{none:?}"
    );
    assert!(matches!(
        told(&[], &[]).route(request(0)),
        Err(Refusal::Unknown(_))
    ));
}

#[test]
fn answers_are_bounded() {
    let many: Vec<_> = (0..100).map(|id| replica(id, id as u32 % 8, 8)).collect();
    assert_eq!(told(&[], &many).route(request(0)).unwrap().ranked.len(), 8);
    let nodes: Vec<_> = (0..100).map(|id| node(&format!("n{id:03}"), 100)).collect();
    assert_eq!(told(&nodes, &[]).place(job(1)).unwrap().ranked.len(), 8);
}

#[test]
fn the_most_room_comes_first() {
    check_places(&[node("a", 100), node("b", 200)], job(50), Ok(&["b", "a"]));
    check_places(&[node("a", 200), node("b", 200)], job(50), Ok(&["a", "b"]));
    check_places(&[node("a", 100)], job(500), Err("busy"));
    check_places(&[node("a", 100)], job(5000), Err("impossible"));
    check_places(&[], job(1), Err("impossible"));
    let mut holder = node("a", 100);
    holder.models.push("d".into());
    check_places(&[holder.clone(), node("b", 900)], job(50), Ok(&["a", "b"]));
    let mut accelerated = node("b", 900);
    accelerated.devices.push(device("nvidia", 60));
    check_places(&[holder, accelerated], job(50), Ok(&["b", "a", "b"]));
}

#[test]
fn the_sick_are_shunned() {
    let sick = |change: fn(&mut Node)| {
        let mut node = node("a", 900);
        change(&mut node);
        node
    };
    let lost = sick(|node| node.health = Health::Lost);
    check_places(&[lost, node("b", 100)], job(50), Ok(&["b"]));
    let draining = sick(|node| node.draining = true);
    check_places(&[draining], job(50), Err("impossible"));
    let degraded = sick(|node| node.health = Health::Degraded);
    check_places(&[degraded, node("b", 100)], job(50), Ok(&["b", "a"]));
    let card = sick(|node| node.devices[0].health = Health::Lost);
    check_places(&[card, node("b", 100)], job(50), Ok(&["b"]));
}

#[test]
fn labels_and_pins_are_obeyed() {
    let mut labelled = node("b", 100);
    labelled.labels.push(("room".into(), "cellar".into()));
    let mut wanting = job(50);
    wanting.require.push(("room".into(), "cellar".into()));
    check_places(&[node("a", 900), labelled], wanting.clone(), Ok(&["b"]));
    let refusal = told(&[node("a", 900)], &[]).place(wanting).unwrap_err();
    assert!(
        matches!(&refusal, Refusal::Impossible(why) if why.contains("`a` lacks the label `room=cellar`")),
        "{refusal:?}"
    );
    let mut pinned = job(50);
    pinned.devices.push("GPU-1".into());
    check_places(&[node("a", 900)], pinned.clone(), Err("impossible"));
    let mut carded = node("b", 100);
    carded.devices.push(Device {
        id: "GPU-1".into(),
        ..device("nvidia", 60)
    });
    let placement = told(&[node("a", 900), carded], &[]).place(pinned).unwrap();
    assert_eq!(placement.ranked[0].devices, ["GPU-1"]);
    assert_eq!(placement.ranked.len(), 1);
}

/// The same calls give the same answers, however often; nodes and replicas that come and go leave nothing behind.
#[test]
fn it_is_a_function_of_the_calls() {
    let run = || {
        let mut spread = Spread::default();
        let mut seed = 1_u64;
        let mut draw = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        let mut said = String::new();
        for _ in 0..3_000 {
            let id = draw(40);
            match draw(7) {
                0 => spread.observe(Change::Node(node(&format!("n{id}"), draw(900)))),
                1 => spread.observe(Change::NodeGone(format!("n{id}"))),
                2 | 3 => spread.observe(Change::Replica(replica(id, draw(12) as u32, 8))),
                4 => spread.observe(Change::ReplicaGone(id)),
                5 => said += &format!("{:?}", spread.route(request(draw(20)))),
                _ => said += &format!("{:?}", spread.place(job(draw(900)))),
            }
        }
        said
    };
    assert_eq!(run(), run());
}
