//! Devices that go bad, and the replicas on them.

use super::*;
use crate::limits::{DEGRADED_GRACE, LOST_GRACE};
use crate::registry::{Device, Health};

/// Home, with a processor and these accelerators.
fn home(accelerators: &[(&str, Health)]) -> Input {
    let device = |id: &str, kind: &str, health: &Health| Device {
        id: id.into(),
        kind: kind.into(),
        health: health.clone(),
        memory_bytes: 80 << 30,
        memory_free_bytes: 80 << 30,
        bandwidth: 0,
    };
    let mut devices = vec![device("cpu", "cpu", &Health::Healthy)];
    devices.extend(accelerators.iter().map(|(id, h)| device(id, "nvidia", h)));
    Input::Node(Node {
        id: NodeId([1; 16]),
        name: "home".into(),
        health: Health::Healthy,
        draining: false,
        labels: std::collections::BTreeMap::new(),
        devices,
    })
}

fn on(id: u64, device: &str, state: ReplicaState) -> Input {
    let Input::Replica(known) = replica(id, "a", state) else {
        unreachable!()
    };
    Input::Replica(Replica {
        devices: vec![device.into()],
        ..known
    })
}

fn evacuate(replica: u64, grace: Duration, why: &str) -> Output {
    Output::Evacuate {
        replica: ReplicaId(replica),
        grace,
        why: why.into(),
    }
}

const WELL: Health = Health::Healthy;

fn hot() -> Health {
    Health::Degraded("slowed by heat".into())
}

fn gone() -> Health {
    Health::Lost("fell off the bus".into())
}

/// Model `a` ready as replica 1 on `g0`, beside `g1`.
fn two_accelerators() -> Play {
    let mut play = Play::new(settings());
    play.check(home(&[("g0", WELL), ("g1", WELL)]), &[]);
    play.check(Input::Wanted("a".into()), &[Output::Load("a".into())]);
    play.check(on(1, "g0", ReplicaState::Ready), &[]);
    play
}

#[test]
fn a_replica_on_a_lost_device_leaves_and_is_loaded_elsewhere() {
    let mut play = two_accelerators();
    play.check(arrive(1, 1, "a"), &[admit(1)]);
    let why = "`g0` is lost: fell off the bus";
    play.check(
        home(&[("g0", gone()), ("g1", WELL)]),
        &[evacuate(1, LOST_GRACE, why)],
    );
    // Who comes now waits for the move, whatever the old worker still says of itself.
    play.check(arrive(2, 1, "a"), &[]);
    play.check(on(1, "g0", ReplicaState::Ready), &[]);
    play.check(on(1, "g0", ReplicaState::Failed("died".into())), &[]);
    // The same verdict again moves nothing again.
    play.check(home(&[("g0", gone()), ("g1", hot())]), &[]);
    play.check(settled(1), &[]);
    play.check(
        Input::ReplicaGone(ReplicaId(1)),
        &[Output::Load("a".into())],
    );
    play.check(on(2, "g1", ReplicaState::Starting), &[]);
    play.check(on(2, "g1", ReplicaState::Ready), &[admit(2)]);
    assert!(play.core.leaving.is_empty());
}

#[test]
fn the_scheduler_hears_at_once_that_a_replica_leaves() {
    let mut play = two_accelerators();
    play.core.handle(play.now, home(&[("g0", gone())]));
    let told: Vec<_> = std::iter::from_fn(|| play.core.poll_output()).collect();
    let draining = told.iter().any(|output| {
        matches!(output, Output::Observe(Change::Replica(r)) if r.state == ReplicaState::Draining)
    });
    assert!(draining, "{told:?}");
}

#[test]
fn a_degraded_device_is_left_only_for_a_healthy_one_of_its_kind() {
    let mut play = two_accelerators();
    let why = "`g0` is degraded: slowed by heat";
    play.check(
        home(&[("g0", hot()), ("g1", WELL)]),
        &[evacuate(1, DEGRADED_GRACE, why)],
    );
    play.check(
        Input::ReplicaGone(ReplicaId(1)),
        &[Output::Load("a".into())],
    );
    play.check(on(2, "g1", ReplicaState::Ready), &[]);
    // A processor is no refuge from a hot accelerator.
    play.check(home(&[("g0", hot()), ("g1", hot())]), &[]);
    // From degraded to lost is worse, so it leaves after all.
    let why = "`g1` is lost: fell off the bus";
    play.check(
        home(&[("g0", hot()), ("g1", gone())]),
        &[evacuate(2, LOST_GRACE, why)],
    );
}

#[test]
fn a_device_that_is_no_longer_told_of_is_lost() {
    let mut play = two_accelerators();
    let why = "`g0` is lost: it is no longer there";
    play.check(home(&[("g1", WELL)]), &[evacuate(1, LOST_GRACE, why)]);
}

#[test]
fn a_new_cause_of_the_same_weight_moves_nothing() {
    let mut play = two_accelerators();
    play.check(home(&[("g0", hot()), ("g1", hot())]), &[]);
    let brake = Health::Degraded("power brake".into());
    play.check(home(&[("g0", brake), ("g1", WELL)]), &[]);
}

#[test]
fn what_runs_on_other_nodes_is_not_ours_to_move() {
    let mut play = two_accelerators();
    let Input::Node(mut other) = home(&[("g0", WELL)]) else {
        unreachable!()
    };
    other.id = NodeId([2; 16]);
    play.check(Input::Node(other.clone()), &[]);
    other.devices.truncate(1);
    play.check(Input::Node(other), &[]);
}

#[test]
fn a_kept_model_without_a_place_is_loaded_once_its_device_is_back() {
    let mut play = two_accelerators();
    let lost = home(&[("g0", gone())]);
    let why = "`g0` is lost: fell off the bus";
    play.check(lost, &[evacuate(1, LOST_GRACE, why)]);
    play.check(
        Input::ReplicaGone(ReplicaId(1)),
        &[Output::Load("a".into())],
    );
    let failed = Input::LoadFailed {
        model: "a".into(),
        why: "no device".into(),
    };
    play.check(failed, &[]);
    play.check(home(&[("g0", WELL)]), &[Output::Load("a".into())]);
}
