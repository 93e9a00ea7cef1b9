//! The world `scheduler`: a plugin that says where models and requests go.
//!
//! Decides that it is a function of what it was told: it imports nothing, runs under fuel, and is replaced by a fresh
//! instance that hears all facts again when it fails. Refuses to know what a good answer is.

use std::collections::BTreeMap;
use std::path::Path;

use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Engine, Store};

use super::fault::{Call, Fault, Limit};
use super::log::printable;
use super::runtime::World;
use super::state::Caps;
use super::{load, runtime};
use crate::limits::{SCHEDULER_FACTS, SCHEDULER_FUEL, SCHEDULER_MEMORY_BYTES, WHY_BYTES};

mod generated {
    #![allow(
        missing_docs,
        unreachable_pub,
        unused_qualifications,
        clippy::all,
        reason = "generated from wit/"
    )]
    wasmtime::component::bindgen!({ path: "../wit", world: "scheduler" });
}

pub use generated::exports::skep::plugin::policy::{
    Change, Choice, Job, Placement, Refusal, Request,
};
pub use generated::skep::plugin::scheduler_types::{Device, Health, Node, Replica, ReplicaState};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The scheduler answered that there is no place.
    #[error("{}", why(.0))]
    Refused(Refusal),
    /// It failed. A fresh instance that knows the same facts answers the next call.
    #[error("{0}; it was replaced")]
    Replaced(Fault),
}

/// Why a scheduler cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerLoadError {
    /// The compiled component is for another version or processor: compile it again.
    #[error("the compiled plugin does not fit this program: {0}")]
    Stale(String),
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A scheduler plugin and everything that it was told.
pub struct Scheduler {
    plugin: String,
    engine: Engine,
    pre: InstancePre<Caps>,
    nodes: BTreeMap<String, Node>,
    replicas: BTreeMap<u64, Replica>,
    /// `None` after a fault, until the next call.
    running: Option<Running>,
}

struct Running {
    store: Store<Caps>,
    guest: generated::Scheduler,
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler")
            .field("plugin", &self.plugin)
            .finish_non_exhaustive()
    }
}

impl Scheduler {
    /// Loads a component compiled ahead; `compiled` must come from `compiler::Compiled`.
    ///
    /// # Errors
    /// `Stale` when it has to be compiled again; `Fault` when it imports anything or cannot be started.
    pub fn load(plugin: &str, compiled: &Path) -> Result<Self, SchedulerLoadError> {
        let unfit = |error: wasmtime::Error| Fault::Unfit {
            plugin: plugin.to_owned(),
            what: format!("{error:#}"),
        };
        let engine = runtime::engine(World::Scheduler).map_err(unfit)?;
        let component = load::compiled(&engine, compiled)
            .map_err(|error| SchedulerLoadError::Stale(format!("{error:#}")))?;
        if let Some(name) = foreign_import(&component, &engine) {
            let what = format!("it imports `{name}`, and a scheduler may import nothing");
            return Err(Fault::Unfit {
                plugin: plugin.to_owned(),
                what,
            }
            .into());
        }
        let mut linker = Linker::new(&engine);
        generated::skep::plugin::scheduler_types::add_to_linker::<
            _,
            wasmtime::component::HasSelf<Caps>,
        >(&mut linker, |caps| caps)
        .map_err(unfit)?;
        let pre = linker.instantiate_pre(&component).map_err(unfit)?;
        let mut scheduler = Self {
            plugin: plugin.to_owned(),
            engine,
            pre,
            nodes: BTreeMap::new(),
            replicas: BTreeMap::new(),
            running: None,
        };
        scheduler.start()?;
        Ok(scheduler)
    }

    /// Tells it what happened.
    ///
    /// # Errors
    /// `Replaced`; the fact is kept all the same.
    pub fn observe(&mut self, change: &Change) -> Result<(), ScheduleError> {
        self.keep(change);
        if self.running.is_none() {
            // A fresh one hears this fact with all others.
            return self.start().map_err(ScheduleError::Replaced);
        }
        self.call("observe", |guest, store| guest.call_observe(store, change))
    }

    /// Asks for a replica for a request.
    ///
    /// # Errors
    /// See [`ScheduleError`].
    pub fn route(&mut self, request: &Request) -> Result<Choice, ScheduleError> {
        let answer = self.call("route", |guest, store| guest.call_route(store, request))?;
        let choice = answer.map_err(ScheduleError::Refused)?;
        Ok(Choice {
            why: shorten(choice.why),
            ..choice
        })
    }

