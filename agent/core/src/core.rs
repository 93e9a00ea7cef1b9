//! One node's decisions: takes what happened, gives what is to be done.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{KeyId, ReplicaId, RequestId};
use crate::input::{Arrival, Input, Outcome, Usage};
use crate::limits::{BUSY_RETRY, LOADING_RETRY};
use crate::model::{ModelState, ModelView, Models, Need, unreachable};
use crate::output::{Change, Output, Refusal};
use crate::registry::Registry;
use crate::request::{Counters, Phase, Requests};
use crate::time::{Time, TimerTable};

mod cluster;
mod evacuate;

/// What an operator may set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many requests may run at once.
    pub running_max: u32,
    /// How many may wait, for a slot or for their model.
    pub queued_max: u32,
    /// How many of one key may live at once.
    pub per_key_max: u32,
    /// How long a request may live.
    pub deadline: Duration,
    /// How long a request waits for its model.
    pub load_wait: Duration,
    /// After how long an idle model is unloaded; none: never.
    pub idle_unload: Option<Duration>,
    /// How many models may be loaded at once.
    pub loaded_max: usize,
}

/// The state machine of a node. See the crate's page for how to drive it.
#[derive(Debug)]
pub struct Core {
    settings: Settings,
    registry: Registry,
    models: Models,
    requests: Requests,
    timers: TimerTable<Timer>,
    outputs: VecDeque<Output>,
    draining: bool,
    /// Replicas that were told to leave a bad device and are not gone yet; each is in the registry.
    leaving: BTreeSet<ReplicaId>,
}

