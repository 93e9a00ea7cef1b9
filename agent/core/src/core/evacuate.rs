//! What follows when a device of this node goes bad, or comes back.
//!
//! Decides which replicas have to leave: all of a lost device's; those of a degraded one only where
//! another healthy device of its kind could take them, since to unload a model and load it at the
//! same place again helps nobody. Decides once, when the device gets worse: who is placed on a bad
//! device after that was placed there knowingly. Refuses to decide where anything goes; the
//! scheduler is asked when the model is loaded again.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use crate::ids::{NodeId, ReplicaId};
use crate::limits::{DEGRADED_GRACE, LOST_GRACE};
use crate::output::{Change, Output};
use crate::registry::{Device, Health, Node, ReplicaState};
use crate::time::Time;

impl Core {
    pub(super) fn on_node(&mut self, now: Time, mut node: Node) {
        // Whoever looked at it before it was told to stop does not take that back.
        node.draining |= self.draining && self.registry.home() == Some(node.id);
        let before = self.registry.node(&node.id).cloned();
        if !self.registry.set_node(&node) {
            return;
        }
        self.observe(Change::Node(node.clone()));
        let Some(home) = self.registry.home() else {
            return;
        };
        let Some(before) = before.filter(|_| node.id == home) else {
            return;
        };
        for bad in worsened(&before, &node) {
            self.leave_device(now, home, &bad);
        }
        if recovered(&before, &node) {
            for model in self.models.kept_and_failed() {
                // A refusal shows as the model's state; nobody waits here.
                let _ = self.fetch(now, &model);
            }
        }
    }

    fn leave_device(&mut self, now: Time, home: NodeId, bad: &Device) {
        let (grace, why) = match &bad.health {
            Health::Healthy => return,
            Health::Degraded(_) if !self.has_refuge(bad) => return,
            Health::Degraded(why) => (DEGRADED_GRACE, format!("`{}` is degraded: {why}", bad.id)),
            Health::Lost(why) => (LOST_GRACE, format!("`{}` is lost: {why}", bad.id)),
        };
        let there: Vec<(ReplicaId, Arc<str>)> = self
            .registry
            .replicas()
            .filter(|replica| replica.node == home && replica.state != ReplicaState::Draining)
            .filter(|replica| replica.devices.iter().any(|id| **id == *bad.id))
            .map(|replica| (replica.id, replica.model.clone()))
            .collect();
        for (replica, model) in there {
            // What is no longer on disk could not be loaded again; a slow answer is better than none.
            let lost = matches!(bad.health, Health::Lost(_));
            if lost || self.models.get(&model).is_some_and(|view| view.on_disk) {
                self.evacuate(now, replica, &model, grace, why.clone());
            }
        }
    }

    fn evacuate(
        &mut self,
        now: Time,
        id: ReplicaId,
        model: &Arc<str>,
        grace: Duration,
        why: String,
    ) {
        let Some(replica) = self
            .registry
            .replicas()
            .find(|known| known.id == id)
            .cloned()
        else {
            return;
        };
        self.leaving.insert(id);
        self.outputs.push_back(Output::Evacuate {
            replica: id,
            grace,
            why,
        });
        let others = self.registry.of_model(model).any(|other| other.id != id);
        if !others {
            self.models.move_out(now, model);
        }
        // From now on, so that no request is sent there.
        self.on_replica(now, replica);
    }

    /// Whether a healthy device of the same kind could take what leaves.
    fn has_refuge(&self, bad: &Device) -> bool {
        let nodes = self.registry.nodes();
        nodes
            .filter(|node| !node.draining && !matches!(node.health, Health::Lost(_)))
            .flat_map(|node| &node.devices)
            .any(|device| device.kind == bad.kind && device.health == Health::Healthy)
    }
}

/// The devices that are worse than they were, and those that are no more.
fn worsened(before: &Node, now: &Node) -> Vec<Device> {
    let of = |id: &str| now.devices.iter().find(|device| device.id == id);
    let mut worse = Vec::new();
    for known in &before.devices {
        match of(&known.id) {
            Some(device) if device.health.is_worse_than(&known.health) => {
                worse.push(device.clone());
            }
            Some(_) => {}
            None => worse.push(Device {
                health: Health::Lost("it is no longer there".into()),
                ..known.clone()
            }),
        }
    }
    worse
}

/// Whether any device is healthy that was not, or is new.
fn recovered(before: &Node, now: &Node) -> bool {
    now.devices.iter().any(|device| {
        let known = before.devices.iter().find(|known| known.id == device.id);
        device.health == Health::Healthy
            && known.is_none_or(|known| known.health != Health::Healthy)
    })
}
