//! The core's reactions to nodes, replicas and models that change.

use std::sync::Arc;

use super::{Core, Timer};
use crate::ids::{NodeId, ReplicaId, RequestId};
use crate::limits::LOAD_RETRY;
use crate::model::ModelState;
use crate::output::{Change, Output, Refusal};
use crate::registry::{Replica, ReplicaState};
use crate::request::Phase;
use crate::time::Time;

impl Core {
    pub(super) fn on_replica(&mut self, now: Time, mut replica: Replica) {
        if self.leaving.contains(&replica.id) {
            // Whatever its worker makes of its last moments.
            replica.state = ReplicaState::Draining;
        }
        if !self.registry.set_replica(&replica) {
            return;
        }
        let model = replica.model.clone();
        self.observe(Change::Replica(replica));
        self.follow(now, &model);
    }

    pub(super) fn on_replica_gone(&mut self, now: Time, id: ReplicaId) {
        let Some(replica) = self.registry.remove_replica(id) else {
            return;
        };
        self.leaving.remove(&id);
        self.observe(Change::ReplicaGone(id));
        self.follow(now, &replica.model);
    }

    pub(super) fn follow(&mut self, now: Time, model: &Arc<str>) {
        self.models.follow(now, model, &self.registry);
        match self.models.get(model).map(|view| view.state.clone()) {
            Some(ModelState::Ready) => {
                for request in self.requests.cold(model) {
                    self.timers.clear(&Timer::Cold(request));
                    self.requests.set_phase(request, Phase::Queued);
                }
                self.fill_slots();
                self.await_idleness(now, model);
            }
            Some(ModelState::Failed { why, until }) => {
                self.refuse_cold(
                    now,
                    model,
                    &Refusal::LoadFailed {
                        why,
                        retry: until.since(now),
                    },
                );
            }
            _ => {}
        }
        self.load_waiting(now);
    }

    pub(super) fn load_waiting(&mut self, now: Time) {
        while let Some(model) = self.models.next_to_load(now, &self.registry) {
            self.outputs.push_back(Output::Load(model));
        }
    }

    pub(super) fn on_load_failed(&mut self, now: Time, model: &Arc<str>, why: String) {
        self.models.fail(now, model, why.clone());
        let retry = LOAD_RETRY;
        self.refuse_cold(now, model, &Refusal::LoadFailed { why, retry });
        self.load_waiting(now);
    }

    fn refuse_cold(&mut self, now: Time, model: &str, refusal: &Refusal) {
        for request in self.requests.cold(model) {
            self.refuse(now, request, refusal.clone());
        }
    }

    pub(super) fn refuse(&mut self, now: Time, request: RequestId, refusal: Refusal) {
        if self.leave(now, request).is_some() {
            self.requests.counters_mut().refused += 1;
            self.outputs.push_back(Output::Refuse(request, refusal));
        }
    }

    pub(super) fn on_wanted(&mut self, now: Time, model: &Arc<str>) {
        if let Some(view) = self.models.get_mut(model) {
            view.kept = true;
            view.used = now;
            // An operator's word is worth an attempt before the wait is over.
            if matches!(view.state, ModelState::Failed { .. }) {
                view.state = ModelState::Absent;
            }
        }
        // A refusal shows as the model's state; nobody waits here.
        let _ = self.fetch(now, model);
    }

    pub(super) fn on_unwanted(&mut self, model: &str) {
        if let Some(view) = self.models.get_mut(model) {
            view.kept = false;
        }
        self.unload_here(model);
    }

    /// Another node wants a model to be ready here, for a request of its own.
    pub(super) fn on_needed(&mut self, now: Time, model: &Arc<str>) {
        if let Some(view) = self.models.get_mut(model) {
            view.used = now;
        }
        // A refusal shows as the model's state; nobody waits here.
        let _ = self.fetch(now, model);
    }

    /// A request of another node runs here: the model is in use.
    pub(super) fn on_serves(&mut self, model: &Arc<str>) {
        self.timers.clear(&Timer::Idle(model.clone()));
        if let Some(view) = self.models.get_mut(model) {
            view.living = view.living.saturating_add(1);
        }
    }

    /// A request of another node is over.
    pub(super) fn on_served(&mut self, now: Time, model: &Arc<str>) {
        if let Some(view) = self.models.get_mut(model) {
            view.living = view.living.saturating_sub(1);
            view.used = now;
        }
        self.await_idleness(now, model);
    }

    /// What was to be loaded on a node that is gone is looked for again.
    pub(super) fn on_node_gone(&mut self, now: Time, node: NodeId) {
        for model in self.models.node_gone(node, &self.registry) {
            if self.requests.cold(&model).is_empty() {
                continue;
            }
            if let Err(refusal) = self.fetch(now, &model) {
                self.refuse_cold(now, &model, &refusal);
            }
        }
    }

    fn unload_here(&mut self, model: &str) {
        let replicas: Vec<_> = self.registry.here(model).map(|r| r.id).collect();
        self.outputs
            .extend(replicas.into_iter().map(Output::Unload));
    }

    pub(super) fn on_idle(&mut self, now: Time, model: &Arc<str>) {
        let Some(idle) = self.settings.idle_unload else {
            return;
        };
        let Some(view) = self.models.get_mut(model) else {
            return;
        };
        if view.living > 0 || view.kept || view.state != ModelState::Ready {
            return;
        }
        if now.since(view.used) < idle {
            self.await_idleness(now, model);
            return;
        }
        // What other nodes and upstreams answer for is not this node's to unload.
        if self.registry.here(model).next().is_none() {
            return;
        }
        let elsewhere = self
            .registry
            .of_model(model)
            .any(|replica| !self.registry.is_here(replica));
        if !elsewhere {
            view.state = ModelState::Unloading;
        }
        self.unload_here(model);
    }

    pub(super) fn on_drain(&mut self) {
        self.draining = true;
        let home = self.registry.home();
        let nodes = self.registry.nodes().filter(|node| Some(node.id) == home);
        let nodes: Vec<_> = nodes.cloned().collect();
        for mut node in nodes {
            node.draining = true;
            if self.registry.set_node(&node) {
                self.observe(Change::Node(node));
            }
        }
    }

    pub(super) fn observe(&mut self, change: Change) {
        self.outputs.push_back(Output::Observe(change));
    }
}