impl Core {
    /// A node that knows nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            models: Models::new(settings.loaded_max),
            settings,
            registry: Registry::default(),
            requests: Requests::default(),
            timers: TimerTable::default(),
            outputs: VecDeque::new(),
            draining: false,
            leaving: BTreeSet::new(),
        }
    }

    /// Takes in something that happened.
    pub fn handle(&mut self, now: Time, input: Input) {
        match input {
            Input::Arrived(arrival) => self.on_arrival(now, arrival),
            Input::Started { request, replica } => {
                // One that runs is moved when its replica is lost.
                let phase = self.requests.phase(request);
                if matches!(phase, Some(Phase::Admitted | Phase::Running(_))) {
                    self.requests.set_phase(request, Phase::Running(replica));
                }
            }
            Input::Settled {
                request,
                outcome,
                usage,
            } => self.on_settled(now, request, outcome, usage),
            Input::Catalogued(names) => self.models.catalogue(&names),
            Input::CataloguedAt(node, names) => self.models.catalogue_at(node, &names),
            Input::Needed(model) => self.on_needed(now, &model),
            Input::Serves(model) => self.on_serves(&model),
            Input::Served(model) => self.on_served(now, &model),
            Input::Wanted(model) => self.on_wanted(now, &model),
            Input::Unwanted(model) => self.on_unwanted(&model),
            Input::LoadFailed { model, why } => self.on_load_failed(now, &model, why),
            Input::Node(node) => self.on_node(now, node),
            Input::NodeGone(id) => {
                if self.registry.remove_node(&id) {
                    self.observe(Change::NodeGone(id));
                }
                self.on_node_gone(now, id);
            }
            Input::Replica(replica) => self.on_replica(now, replica),
            Input::ReplicaGone(id) => self.on_replica_gone(now, id),
            Input::Drain => self.on_drain(),
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(timer) = self.timers.expire(now) {
            match timer {
                Timer::Deadline(request) => self.on_deadline(now, request),
                Timer::Cold(request) => self.on_cold_too_long(now, request),
                Timer::Idle(model) => self.on_idle(now, &model),
            }
        }
    }

    /// When [`Core::handle_timeout`] is next worth calling.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What is known of nodes and replicas.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What is known of a model.
    #[must_use]
    pub fn model(&self, model: &str) -> Option<&ModelView> {
        self.models.get(model)
    }

    /// Every model, by name.
    pub fn models(&self) -> impl Iterator<Item = (&Arc<str>, &ModelView)> {
        self.models.iter()
    }

    /// Where a living request stands.
    #[must_use]
    pub fn phase(&self, request: RequestId) -> Option<Phase> {
        self.requests.phase(request)
    }

    /// Requests with a slot, and requests that wait.
    #[must_use]
    pub fn running_and_waiting(&self) -> (u32, u32) {
        (self.requests.running(), self.requests.waiting())
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        self.requests.counters()
    }

    /// What a key used since the start.
    #[must_use]
    pub fn used_by(&self, key: KeyId) -> Usage {
        self.requests.used_by(key)
    }

    /// Whether new requests are refused.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    fn on_arrival(&mut self, now: Time, arrival: Arrival) {
        self.requests.counters_mut().arrived += 1;
        let request = arrival.request;
        match self.admission(now, &arrival) {
            Ok(phase) => {
                self.timers
                    .set(Timer::Deadline(request), now.after(self.settings.deadline));
                if phase == Phase::Cold {
                    self.timers
                        .set(Timer::Cold(request), now.after(self.settings.load_wait));
                }
                self.timers.clear(&Timer::Idle(arrival.model.clone()));
                if let Some(view) = self.models.get_mut(&arrival.model) {
                    view.living += 1;
                    view.used = now;
                }
                self.requests.insert(arrival, phase);
                if phase == Phase::Admitted {
                    self.outputs.push_back(Output::Admit(request));
                }
            }
            Err(refusal) => {
                self.requests.counters_mut().refused += 1;
                self.outputs.push_back(Output::Refuse(request, refusal));
            }
        }
    }

    fn admission(&mut self, now: Time, arrival: &Arrival) -> Result<Phase, Refusal> {
        if self.draining {
            return Err(Refusal::Draining);
        }
        let limit = self.settings.per_key_max;
        if self.requests.of_key(arrival.key) >= limit {
            return Err(Refusal::KeyBusy {
                limit,
                retry: BUSY_RETRY,
            });
        }
        let full = self.requests.waiting() >= self.settings.queued_max;
        let busy = Refusal::Busy { retry: BUSY_RETRY };
        let ready = match self.models.get(&arrival.model) {
            None => return Err(unreachable(&arrival.model, &self.registry)),
            Some(view) => view.state == ModelState::Ready,
        };
        if ready {
            // Nobody overtakes those who wait already.
            let free = self.requests.running() < self.settings.running_max;
            return match (free, full) {
                (true, _) => Ok(Phase::Admitted),
                (false, true) => Err(busy),
                (false, false) => Ok(Phase::Queued),
            };
        }
        if full {
            return Err(busy);
        }
        self.fetch(now, &arrival.model).map(|()| Phase::Cold)
    }

    /// Sees to it that a model that is not ready comes.
    fn fetch(&mut self, now: Time, model: &Arc<str>) -> Result<(), Refusal> {
        match self.models.need(now, model, &self.registry) {
            Need::Nothing | Need::Wait => {}
            Need::Load => self.outputs.push_back(Output::Load(model.clone())),
            Need::LoadAt(nodes) => {
                let model = model.clone();
                self.outputs.push_back(Output::LoadAt { model, nodes });
            }
            Need::MakeRoom(replica) => self.outputs.push_back(Output::Unload(replica)),
            Need::Refuse(refusal) => return Err(refusal),
        }
        Ok(())
    }

    fn on_settled(&mut self, now: Time, request: RequestId, outcome: Outcome, usage: Usage) {
        let Some(gone) = self.leave(now, request) else {
            return;
        };
        self.requests.settle(gone, outcome, usage);
        self.fill_slots();
    }

    /// Takes a request out; returns its key.
    fn leave(&mut self, now: Time, request: RequestId) -> Option<KeyId> {
        let gone = self.requests.remove(request)?;
        self.timers.clear(&Timer::Deadline(request));
        if gone.phase == Phase::Cold {
            self.timers.clear(&Timer::Cold(request));
        }
        if let Some(view) = self.models.get_mut(&gone.model) {
            view.living = view.living.saturating_sub(1);
            view.used = now;
        }
        self.await_idleness(now, &gone.model);
        Some(gone.key)
    }

    fn await_idleness(&mut self, now: Time, model: &Arc<str>) {
        let Some(idle) = self.settings.idle_unload else {
            return;
        };
        let idle_now =
            |view: &ModelView| view.living == 0 && !view.kept && view.state == ModelState::Ready;
        if self.models.get(model).is_some_and(idle_now) {
            self.timers.set(Timer::Idle(model.clone()), now.after(idle));
        }
    }

    fn fill_slots(&mut self) {
        while let Some(request) = self.requests.next_for_slot(self.settings.running_max) {
            self.requests.set_phase(request, Phase::Admitted);
            self.outputs.push_back(Output::Admit(request));
        }
    }

    fn on_deadline(&mut self, now: Time, request: RequestId) {
        match self.requests.phase(request) {
            Some(Phase::Cold | Phase::Queued) => self.refuse(now, request, Refusal::TimedOut),
            Some(Phase::Admitted | Phase::Running(_)) => {
                self.outputs.push_back(Output::Expire(request));
            }
            None => {}
        }
    }

    fn on_cold_too_long(&mut self, now: Time, request: RequestId) {
        if self.requests.phase(request) != Some(Phase::Cold) {
            return;
        }
        let model = self.requests.model(request);
        let elapsed = match model.and_then(|model| self.models.get(&model).map(|v| v.state.clone()))
        {
            Some(ModelState::Loading { since } | ModelState::MakingRoom { since }) => {
                now.since(since)
            }
            _ => self.settings.load_wait,
        };
        let retry = LOADING_RETRY;
        self.refuse(now, request, Refusal::Loading { elapsed, retry });
    }
}

/// What the core waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A request has lived as long as it may.
    Deadline(RequestId),
    /// A request has waited for its model as long as it should.
    Cold(RequestId),
    /// A model may have been idle long enough.
    Idle(Arc<str>),
}

#[cfg(test)]
mod tests;
