//! A scheduler that goes astray costs no request its answer: the built-in rule decides, and after three failures the policy
//! before it does.

use skep::fleet::{Component, Plugin};
use skep::host::scheduler::{
    Change, Device, Health, Job, Node, Refusal, Replica, ReplicaState, Request,
};
use skep::scheduling::{Chosen, Decision, Policies, Policy, Source, Standing};

use crate::bench::{Bench, guest};

fn request(model: &str) -> Request {
    Request {
        model: model.to_owned(),
        prompt_bytes: 10,
        max_tokens: 10,
        affinity: 0,
        priority: 0,
    }
}

fn job(model: &str) -> Job {
    Job {
        model: model.to_owned(),
        digest: String::new(),
        memory_bytes: 1 << 20,
        require: Vec::new(),
        devices: Vec::new(),
    }
}

fn node(id: &str) -> Node {
    Node {
        id: id.to_owned(),
        name: format!("the {id}"),
        health: Health::Healthy,
        draining: false,
        labels: Vec::new(),
        devices: vec![Device {
            id: "cpu".to_owned(),
            kind: "cpu".to_owned(),
            health: Health::Healthy,
            memory_bytes: 1 << 30,
            memory_free_bytes: 1 << 30,
            bandwidth: 0,
        }],
        models: Vec::new(),
    }
}

