//! The worlds `upstream` and `notifier`: one plugin with one set of settings, and a store of its own for each call.
//!
//! Decides what such a component may import, how large and how long a call may get, and that a fault ends that call alone.
//! Refuses to know who calls (`service`) and who may be reached (`egress`).
//!
//! | file | decides |
//! |---|---|
//! | `imports` | what is linked: our interfaces, WASI without anything in it, HTTP |
//! | `state` | what a store holds, and how large it grows |
//! | `meter` | what counts as computing, and when others have their turn |
//! | `call` | when a call is over |
//! | `exports` | what the calls are |
//! | `http` | how a guest's request becomes one of ours |
//! | `convert` | how types map |

mod call;
mod clocks;
mod convert;
mod exports;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzed;
mod http;
mod imports;
mod meter;
mod output;
mod state;

use std::path::Path;
use std::sync::Arc;

use wasmtime::component::{InstancePre, Linker};

pub use self::exports::{Exchange, Pulling};

use self::state::{Pool, ServiceState};
use super::fault::Fault;
use super::runtime::World;
use super::ticker::Ticker;
use super::{inspect, load, runtime};
use crate::egress::Egress;
use crate::limits::SERVICE_TICK;
use crate::protocol::{Error, ServiceTimeouts};

pub(super) mod upstream {
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
        world: "upstream",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "skep:plugin/types": crate::host::engine::generated::skep::plugin::types,
            "skep:plugin/log": crate::host::engine::generated::skep::plugin::log,
            "skep:plugin/model-types": crate::host::engine::generated::skep::plugin::model_types,
            "skep:plugin/secrets.secret": crate::host::service::state::HeldSecret,
            "wasi:http": wasmtime_wasi_http::p2::bindings::http,
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        },
    });
}

pub(super) mod notifier {
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
        world: "notifier",
        imports: {
            "skep:plugin/mail.send": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        with: {
            "skep:plugin/types": crate::host::engine::generated::skep::plugin::types,
            "skep:plugin/log": crate::host::engine::generated::skep::plugin::log,
            "skep:plugin/secrets": crate::host::service::upstream::skep::plugin::secrets,
            "wasi:http": wasmtime_wasi_http::p2::bindings::http,
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        },
    });
}

/// A plugin that is loaded and can be called, several times at once.
pub struct ServicePlugin {
    name: String,
    settings: Vec<(String, String)>,
    timeouts: ServiceTimeouts,
    world: Loaded,
    engine: wasmtime::Engine,
    ticker: Arc<Ticker>,
    pool: Arc<Pool>,
    egress: Arc<Egress>,
}

/// A component with its imports in place.
enum Loaded {
    Upstream(upstream::UpstreamPre<ServiceState>),
    Notifier(notifier::NotifierPre<ServiceState>),
}

/// What a service is made of.
#[derive(Debug)]
pub struct ServiceParts<'a> {
    /// The plugin's name, for messages.
    pub plugin: &'a str,
    pub world: World,
    /// The component compiled ahead; must come from `compiler::Compiled`.
    pub compiled: &'a Path,
    pub settings: Vec<(String, String)>,
    pub timeouts: ServiceTimeouts,
    pub egress: Arc<Egress>,
}

/// Why a plugin could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ServiceLoadError {
    /// The compiled component is for another version or processor: compile it again.
    #[error("the compiled plugin does not fit this program: {0}")]
    Stale(String),
    #[error(transparent)]
    Unfit(#[from] Fault),
}

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The plugin said so.
    #[error(transparent)]
    Refused(Error),
    /// It trapped, ran too long or grew too large.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl std::fmt::Debug for ServicePlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServicePlugin")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl ServicePlugin {
    /// Loads a component. Nothing of it runs yet.
    ///
    /// # Errors
    /// See [`ServiceLoadError`].
    pub fn load(parts: ServiceParts<'_>) -> Result<Self, ServiceLoadError> {
        let plugin = parts.plugin.to_owned();
        let unfit = |error: wasmtime::Error| Fault::Unfit {
            plugin: plugin.clone(),
            what: format!("{error:#}"),
        };
        if !matches!(parts.world, World::Upstream | World::Notifier) {
            let what = format!("no service has the world `{}`", parts.world.name());
            return Err(Fault::Unfit { plugin, what }.into());
        }
        let engine = runtime::engine(parts.world).map_err(unfit)?;
        let component = load::compiled(&engine, parts.compiled)
            .map_err(|error| ServiceLoadError::Stale(format!("{error:#}")))?;
        let foreign = component
            .component_type()
            .imports(&engine)
            .map(|(name, _)| name.to_owned())
            .find(|name| !inspect::is_granted(parts.world, name));
        if let Some(name) = foreign {
            let what = format!("it imports `{name}`, which is not granted");
            return Err(Fault::Unfit { plugin, what }.into());
        }
        let mut linker = Linker::new(&engine);
        imports::link(&mut linker, parts.world).map_err(unfit)?;
        let pre = linker.instantiate_pre(&component).map_err(unfit)?;
        let world = Loaded::new(parts.world, pre).map_err(unfit)?;
        let ticker =
            Ticker::start(engine.clone(), SERVICE_TICK).map_err(|error| unfit(error.into()))?;
        Ok(Self {
            name: plugin,
            settings: parts.settings,
            timeouts: parts.timeouts,
            world,
            engine,
            ticker: Arc::new(ticker),
            pool: Arc::default(),
            egress: parts.egress,
        })
    }
}

impl Loaded {
    fn new(world: World, pre: InstancePre<ServiceState>) -> wasmtime::Result<Self> {
        Ok(match world {
            World::Upstream => Self::Upstream(upstream::UpstreamPre::new(pre)?),
            World::Notifier => Self::Notifier(notifier::NotifierPre::new(pre)?),
            World::Engine | World::Scheduler | World::Installer => {
                wasmtime::bail!("a plugin of the world `{}` is no service", world.name())
            }
        })
    }
}
