//! The world `engine`: one open model.
//!
//! Decides that no call outlives its deadline and that nothing is called after a fault. Refuses to know
//! when to step and for whom (`worker` does).

mod convert;
mod imports;

use std::path::Path;
use std::time::Duration;

use wasmtime::Store;
use wasmtime::component::{Linker, ResourceAny};

use super::compute::Budget;
use super::fault::{Call, Fault, Limit};
use super::runtime::World;
use super::state::State;
use super::ticker::Ticker;
use super::{SourceFile, inspect, load, runtime, wasi};
use crate::limits::{CHEAP_TIMEOUT, TICK};
use crate::protocol::{
    Error, Line, Load, ModelInfo, Settings, Tagged, Timeouts, Work, WorkerStats,
};

pub(super) mod generated {
    #![allow(
        missing_docs,
        unreachable_pub,
        unused_qualifications,
        clippy::all,
        clippy::error_impl_error,
        reason = "generated from wit/"
    )]
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "engine",
        imports: { default: trappable },
        with: {
            "skep:plugin/files.file": crate::host::SourceFile,
            "skep:plugin/compute.weight": crate::host::compute::HeldWeight,
            "skep:plugin/compute.cache": crate::host::compute::HeldCache,
            "skep:plugin/compute.plan": crate::host::compute::HeldPlan,
        },
    });
}

/// What a model is opened from.
#[derive(Debug)]
pub struct Opening<'a> {
    /// The plugin's name, for messages.
    pub plugin: &'a str,
    /// The component compiled ahead; must come from `compiler::Compiled`.
    pub compiled: &'a Path,
    pub files: Vec<SourceFile>,
    /// A smaller model that may guess tokens ahead.
    pub draft: Option<SourceFile>,
    pub settings: Settings,
    pub device: skep_hw::Device,
    /// How much caches, buffers and copied weights may take.
    pub memory_bytes: u64,
    pub timeouts: Timeouts,
}

/// Why a model could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The compiled component is for another version or processor: compile it again.
    #[error("the compiled plugin does not fit this program: {0}")]
    Stale(String),
    #[error(transparent)]
    Refused(Error),
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// One open model in its sandbox. After a `Fault` it must be dropped.
pub struct Model {
    plugin: String,
    store: Store<State>,
    guest: generated::Engine,
    instance: ResourceAny,
    ticker: Ticker,
    timeouts: Timeouts,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("plugin", &self.plugin)
            .finish_non_exhaustive()
    }
}

impl Model {
    /// Loads the component, gives it the files and lets it open the model.
    ///
    /// # Errors
    /// See [`OpenError`]. Nothing stays.
    pub fn open(opening: Opening<'_>) -> Result<Self, OpenError> {
        let plugin = opening.plugin.to_owned();
        let unfit = |error: wasmtime::Error| Fault::Unfit {
            plugin: plugin.clone(),
            what: format!("{error:#}"),
        };
        let engine = runtime::engine(World::Engine).map_err(unfit)?;
        let component = load::compiled(&engine, opening.compiled)
            .map_err(|error| OpenError::Stale(format!("{error:#}")))?;
        let ticker = Ticker::start(engine.clone(), TICK).map_err(|error| unfit(error.into()))?;

        let mut linker = Linker::new(&engine);
        imports::link(&mut linker).map_err(unfit)?;
        wasi::link(&mut linker, &component).map_err(unfit)?;
        let names = component.component_type();
        let foreign = names
            .imports(&engine)
            .map(|(name, _)| name)
            .find(|name| !inspect::is_granted(World::Engine, name));
        if let Some(name) = foreign {
            return Err(Fault::Unfit {
                plugin,
                what: format!("it imports `{name}`, which is not granted"),
            }
            .into());
        }

        let mut store = State::store(&engine, opening.device, Budget::new(opening.memory_bytes));
        let call = Call {
            plugin: &plugin,
            name: "open",
            limit: Limit::Time(opening.timeouts.open),
        };
        let opened = run(&mut store, &ticker, &call, opening.timeouts.open, |store| {
            let guest = generated::Engine::instantiate(&mut *store, &component, &linker)?;
            let mut files = Vec::with_capacity(opening.files.len());
            for file in opening.files {
                files.push(store.data_mut().table.push(file)?);
            }
            let draft = opening.draft.map(|file| store.data_mut().table.push(file));
            let draft = draft.transpose()?;
            let opened = guest.skep_plugin_model().instance().call_open(
                store,
                &files,
                draft,
                opening.settings.into(),
            )?;
            Ok((guest, opened))
        });
        let (guest, opened) = opened?;
        let instance = opened.map_err(|error| OpenError::Refused(error.into()))?;
        Ok(Self {
            plugin,
            store,
            guest,
            instance,
            ticker,
            timeouts: opening.timeouts,
        })
    }

