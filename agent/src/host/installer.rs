//! The world `installer`: a plugin that plans one step of a setup.
//!
//! Decides that it is a function of facts and answers: it imports nothing, runs under fuel, and has a fresh instance for each call,
//! so that it can remember nothing. What it answers is bounded here, and nonsense is a fault. Refuses to know what a good plan is, and
//! carries nothing out: `setup` converts plans, and the executor acts once somebody agreed.

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Engine, Store};

use super::fault::{Call, Fault, Limit};
use super::runtime::World;
use super::state::Caps;
use super::{load, runtime};
use crate::limits::{INSTALLER_ANSWER_BYTES, INSTALLER_FUEL, INSTALLER_MEMORY_BYTES};

mod bounds;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzed;
mod unknown;

mod generated {
    #![allow(
        missing_docs,
        unreachable_pub,
        unused_qualifications,
        clippy::all,
        reason = "generated from wit/"
    )]
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "installer",
        additional_derives: [PartialEq],
    });
}

pub use generated::skep::plugin::install_types::{
    Account, Action, Agent, Answer, Command, Compose, CreateUser, Description, Disk, Download,
    EditBlock, EnableUnit, Facts, FileFacts, Finding, Firewall, FirewallKind, GenerateCertificate,
    GenerateKey, Gpu, JoinGroup, KeepSecret, KeyKind, Kind, LinkKind, Listener, MakeFolder, Need,
    Neighbour, NetworkInterface, NumberRule, OpenPort, OptionItem, Owner, PackageFacts, Planned,
    Program, Proposal, Protocol, Question, Route, Scope, Service, SetPower, SetSetting, Severity,
    System, TextRule, UnitFacts, Value, Vendor, WriteFile,
};

pub use generated::skep::plugin::install_types::AddUpstream;

/// Why a step cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum InstallerLoadError {
    /// The compiled component is for another version or processor: compile it again.
    #[error("the compiled plugin does not fit this program: {0}")]
    Stale(String),
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A step of a setup. Nothing of it lives between two calls, so that it costs nothing while nobody calls it.
pub struct Installer {
    plugin: String,
    engine: Engine,
    pre: InstancePre<Caps>,
    most_fuel: AtomicU64,
    most_memory_bytes: AtomicUsize,
}

/// The most that any call of a step took.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Units of work.
    pub fuel: u64,
    /// All that its instance held.
    pub memory_bytes: usize,
}

impl std::fmt::Debug for Installer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Installer")
            .field("plugin", &self.plugin)
            .finish_non_exhaustive()
    }
}

impl Installer {
    /// Loads a component compiled ahead; `compiled` must come from `compiler::Compiled`.
    ///
    /// # Errors
    /// `Stale` when it has to be compiled again; `Fault` when it imports anything or cannot be started.
    pub fn load(plugin: &str, compiled: &Path) -> Result<Self, InstallerLoadError> {
        let unfit = |error: wasmtime::Error| unfit(plugin, format!("{error:#}"));
        let engine = runtime::engine(World::Installer).map_err(unfit)?;
        let component = load::compiled(&engine, compiled)
            .map_err(|error| InstallerLoadError::Stale(format!("{error:#}")))?;
        if let Some(name) = foreign_import(&component, &engine) {
            let what = format!("it imports `{name}`, and a step of a setup may import nothing");
            return Err(self::unfit(plugin, what).into());
        }
        let mut linker = Linker::new(&engine);
        generated::skep::plugin::install_types::add_to_linker::<
            _,
            wasmtime::component::HasSelf<Caps>,
        >(&mut linker, |caps| caps)
        .map_err(unfit)?;
        let pre = linker.instantiate_pre(&component).map_err(unfit)?;
        let installer = Self {
            plugin: plugin.to_owned(),
            engine,
            pre,
            most_fuel: AtomicU64::new(0),
            most_memory_bytes: AtomicUsize::new(0),
        };
        // What traps at its start is refused now, and not when somebody waits for an answer.
        installer.start("instantiate")?;
        Ok(installer)
    }

    /// The plugin's name.
    #[must_use]
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// The most that any call took so far.
    #[must_use]
    pub fn most(&self) -> Taken {
        Taken {
            fuel: self.most_fuel.load(Ordering::Relaxed),
            memory_bytes: self.most_memory_bytes.load(Ordering::Relaxed),
        }
    }

