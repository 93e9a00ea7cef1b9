//! The world `scheduler`: a plugin that says where models and requests go.
//!
//! Decides that it is a function of what it was told: it imports nothing, runs under fuel, and is replaced by
//! a fresh instance that hears all facts again when it fails. Refuses to know what a good answer is: `scheduling` does, and
//! keeps the facts.

use std::path::Path;
use std::time::Instant;

use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Engine, Store};

use super::fault::{Call, Fault, Limit};
use super::log::printable;
use super::runtime::World;
use super::state::Caps;
use super::{load, runtime};
use crate::limits::{
    CANDIDATE_WHY_BYTES, RANKED_MAX, SCHEDULER_FUEL, SCHEDULER_FUEL_MAX, SCHEDULER_FUEL_PER_FACT,
    SCHEDULER_MEMORY_BYTES, SCHEDULER_START_TIMEOUT, WHY_BYTES,
};

mod known;

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
    Candidate, Change, Choice, Job, Placement, Refusal, Request, Spot,
};
pub use generated::skep::plugin::scheduler_types::{Device, Health, Node, Replica, ReplicaState};

pub use known::Known;

/// Why a scheduler cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerLoadError {
    /// The compiled component is for another version or processor: compile it again.
    #[error("the compiled plugin does not fit this program: {0}")]
    Stale(String),
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A scheduler plugin. It is told what to know with each call, so that it can be started again at any time.
pub struct Scheduler {
    plugin: String,
    engine: Engine,
    pre: InstancePre<Caps>,
    /// `None` until it is needed, and after a fault.
    running: Option<Running>,
}

struct Running {
    store: Store<Caps>,
    guest: generated::Scheduler,
    /// What the last call was given.
    fuel: u64,
}

