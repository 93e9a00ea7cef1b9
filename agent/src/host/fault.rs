//! Why a call into a plugin did not return: traps, deadlines and limits, in words that name the cause.
//!
//! A store that had a fault is never used again. What the plugin refuses in words of its own is not a fault.

use std::time::Duration;

use wasmtime::{Trap, WasmBacktrace};

use super::log::printable;
use super::state::{Caps, Denied};

/// Why a call into a plugin failed. Its instance must be dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the plugin `{plugin}` ran longer than {} s in `{call}`", limit.as_secs_f32())]
    Deadline {
        plugin: String,
        call: &'static str,
        limit: Duration,
    },
    #[error("the plugin `{plugin}` used more than {units} units of work in `{call}`")]
    Fuel {
        plugin: String,
        call: &'static str,
        units: u64,
    },
    #[error("the plugin `{plugin}` reached its {what} in `{call}`")]
    Limit {
        plugin: String,
        call: &'static str,
        what: String,
    },
    #[error("the plugin `{plugin}` trapped in `{call}`: {what}")]
    Trap {
        plugin: String,
        call: &'static str,
        what: String,
    },
    /// It answered, and the answer breaks the contract.
    #[error("the plugin `{plugin}` answered `{call}` with nonsense: {what}")]
    Nonsense {
        plugin: String,
        call: &'static str,
        what: String,
    },
    /// What the model computes on failed, and nothing of it is to be relied on.
    #[error("{0}")]
    Device(String),
    /// The component does not fit the contract, or the host failed.
    #[error("the plugin `{plugin}` could not be run: {what}")]
    Unfit { plugin: String, what: String },
}

/// Ends the call in which the device failed, past the plugin: it cannot help.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct DeviceFault(pub(super) String);

/// Where and under what limits a call was made.
pub(super) struct Call<'a> {
    pub(super) plugin: &'a str,
    pub(super) name: &'static str,
    pub(super) limit: Limit,
}

#[derive(Clone, Copy)]
pub(super) enum Limit {
    Time(Duration),
    Fuel(u64),
}

impl Call<'_> {
    /// Reads the cause out of wasmtime's error and what the limits noted meanwhile.
    pub(super) fn fault(
        &self,
        error: &wasmtime::Error,
        caps: &Caps,
        last_words: Option<&str>,
    ) -> Fault {
        let (plugin, call) = (self.plugin.to_owned(), self.name);
        if let Some(DeviceFault(what)) = error.downcast_ref::<DeviceFault>() {
            return Fault::Device(what.clone());
        }
        let trap = error.downcast_ref::<Trap>();
        match (trap, self.limit) {
            (Some(Trap::Interrupt), Limit::Time(limit)) => {
                return Fault::Deadline {
                    plugin,
                    call,
                    limit,
                };
            }
            (Some(Trap::OutOfFuel), Limit::Fuel(units)) => {
                return Fault::Fuel {
                    plugin,
                    call,
                    units,
                };
            }
            _ => {}
        }
        // A refused allocation usually shows as an `unreachable` a little later.
        if let Some(denied) = caps.denied() {
            return Fault::Limit {
                plugin,
                call,
                what: denied.to_string(),
            };
        }
        let Some(trap) = trap else {
            return Fault::Trap {
                plugin,
                call,
                what: printable(&error.root_cause().to_string()),
            };
        };
        if *trap == Trap::StackOverflow {
            let what = Denied::Stack.to_string();
            return Fault::Limit { plugin, call, what };
        }
        let place = error
            .downcast_ref::<WasmBacktrace>()
            .and_then(|trace| trace.frames().first()?.func_name())
            .map(|name| format!(" in `{}`", printable(name)))
            .unwrap_or_default();
        if let (Trap::UnreachableCodeReached, Some(words)) = (trap, last_words) {
            let what = format!("it panicked at {}", printable(words));
            return Fault::Trap { plugin, call, what };
        }
        let trap = trap.to_string();
        let trap = trap.strip_prefix("wasm trap: ").unwrap_or(&trap);
        Fault::Trap {
            plugin,
            call,
            what: format!("{trap}{place}"),
        }
    }
}