    /// What was opened.
    ///
    /// # Errors
    /// A fault ends the model.
    pub fn info(&mut self) -> Result<ModelInfo, Fault> {
        self.call("info", CHEAP_TIMEOUT, |guest, store, this| {
            guest.call_info(store, this)
        })
        .map(Into::into)
    }

    /// Hands over a request. The inner error is the plugin's refusal.
    ///
    /// # Errors
    /// A fault ends the model.
    pub fn submit(&mut self, request: u64, work: Work) -> Result<Result<(), Error>, Fault> {
        let work = work.into();
        let answer = self.call("submit", self.timeouts.submit, |guest, store, this| {
            guest.call_submit(store, this, request, &work)
        })?;
        Ok(answer.map_err(Into::into))
    }

    /// Ends a request before the next step.
    ///
    /// # Errors
    /// A fault ends the model.
    pub fn cancel(&mut self, request: u64) -> Result<(), Fault> {
        self.call("cancel", CHEAP_TIMEOUT, |guest, store, this| {
            guest.call_cancel(store, this, request)
        })
    }

    /// One batched forward pass, appended to `events`. The inner error ends the model too.
    ///
    /// # Errors
    /// A fault ends the model.
    pub fn step(&mut self, events: &mut Vec<Tagged>) -> Result<Result<(), Error>, Fault> {
        let yielded = self.call("step", self.timeouts.step, |guest, store, this| {
            guest.call_step(store, this)
        })?;
        Ok(match yielded {
            Ok(yielded) => {
                events.extend(yielded.into_iter().map(Tagged::from));
                Ok(())
            }
            Err(error) => Err(error.into()),
        })
    }

    /// How full it is now.
    ///
    /// # Errors
    /// A fault ends the model.
    pub fn load(&mut self) -> Result<Load, Fault> {
        self.call("load", CHEAP_TIMEOUT, |guest, store, this| {
            guest.call_load(store, this)
        })
        .map(Into::into)
    }

    /// Text to token ids. The inner error is the plugin's refusal.
    ///
    /// # Errors
    /// A fault ends the model.
    pub fn tokenize(&mut self, text: &str) -> Result<Result<Vec<u32>, Error>, Fault> {
        let answer = self.call("tokenize", self.timeouts.submit, |guest, store, this| {
            guest.call_tokenize(store, this, text)
        })?;
        Ok(answer.map_err(Into::into))
    }

    /// Token ids to text. The inner error is the plugin's refusal.
    ///
    /// # Errors
    /// A fault ends the model.
    pub fn detokenize(&mut self, tokens: &[u32]) -> Result<Result<String, Error>, Fault> {
        let answer = self.call("detokenize", self.timeouts.submit, |guest, store, this| {
            guest.call_detokenize(store, this, tokens)
        })?;
        Ok(answer.map_err(Into::into))
    }

    /// What the plugin wrote for the operator since the last time.
    pub fn take_lines(&mut self) -> Vec<Line> {
        self.store.data_mut().pen.take()
    }

    /// The memory that the model takes now; `steps` and `step_us` are the caller's to count.
    #[must_use]
    pub fn memory(&self) -> WorkerStats {
        let state = self.store.data();
        WorkerStats {
            guest_memory_bytes: state.caps.memory_bytes() as u64,
            host_memory_bytes: state.budget.used_bytes(),
            mapped_bytes: state.budget.mapped_bytes(),
            ..WorkerStats::default()
        }
    }

    /// What native kernels took of the last call.
    #[must_use]
    pub fn kernels(&self) -> Duration {
        self.store.data().clock.kernels()
    }

    fn call<R>(
        &mut self,
        name: &'static str,
        limit: Duration,
        body: impl FnOnce(
            generated::exports::skep::plugin::model::GuestInstance<'_>,
            &mut Store<State>,
            ResourceAny,
        ) -> wasmtime::Result<R>,
    ) -> Result<R, Fault> {
        let call = Call {
            plugin: &self.plugin,
            name,
            limit: Limit::Time(limit),
        };
        let (guest, instance) = (&self.guest, self.instance);
        run(&mut self.store, &self.ticker, &call, limit, |store| {
            body(guest.skep_plugin_model().instance(), store, instance)
        })
    }
}

/// Runs one call under its deadline.
fn run<R>(
    store: &mut Store<State>,
    ticker: &Ticker,
    call: &Call<'_>,
    limit: Duration,
    body: impl FnOnce(&mut Store<State>) -> wasmtime::Result<R>,
) -> Result<R, Fault> {
    let armed = ticker.arm();
    let ticks = store.data_mut().clock.begin(limit);
    store.set_epoch_deadline(ticks);
    let result = body(store);
    drop(armed);
    result.map_err(|error| {
        let words = store.data().wasi.last_words();
        call.fault(&error, &store.data().caps, words.as_deref())
    })
}