/// A ready replica of a model; the guest `astray` takes the model's name for what to do.
fn replica(id: u64, model: &str, running: u32) -> Change {
    Change::Replica(Replica {
        id,
        model: model.to_owned(),
        node: "node".to_owned(),
        devices: vec!["cpu".to_owned()],
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

async fn astray(bench: &Bench) -> Policy {
    let path = guest("astray");
    let plugin = Plugin {
        name: "astray".to_owned(),
        component: Component::Path(path.clone()),
    };
    Policy::new(
        Source::File(path),
        bench.fleet.scheduler(&plugin).await.unwrap(),
    )
}

fn first<T>(decision: &Decision<T>) -> &T {
    decision.answer.as_ref().ok().unwrap()
}

fn standing(policies: &Policies, name: &str) -> (Standing, u64) {
    let rows = policies.overview().policies;
    let row = rows.iter().find(|row| &*row.0 == name).unwrap();
    (row.1, row.3.failures)
}

/// Every way to go wrong is contained and named, and the request has an answer from the built-in rule.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_vice_of_a_scheduler_is_contained() {
    let bench = Bench::new();
    for (vice, cause) in [
        ("loop", "used more than 20180000 units of work in `route`"),
        ("fill", "used more than 20180000 units of work in `route`"),
        ("grow", "reached its memory limit of 64 MiB in `route`"),
        ("panic", "trapped in `route`"),
        ("talk", "`route`"),
        ("empty", "nonsense: it ranked no replica"),
        (
            "unknown",
            "nonsense: it ranked replica 4711, which does not exist",
        ),
        (
            "deny",
            "nonsense: it called `deny` unknown, and replica 7 is ready",
        ),
        ("twice", "nonsense: it ranked replica 7 twice"),
        ("flood", "trapped in `route`: too much data"),
        (
            "draining",
            "nonsense: it ranked replica 7: replica 7 is draining",
        ),
    ] {
        let policies = Policies::new(astray(&bench).await);
        policies.observe(Change::Node(node("node")));
        let mut sick = replica(7, vice, 5);
        if let (Change::Replica(replica), "draining") = (&mut sick, vice) {
            replica.state = ReplicaState::Draining;
        }
        policies.observe(sick);
        policies.observe(replica(8, vice, 0));
        let decision = policies.route(&request(vice));
        let fault = decision.fault.as_deref().unwrap_or_default();
        assert!(fault.contains(cause), "{vice}: {decision:?}");
        assert_eq!(&*decision.by, "built-in", "{vice}");
        // The request never suffers.
        assert_eq!(first(&decision).ranked[0].replica, 8, "{vice}");
        assert!(
            decision.took.as_millis() < 2_000,
            "{vice}: {:?}",
            decision.took
        );
        assert_eq!(
            standing(&policies, "astray.wasm"),
            (Standing::Active, 1),
            "{vice}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_scheduler_knows_what_the_one_before_it_was_told() {
    let bench = Bench::new();
    let policies = Policies::new(astray(&bench).await);
    for id in [7, 8] {
        policies.observe(replica(id, "panic", 0));
    }
    policies.observe(replica(9, "panic", 0));
    assert!(policies.route(&request("panic")).fault.is_some());
    policies.observe(replica(10, "panic", 0));
    // It holds back with words that would colour a terminal, which a scheduler may, in words that do not.
    let decision = policies.route(&request("babble"));
    assert_eq!(&*decision.by, "astray.wasm");
    let refusal = decision.answer.unwrap_err();
    assert!(matches!(refusal, Refusal::Busy(_)), "{refusal:?}");
    assert_eq!(Chosen::words(&refusal), r"\u{1b}[2J\u{a}");
    // Asked for what it has no vice for, it ranks all that it was told of, which is one model's here.
    for id in 7..=10 {
        policies.observe(replica(id, "model", 0));
    }
    assert!(policies.route(&request("panic")).fault.is_some());
    let decision = policies.route(&request("model"));
    assert_eq!(decision.fault, None);
    let ranked: Vec<_> = first(&decision)
        .ranked
        .iter()
        .map(|one| one.replica)
        .collect();
    assert_eq!(ranked, [7, 8, 9, 10]);
    assert_eq!(first(&decision).why, "the first of 4");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_failures_bring_back_the_policy_before() {
    let bench = Bench::new();
    let policies = Policies::new(Policy::built_in());
    policies.observe(Change::Node(node("node")));
    policies.observe(replica(1, "panic", 0));
    policies.put_in_charge(astray(&bench).await);
    for failures in 1..=3 {
        assert!(policies.overview().rolled_back.is_none());
        let decision = policies.route(&request("panic"));
        assert!(decision.fault.is_some());
        assert_eq!(first(&decision).ranked[0].replica, 1);
        assert_eq!(standing(&policies, "astray.wasm").1, failures);
    }
    let overview = policies.overview();
    let back = overview.rolled_back.unwrap();
    assert_eq!((&*back.from, &*back.to), ("astray.wasm", "built-in"));
    assert!(back.why.contains("trapped in `route`"), "{}", back.why);
    assert_eq!(overview.rollbacks, 1);
    assert_eq!(standing(&policies, "astray.wasm"), (Standing::Retired, 3));
    let decision = policies.route(&request("panic"));
    assert_eq!((decision.fault, &*decision.by), (None, "built-in"));

    // One that is the only one there ever was makes room for the built-in rule.
    let alone = Policies::new(astray(&bench).await);
    alone.observe(replica(1, "panic", 0));
    for _ in 0..3 {
        assert!(alone.route(&request("panic")).fault.is_some());
    }
    assert_eq!(standing(&alone, "built-in").0, Standing::Active);
}

/// Each fact takes less than a call may, and all together take too long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_learns_too_slowly_is_not_used() {
    let bench = Bench::new();
    let mut known = skep::host::Known::default();
    for id in 0..40_000 {
        known.take_in(&Change::Node(Node {
            name: "slow".to_owned(),
            ..node(&format!("node-{id}"))
        }));
    }
    let started = std::time::Instant::now();
    let error = astray(&bench).await.try_out(&known).unwrap_err();
    assert!(
        error.contains("ran longer than 1 s in `observe`"),
        "{error}"
    );
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_that_cannot_be_are_nonsense() {
    let bench = Bench::new();
    for (vice, cause) in [
        ("unknown", "a node that does not exist"),
        ("no-device", "a device on `the a` that the node lacks"),
        ("empty", "it ranked no place"),
        ("every", "node `the b` is draining"),
    ] {
        let policies = Policies::new(astray(&bench).await);
        policies.observe(Change::Node(node("a")));
        policies.observe(Change::Node(Node {
            draining: true,
            ..node("b")
        }));
        let decision = policies.place(&job(vice));
        let fault = decision.fault.as_deref().unwrap_or_default();
        assert!(fault.contains(cause), "{vice}: {decision:?}");
        assert_eq!(first(&decision).ranked[0].node, "a", "{vice}");
    }
    // A refusal is a policy's right.
    let policies = Policies::new(astray(&bench).await);
    policies.observe(Change::Node(node("a")));
    let decision = policies.place(&job("model"));
    assert_eq!(decision.fault, None);
    assert!(matches!(decision.answer, Err(Refusal::Impossible(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shadow_hears_everything_and_decides_nothing() {
    let bench = Bench::new();
    let policies = Policies::new(Policy::built_in());
    for id in 1..=3 {
        policies.observe(replica(id, "flip", 0));
    }
    policies.put_in_shadow(Some(astray(&bench).await)).unwrap();
    for _ in 0..30 {
        let decision = policies.route(&request("flip"));
        assert_eq!(
            (&*decision.by, first(&decision).ranked[0].replica),
            ("built-in", 1)
        );
    }
    let shadow = until(&policies, |shadow| shadow.agreed + shadow.differed >= 30).await;
    // It turns once with each call: every third first is the same.
    assert_eq!(
        (shadow.agreed, shadow.differed, shadow.dropped),
        (10, 20, 0)
    );
    let differences = policies.differences();
    assert_eq!(differences.len(), 20);
    let newest = differences.first().unwrap();
    assert_eq!(
        (newest.number, &*newest.by, newest.live.replica),
        (20, "built-in", Some(1))
    );
    assert_ne!(newest.shadow.replica, Some(1));

    // The ring is bounded, and one that fails is asked three times and no more.
    for _ in 0..200 {
        let _ = policies.route(&request("flip"));
    }
    until(&policies, |shadow| shadow.agreed + shadow.differed >= 230).await;
    assert_eq!(policies.differences().len(), 64);
    policies.observe(replica(4, "panic", 0));
    for _ in 0..5 {
        assert_eq!(policies.route(&request("panic")).fault, None);
    }
    let shadow = until(&policies, |shadow| shadow.ended.is_some()).await;
    assert_eq!(shadow.failures, 3);
    policies.put_in_shadow(None).unwrap();
    assert!(policies.overview().shadow.is_none());
    assert!(policies.differences().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_shadow_holds_nobody_up_and_catches_up() {
    let bench = Bench::new();
    let policies = Policies::new(Policy::built_in());
    policies.observe(replica(1, "loop", 0));
    policies.put_in_shadow(Some(astray(&bench).await)).unwrap();
    let started = std::time::Instant::now();
    // The first keeps it busy for as long as its fuel lasts; the rest fill its queue.
    for _ in 0..2 {
        let _ = policies.route(&request("loop"));
    }
    for id in 0..5_000 {
        policies.observe(replica(id, "flip", 0));
    }
    policies.observe(replica(5_000, "late", 0));
    assert!(
        started.elapsed().as_millis() < 1_500,
        "{:?}",
        started.elapsed()
    );
    let shadow = until(&policies, |shadow| shadow.failures == 2).await;
    assert!(shadow.dropped > 0, "{shadow:?}");
    // It is told all of it again, and so it knows of what it was too busy to hear.
    let agreed = async {
        while policies.overview().shadow.unwrap().agreed == 0 {
            let decision = policies.route(&request("late"));
            assert_eq!(first(&decision).ranked[0].replica, 5_000);
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::bench::PATIENCE, agreed)
        .await
        .unwrap();
    assert_eq!(policies.overview().shadow.unwrap().failures, 2);
}

async fn until(
    policies: &Policies,
    is_it: impl Fn(&skep::scheduling::ShadowOverview) -> bool,
) -> skep::scheduling::ShadowOverview {
    let wait = async {
        loop {
            let shadow = policies.overview().shadow.unwrap();
            if is_it(&shadow) {
                return shadow;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::bench::PATIENCE, wait)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_of_another_world_is_no_scheduler() {
    let bench = Bench::new();
    let plugin = Plugin {
        name: "echo".to_owned(),
        component: Component::Path(guest("echo")),
    };
    let error = bench.fleet.scheduler(&plugin).await.unwrap_err();
    assert!(
        error.contains("a plugin of the world `engine` and not of `scheduler`"),
        "{error}"
    );
}