    /// What it is, and what it wants to know.
    ///
    /// # Errors
    /// See [`Fault`]; the next call finds a fresh instance. So it is with every call.
    pub fn describe(&self) -> Result<Description, Fault> {
        let described = self.call("describe", |guest, store| guest.call_describe(store))?;
        bounds::description(described).map_err(|what| self.nonsense("describe", what))
    }

    /// The questions for a machine, given the answers so far. Ids are well-formed and unique, texts are bounded and printable.
    ///
    /// # Errors
    /// As for [`Installer::describe`]; also when there are more questions than may be.
    pub fn ask(&self, facts: &Facts, answers: &[Answer]) -> Result<Vec<Question>, Fault> {
        let asked = self.call("ask", |guest, store| guest.call_ask(store, facts, answers))?;
        bounds::questions(asked).map_err(|what| self.nonsense("ask", what))
    }

    /// What would be done. Only the number of actions is bounded here; what they say has to be checked before it is believed.
    ///
    /// # Errors
    /// As for [`Installer::describe`]. The inner error is the step's own, in words for people.
    pub fn plan(
        &self,
        facts: &Facts,
        answers: &[Answer],
    ) -> Result<Result<Proposal, String>, Fault> {
        let planned = self.call("plan", |guest, store| {
            guest.call_plan(store, facts, answers)
        })?;
        match planned {
            Ok(proposal) => bounds::proposal(proposal)
                .map(Ok)
                .map_err(|what| self.nonsense("plan", what)),
            Err(why) => Ok(Err(bounds::sentence(why))),
        }
    }

    /// What is right and wrong on a machine.
    ///
    /// # Errors
    /// As for [`Installer::describe`].
    pub fn check(&self, facts: &Facts) -> Result<Vec<Finding>, Fault> {
        let found = self.call("check", |guest, store| guest.call_check(store, facts))?;
        bounds::findings(found).map_err(|what| self.nonsense("check", what))
    }

    /// One call under fuel, to an instance of its own.
    fn call<R>(
        &self,
        name: &'static str,
        body: impl FnOnce(
            &generated::exports::skep::plugin::step::Guest,
            &mut Store<Caps>,
        ) -> wasmtime::Result<R>,
    ) -> Result<R, Fault> {
        let (mut store, guest) = self.start(name)?;
        let answer = store
            .set_fuel(INSTALLER_FUEL)
            .and_then(|()| body(guest.skep_plugin_step(), &mut store));
        let left = store.get_fuel().unwrap_or_default();
        let fuel = INSTALLER_FUEL.saturating_sub(left);
        self.most_fuel.fetch_max(fuel, Ordering::Relaxed);
        let memory_bytes = store.data().memory_bytes();
        self.most_memory_bytes
            .fetch_max(memory_bytes, Ordering::Relaxed);
        answer.map_err(|error| self.fault(name, &error, store.data()))
    }

    fn start(&self, name: &'static str) -> Result<(Store<Caps>, generated::Installer), Fault> {
        let mut store = Store::new(&self.engine, Caps::new(INSTALLER_MEMORY_BYTES));
        store.limiter(|caps| caps);
        store.set_hostcall_fuel(INSTALLER_ANSWER_BYTES);
        let made = store
            .set_fuel(INSTALLER_FUEL)
            .and_then(|()| generated::InstallerPre::new(self.pre.clone())?.instantiate(&mut store));
        match made {
            Ok(guest) => Ok((store, guest)),
            Err(error) => Err(self.fault(name, &error, store.data())),
        }
    }

    fn fault(&self, name: &'static str, error: &wasmtime::Error, caps: &Caps) -> Fault {
        let call = Call {
            plugin: &self.plugin,
            name,
            limit: Limit::Fuel(INSTALLER_FUEL),
        };
        call.fault(error, caps, None)
    }

    fn nonsense(&self, call: &'static str, what: String) -> Fault {
        Fault::Nonsense {
            plugin: self.plugin.clone(),
            call,
            what,
        }
    }
}

impl generated::skep::plugin::install_types::Host for Caps {}

fn unfit(plugin: &str, what: String) -> Fault {
    Fault::Unfit {
        plugin: plugin.to_owned(),
        what,
    }
}

/// An import that is more than the types of the world itself.
fn foreign_import(component: &Component, engine: &Engine) -> Option<String> {
    let ty = component.component_type();
    let name = ty
        .imports(engine)
        .map(|(name, _)| name)
        .find(|name| !super::inspect::is_granted(World::Installer, name));
    name.map(ToOwned::to_owned)
}