    /// Asks for a place for a model.
    ///
    /// # Errors
    /// See [`ScheduleError`].
    pub fn place(&mut self, job: &Job) -> Result<Placement, ScheduleError> {
        let answer = self.call("place", |guest, store| guest.call_place(store, job))?;
        let placement = answer.map_err(ScheduleError::Refused)?;
        Ok(Placement {
            why: shorten(placement.why),
            ..placement
        })
    }

    fn keep(&mut self, change: &Change) {
        match change {
            Change::Node(node) => {
                if self.nodes.len() < SCHEDULER_FACTS || self.nodes.contains_key(&node.id) {
                    self.nodes.insert(node.id.clone(), node.clone());
                }
            }
            Change::NodeGone(id) => drop(self.nodes.remove(id)),
            Change::Replica(replica) => {
                if self.replicas.len() < SCHEDULER_FACTS || self.replicas.contains_key(&replica.id)
                {
                    self.replicas.insert(replica.id, replica.clone());
                }
            }
            Change::ReplicaGone(id) => drop(self.replicas.remove(id)),
        }
    }

    /// Makes a fresh instance and tells it everything.
    fn start(&mut self) -> Result<(), Fault> {
        let call = Call {
            plugin: &self.plugin,
            name: "instantiate",
            limit: Limit::Fuel(SCHEDULER_FUEL),
        };
        let mut store = Store::new(&self.engine, Caps::new(SCHEDULER_MEMORY_BYTES));
        store.limiter(|caps| caps);
        store.set_hostcall_fuel(SCHEDULER_ANSWER_BYTES);
        let made = store
            .set_fuel(SCHEDULER_FUEL)
            .and_then(|()| generated::SchedulerPre::new(self.pre.clone())?.instantiate(&mut store));
        let guest = made.map_err(|error| call.fault(&error, store.data(), None))?;
        self.running = Some(Running { store, guest });

        let nodes = self.nodes.values().cloned().map(Change::Node);
        let replicas = self.replicas.values().cloned().map(Change::Replica);
        let facts: Vec<_> = nodes.chain(replicas).collect();
        for fact in facts {
            self.run("observe", |guest, store| guest.call_observe(store, &fact))?;
        }
        Ok(())
    }

    fn call<R>(
        &mut self,
        name: &'static str,
        body: impl FnOnce(
            &generated::exports::skep::plugin::policy::Guest,
            &mut Store<Caps>,
        ) -> wasmtime::Result<R>,
    ) -> Result<R, ScheduleError> {
        if self.running.is_none() {
            self.start().map_err(ScheduleError::Replaced)?;
        }
        self.run(name, body).map_err(|fault| {
            // Without delay, so that the next request finds it ready; should this fail, the next call tries again.
            let _ = self.start();
            ScheduleError::Replaced(fault)
        })
    }

    /// One call under fuel. After a fault there is no instance.
    fn run<R>(
        &mut self,
        name: &'static str,
        body: impl FnOnce(
            &generated::exports::skep::plugin::policy::Guest,
            &mut Store<Caps>,
        ) -> wasmtime::Result<R>,
    ) -> Result<R, Fault> {
        let call = Call {
            plugin: &self.plugin,
            name,
            limit: Limit::Fuel(SCHEDULER_FUEL),
        };
        let Some(mut running) = self.running.take() else {
            return Err(Fault::Unfit {
                plugin: self.plugin.clone(),
                what: "it could not be started again".to_owned(),
            });
        };
        let result = running
            .store
            .set_fuel(SCHEDULER_FUEL)
            .and_then(|()| body(running.guest.skep_plugin_policy(), &mut running.store));
        match result {
            Ok(answer) => {
                self.running = Some(running);
                Ok(answer)
            }
            Err(error) => Err(call.fault(&error, running.store.data(), None)),
        }
    }
}

impl generated::skep::plugin::scheduler_types::Host for Caps {}

/// Bytes that a scheduler may return from one call: two names and a sentence, and a list of devices.
const SCHEDULER_ANSWER_BYTES: usize = 64 << 10;

/// An import that is more than the types of the world itself.
fn foreign_import(component: &Component, engine: &Engine) -> Option<String> {
    let ty = component.component_type();
    let name = ty
        .imports(engine)
        .map(|(name, _)| name)
        .find(|name| !super::inspect::is_granted(World::Scheduler, name));
    name.map(ToOwned::to_owned)
}

fn why(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Impossible(why) | Refusal::Busy(why) | Refusal::Unknown(why) => {
            shorten(why.clone())
        }
    }
}

fn shorten(mut why: String) -> String {
    if why.len() > WHY_BYTES {
        let end = (0..=WHY_BYTES)
            .rev()
            .find(|end| why.is_char_boundary(*end))
            .unwrap_or_default();
        why.truncate(end);
    }
    printable(&why)
}
