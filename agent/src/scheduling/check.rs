//! Whether an answer can be meant: it names what exists, is eligible, and nothing twice.
//!
//! Decides what is nonsense. Refuses to know what would be better.

use crate::host::Known;
use crate::host::scheduler::{
    Choice, Health, Job, Node, Placement, Refusal, Replica, ReplicaState, Request,
};

/// What is wrong with an answer, for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Nonsense(String);

/// Checks the answer to a request.
///
/// # Errors
/// What is wrong with it.
pub(super) fn choice(known: &Known, request: &Request, choice: &Choice) -> Result<(), Nonsense> {
    if choice.ranked.is_empty() {
        return Err(Nonsense("it ranked no replica and refused nothing".into()));
    }
    for (at, candidate) in choice.ranked.iter().enumerate() {
        let id = candidate.replica;
        let before = choice.ranked.iter().take(at);
        if before.clone().any(|other| other.replica == id) {
            return Err(Nonsense(format!("it ranked replica {id} twice")));
        }
        let Some(replica) = known.replica(id) else {
            return Err(Nonsense(format!(
                "it ranked replica {id}, which does not exist"
            )));
        };
        if replica.model != request.model {
            return Err(Nonsense(format!(
                "it ranked replica {id}, which serves `{}` and not `{}`",
                replica.model, request.model
            )));
        }
        if let Some(fault) = replica_fault(replica, known.node(&replica.node)) {
            return Err(Nonsense(format!("it ranked replica {id}: {fault}")));
        }
    }
    Ok(())
}

/// Checks a refusal of a request: a policy may hold requests back, but not deny what stands before it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn refusal(known: &Known, request: &Request, refusal: &Refusal) -> Result<(), Nonsense> {
    let said = match refusal {
        Refusal::Busy(_) => return Ok(()),
        Refusal::Impossible(_) => "impossible",
        Refusal::Unknown(_) => "unknown",
    };
    let ready = known
        .of_model(&request.model)
        .find(|replica| replica_fault(replica, known.node(&replica.node)).is_none());
    match ready {
        None => Ok(()),
        Some(replica) => Err(Nonsense(format!(
            "it called `{}` {said}, and replica {} is ready",
            request.model, replica.id
        ))),
    }
}

/// Checks the answer to a model that needs a place.
///
/// # Errors
/// What is wrong with it.
pub(super) fn placement(known: &Known, job: &Job, placement: &Placement) -> Result<(), Nonsense> {
    if placement.ranked.is_empty() {
        return Err(Nonsense("it ranked no place and refused nothing".into()));
    }
    for (at, spot) in placement.ranked.iter().enumerate() {
        let mut before = placement.ranked.iter().take(at);
        if before.any(|other| other.node == spot.node && other.devices == spot.devices) {
            return Err(Nonsense(format!(
                "it ranked a place on `{}` twice",
                spot.node
            )));
        }
        let Some(node) = known.node(&spot.node) else {
            return Err(Nonsense("it ranked a node that does not exist".into()));
        };
        if let Some(fault) = node_fault(node).or_else(|| unfit(node, job)) {
            return Err(Nonsense(format!("it ranked a node: {fault}")));
        }
        if spot.devices.is_empty() {
            return Err(Nonsense(format!(
                "it ranked `{}` without a device",
                node.name
            )));
        }
        for id in &spot.devices {
            let device = node.devices.iter().find(|device| device.id == *id);
            let fault = match device {
                None => "the node lacks",
                Some(device) if device.health == Health::Lost => "is lost",
                Some(_) if !job.devices.is_empty() && !job.devices.contains(id) => {
                    "the model is not pinned to"
                }
                Some(_) => continue,
            };
            return Err(Nonsense(format!(
                "it ranked a device on `{}` that {fault}",
                node.name
            )));
        }
    }
    Ok(())
}

/// Why a replica may not serve; its node where that is known.
pub(super) fn replica_fault(replica: &Replica, node: Option<&Node>) -> Option<String> {
    let state = match replica.state {
        ReplicaState::Ready => None,
        ReplicaState::Starting => Some("is starting"),
        ReplicaState::Draining => Some("is draining"),
        ReplicaState::Failed => Some("has failed"),
    };
    if let Some(state) = state {
        return Some(format!("replica {} {state}", replica.id));
    }
    let node = node?;
    node_fault(node).or_else(|| {
        let lost = node
            .devices
            .iter()
            .find(|device| device.health == Health::Lost && replica.devices.contains(&device.id))?;
        Some(format!("its device `{}` is lost", lost.id))
    })
}

/// Why nothing new may go to a node.
pub(super) fn node_fault(node: &Node) -> Option<String> {
    if node.health == Health::Lost {
        return Some(format!("node `{}` is lost", node.name));
    }
    node.draining
        .then(|| format!("node `{}` is draining", node.name))
}

/// Why a model may not go to a node.
pub(super) fn unfit(node: &Node, job: &Job) -> Option<String> {
    let missing = job
        .require
        .iter()
        .find(|label| !node.labels.contains(label));
    missing.map(|(key, value)| format!("node `{}` lacks the label `{key}={value}`", node.name))
}