/// What the last call took, and what it might have taken.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Units of work.
    pub fuel: u64,
    pub fuel_limit: u64,
    /// All that its instance holds.
    pub memory_bytes: usize,
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
            running: None,
        };
        scheduler.start(&Known::default())?;
        Ok(scheduler)
    }

    /// What the last call took; none after a fault and before the first call.
    pub fn taken(&self) -> Option<Taken> {
        let running = self.running.as_ref()?;
        let left = running.store.get_fuel().ok()?;
        Some(Taken {
            fuel: running.fuel.saturating_sub(left),
            fuel_limit: running.fuel,
            memory_bytes: running.store.data().memory_bytes(),
        })
    }

    /// Forgets everything. The next call finds a fresh instance that hears all facts.
    pub fn rest(&mut self) {
        self.running = None;
    }

    /// Makes a fresh instance and tells it all facts.
    ///
    /// # Errors
    /// What went wrong; the next call tries again.
    pub fn start(&mut self, known: &Known) -> Result<(), Fault> {
        let started = Instant::now();
        self.running = None;
        let mut store = Store::new(&self.engine, Caps::new(SCHEDULER_MEMORY_BYTES));
        store.limiter(|caps| caps);
        store.set_hostcall_fuel(SCHEDULER_ANSWER_BYTES);
        let made = store
            .set_fuel(SCHEDULER_FUEL)
            .and_then(|()| generated::SchedulerPre::new(self.pre.clone())?.instantiate(&mut store));
        let guest = made.map_err(|error| {
            let call = self.limited("instantiate", SCHEDULER_FUEL);
            call.fault(&error, store.data(), None)
        })?;
        self.running = Some(Running {
            store,
            guest,
            fuel: SCHEDULER_FUEL,
        });
        for fact in known.facts() {
            self.run("observe", known, |guest, store| {
                guest.call_observe(store, &fact)
            })?;
            if started.elapsed() > SCHEDULER_START_TIMEOUT {
                self.running = None;
                return Err(Fault::Deadline {
                    plugin: self.plugin.clone(),
                    call: "observe",
                    limit: SCHEDULER_START_TIMEOUT,
                });
            }
        }
        Ok(())
    }

    /// Tells it what happened; `known` has it already.
    ///
    /// # Errors
    /// The fault; a fresh instance knows the fact all the same.
    pub fn observe(&mut self, change: &Change, known: &Known) -> Result<(), Fault> {
        if self.running.is_none() {
            // A fresh one hears this fact with all others.
            return self.start(known);
        }
        self.call("observe", known, |guest, store| {
            guest.call_observe(store, change)
        })
    }

    /// Asks for replicas for a request. Texts are bounded and printable, lists no longer than [`RANKED_MAX`]; what they name
    /// may not exist.
    ///
    /// # Errors
    /// The fault; a fresh instance that knows the same facts answers the next call.
    pub fn route(
        &mut self,
        request: &Request,
        known: &Known,
    ) -> Result<Result<Choice, Refusal>, Fault> {
        let answer = self.call("route", known, |guest, store| {
            guest.call_route(store, request)
        })?;
        Ok(answer.map_err(tidy).map(|choice| Choice {
            ranked: candidates(choice.ranked),
            passed_over: candidates(choice.passed_over),
            why: shorten(choice.why, WHY_BYTES),
        }))
    }

    /// Asks for places for a model; as for [`Scheduler::route`].
    ///
    /// # Errors
    /// As for [`Scheduler::route`].
    pub fn place(&mut self, job: &Job, known: &Known) -> Result<Result<Placement, Refusal>, Fault> {
        let answer = self.call("place", known, |guest, store| guest.call_place(store, job))?;
        Ok(answer.map_err(tidy).map(|placement| Placement {
            ranked: spots(placement.ranked),
            passed_over: spots(placement.passed_over),
            why: shorten(placement.why, WHY_BYTES),
        }))
    }

    fn call<R>(
        &mut self,
        name: &'static str,
        known: &Known,
        body: impl FnOnce(
            &generated::exports::skep::plugin::policy::Guest,
            &mut Store<Caps>,
        ) -> wasmtime::Result<R>,
    ) -> Result<R, Fault> {
        if self.running.is_none() {
            self.start(known)?;
        }
        self.run(name, known, body)
    }

    /// One call under fuel. After a fault there is no instance.
    fn run<R>(
        &mut self,
        name: &'static str,
        known: &Known,
        body: impl FnOnce(
            &generated::exports::skep::plugin::policy::Guest,
            &mut Store<Caps>,
        ) -> wasmtime::Result<R>,
    ) -> Result<R, Fault> {
        let Some(mut running) = self.running.take() else {
            return Err(Fault::Unfit {
                plugin: self.plugin.clone(),
                what: "it could not be started again".to_owned(),
            });
        };
        running.fuel = fuel(known);
        let result = running
            .store
            .set_fuel(running.fuel)
            .and_then(|()| body(running.guest.skep_plugin_policy(), &mut running.store));
        match result {
            Ok(answer) => {
                self.running = Some(running);
                Ok(answer)
            }
            Err(error) => {
                let call = self.limited(name, running.fuel);
                Err(call.fault(&error, running.store.data(), None))
            }
        }
    }

    fn limited(&self, name: &'static str, fuel: u64) -> Call<'_> {
        Call {
            plugin: &self.plugin,
            name,
            limit: Limit::Fuel(fuel),
        }
    }
}

impl generated::skep::plugin::scheduler_types::Host for Caps {}

/// What one call may take: more where there is more to look at.
fn fuel(known: &Known) -> u64 {
    let facts = known.count() as u64;
    (SCHEDULER_FUEL + SCHEDULER_FUEL_PER_FACT * facts).min(SCHEDULER_FUEL_MAX)
}

/// Bytes that a scheduler may return from one call: 16 places with their devices and reasons, and a sentence.
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

fn candidates(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.truncate(RANKED_MAX);
    let tidied = candidates.into_iter().map(|candidate| Candidate {
        why: shorten(candidate.why, CANDIDATE_WHY_BYTES),
        ..candidate
    });
    tidied.collect()
}

fn spots(mut spots: Vec<Spot>) -> Vec<Spot> {
    spots.truncate(RANKED_MAX);
    let tidied = spots.into_iter().map(|spot| Spot {
        why: shorten(spot.why, CANDIDATE_WHY_BYTES),
        ..spot
    });
    tidied.collect()
}

fn tidy(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Impossible(why) => Refusal::Impossible(shorten(why, WHY_BYTES)),
        Refusal::Busy(why) => Refusal::Busy(shorten(why, WHY_BYTES)),
        Refusal::Unknown(why) => Refusal::Unknown(shorten(why, WHY_BYTES)),
    }
}

fn shorten(mut why: String, bytes_max: usize) -> String {
    if why.len() > bytes_max {
        let end = (0..=bytes_max)
            .rev()
            .find(|end| why.is_char_boundary(*end))
            .unwrap_or_default();
        why.truncate(end);
    }
    printable(&why)
}
