//! The way of a request through this node: admitted by the core, sent where the scheduler says,
//! run by the fleet, settled by the core.
//!
//! Decides nothing of that itself; it carries questions to those who do, and does what the core
//! wants done. Refuses to know HTTP and what a request asks.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use skep_core::{Arrival, Core, Counters, Input, KeyId, Output, Refusal, RequestId, Time};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::fleet::Fleet;
use crate::host::scheduler;
use crate::models::Catalogue;
use crate::scheduling::Policies;

mod elsewhere;
mod facts;
mod job;
mod latency;
mod models;
mod offered;
mod parts;
mod placing;
mod progress;
mod replay;
mod send;
mod slot;
mod task;
mod trace;
mod trial;

pub use self::elsewhere::{Elsewhere, FIRST_ELSEWHERE, Lent, Own};
pub use self::facts::ModelFacts;
pub use self::job::{Job, Step};
pub use self::models::{ModelStanding, ModelStatus};
pub use self::offered::{FIRST_OFFERED, Offered, Offers};
pub use self::parts::Parts;
pub use self::replay::MoveCounts;
pub use self::send::{NoPlace, RouteError, Shape};
pub use self::slot::Slot;
pub use self::trace::{Considered, Move, Outcome as TracedOutcome, Trace, Traces};

/// How requests find their replica; clones are one.
#[derive(Clone, Debug)]
pub struct Router {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Where its work is done, whoever calls.
    runtime: Handle,
    state: Mutex<State>,
    policies: Policies,
    fleet: Fleet,
    catalogue: Arc<Catalogue>,
    node: skep_core::NodeId,
    opening: crate::protocol::Settings,
    drafts: BTreeMap<String, String>,
    engines: BTreeMap<String, String>,
    threads: Option<u32>,
    computes_on: crate::protocol::ComputesOn,
    devices: Vec<String>,
    /// What the card that models compute on is called now, if they do.
    card: Mutex<Option<String>>,
    loaded_max: usize,
    started: Instant,
    /// Rung when the core wants to be woken earlier than the timer task knows.
    earlier: Notify,
    /// Rung after each look at this node.
    looked: Notify,
    facts: facts::Facts,
    traces: Traces,
    moves: replay::Moves,
    /// How other nodes are reached; none without a cluster.
    elsewhere: Mutex<Option<Arc<dyn Elsewhere>>>,
    /// What upstreams of this node answer for; none without any.
    offers: Mutex<Option<Arc<dyn Offers>>>,
    latencies: latency::Latencies,
    /// Held while the replicas of this node are looked at and told of.
    looking: Mutex<()>,
}

#[derive(Debug)]
struct State {
    core: Core,
    tickets: HashMap<RequestId, Arc<slot::Ticket>>,
    last: u64,
    /// When the timer task will wake; none: never.
    wakes: Option<Time>,
}

impl Router {
    /// Makes the router and starts its two tasks: one follows the fleet, one keeps the core's time.
    #[must_use]
    pub fn start(parts: Parts) -> Self {
        let loaded_max = parts.core.loaded_max;
        let router = Self {
            shared: Arc::new(Shared {
                runtime: Handle::current(),
                state: Mutex::new(State {
                    core: Core::new(parts.core),
                    tickets: HashMap::new(),
                    last: 0,
                    wakes: None,
                }),
                policies: parts.policies,
                fleet: parts.fleet,
                catalogue: parts.catalogue,
                node: parts.node.id,
                loaded_max,
                opening: parts.opening,
                drafts: parts.drafts,
                engines: parts.engines,
                threads: parts.threads,
                computes_on: parts.computes_on,
                devices: parts.devices,
                card: Mutex::default(),
                started: Instant::now(),
                earlier: Notify::new(),
                looked: Notify::new(),
                facts: facts::Facts::default(),
                traces: Traces::default(),
                moves: replay::Moves::default(),
                elsewhere: Mutex::default(),
                offers: Mutex::default(),
                latencies: latency::Latencies::default(),
                looking: Mutex::default(),
            }),
        };
        router.tell(Input::Node(parts.node));
        router.catalogue_changed();
        router.spawn(router.clone().follow_fleet());
        router.spawn(router.clone().keep_time());
        router
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.shared.runtime.spawn(task);
    }

    /// Asks for a slot, and waits for it and for the model as long as the core says.
    ///
    /// # Errors
    /// The core's reason; nothing is held then. Dropping the future gives everything back.
    pub async fn admit(&self, key: KeyId, model: &Arc<str>) -> Result<Slot, Refusal> {
        let mut slot = self.arrive(key, model.clone());
        slot.decision().await?;
        slot.admitted();
        Ok(slot)
    }

    /// No new requests from now on.
    pub fn drain(&self) {
        self.tell(Input::Drain);
    }

    /// Whether new requests are refused.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.state().core.is_draining()
    }

    /// This node.
    #[must_use]
    pub fn node(&self) -> skep_core::NodeId {
        self.shared.node
    }

    /// Takes in what is new of this node.
    pub fn update_node(&self, change: impl FnOnce(&mut skep_core::Node)) {
        let known = {
            let state = self.state();
            let mut nodes = state.core.registry().nodes();
            nodes.find(|node| node.id == self.shared.node).cloned()
        };
        if let Some(mut node) = known {
            change(&mut node);
            self.tell(Input::Node(node));
        }
        self.shared.looked.notify_waiters();
    }

    /// Tells what the card that models compute on is called among this node's devices.
    pub fn card_is(&self, id: String) {
        *facts::lock(&self.shared.card) = Some(id);
    }

    /// Waits for the next look at this node ([`Router::update_node`]).
    pub async fn looked(&self) {
        self.shared.looked.notified().await;
    }

    /// Requests that run, and that wait.
    #[must_use]
    pub fn running_and_waiting(&self) -> (u32, u32) {
        self.state().core.running_and_waiting()
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.state().core.counters().clone()
    }

    /// What a key used since the start.
    #[must_use]
    pub fn used_by(&self, key: KeyId) -> skep_core::Usage {
        self.state().core.used_by(key)
    }

    /// What became of the latest requests, newest first.
    #[must_use]
    pub fn traces(&self) -> Vec<Trace> {
        self.shared.traces.latest()
    }

    /// What became of a request: by its number, the id that its client saw, or `last`.
    #[must_use]
    pub fn trace(&self, request: &str) -> Option<Trace> {
        self.shared.traces.find(request)
    }

    /// Who decides where models and requests go.
    #[must_use]
    pub fn policies(&self) -> &Policies {
        &self.shared.policies
    }

    /// The fleet that runs the models.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.shared.fleet
    }

    fn arrive(&self, key: KeyId, model: Arc<str>) -> Slot {
        let now = self.now();
        let mut state = self.state();
        state.last += 1;
        let id = RequestId(state.last);
        let ticket = Arc::new(slot::Ticket::default());
        state.tickets.insert(id, ticket.clone());
        state.core.handle(
            now,
            Input::Arrived(Arrival {
                request: id,
                key,
                model: model.clone(),
            }),
        );
        self.act(state);
        Slot::new(self.clone(), id, key, model, ticket)
    }

    /// Tells the core what happened, and does what it wants.
    fn tell(&self, input: Input) {
        let now = self.now();
        let mut state = self.state();
        if let Input::Settled { request, .. } = &input {
            state.tickets.remove(request);
        }
        state.core.handle(now, input);
        self.act(state);
    }

    /// Does what the core wants done. The scheduler is told within the lock, so that it hears
    /// everything in order; what starts something is done after.
    fn act(&self, mut state: MutexGuard<'_, State>) {
        let mut later = Vec::new();
        while let Some(output) = state.core.poll_output() {
            match output {
                Output::Admit(request) => {
                    if let Some(ticket) = state.tickets.get(&request) {
                        ticket.decide(Ok(()));
                    }
                }
                Output::Refuse(request, refusal) => {
                    if let Some(ticket) = state.tickets.remove(&request) {
                        ticket.decide(Err(refusal));
                    }
                }
                Output::Expire(request) => {
                    if let Some(ticket) = state.tickets.get(&request) {
                        ticket.expire();
                    }
                }
                Output::Observe(change) => self.observe(change),
                output @ (Output::Load(_)
                | Output::LoadAt { .. }
                | Output::Unload(_)
                | Output::Evacuate { .. }) => {
                    later.push(output);
                }
            }
        }
        if let Some(next) = state.core.poll_timeout()
            && state.wakes.is_none_or(|wakes| next < wakes)
        {
            state.wakes = Some(next);
            self.shared.earlier.notify_one();
        }
        drop(state);
        for output in later {
            match output {
                Output::Load(model) => self.spawn(self.clone().load(model)),
                Output::LoadAt { model, nodes } => self.load_at(&model, &nodes),
                Output::Unload(replica) => {
                    self.spawn(self.clone().unload(replica, models::UNLOAD_GRACE));
                }
                Output::Evacuate {
                    replica,
                    grace,
                    why,
                } => {
                    tracing::warn!(%replica, %why, "a model leaves its device");
                    self.spawn(self.clone().unload(replica, grace));
                }
                _ => {}
            }
        }
    }

    fn observe(&self, change: skep_core::Change) {
        let own = matches!(&change, skep_core::Change::Node(node) if node.id == self.shared.node);
        let mut change = facts::for_scheduler(change);
        if let (true, scheduler::Change::Node(node)) = (own, &mut change) {
            let models = self.shared.catalogue.models();
            node.models = models
                .iter()
                .map(|model| model.digest().to_string())
                .collect();
        }
        self.shared.policies.observe(change);
    }

    /// Tells the scheduler which model files this node has now.
    fn tell_of_files(&self) {
        let state = self.state();
        let mut nodes = state.core.registry().nodes();
        if let Some(node) = nodes.find(|node| node.id == self.shared.node) {
            self.observe(skep_core::Change::Node(node.clone()));
        }
    }

    async fn keep_time(self) {
        loop {
            let wakes = self.state().wakes;
            match wakes {
                None => self.shared.earlier.notified().await,
                Some(Time(at)) => {
                    let at = tokio::time::Instant::from_std(self.shared.started + at);
                    tokio::select! {
                        () = tokio::time::sleep_until(at) => {}
                        () = self.shared.earlier.notified() => continue,
                    }
                }
            }
            let now = self.now();
            let mut state = self.state();
            state.core.handle_timeout(now);
            state.wakes = state.core.poll_timeout();
            self.act(state);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Time {
        Time(self.shared.started.elapsed())
    }
}

/// How often the fleet's load is looked at while anything runs: a scheduler needs no finer picture,
/// and each look costs a call into it.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
