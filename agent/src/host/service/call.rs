//! One call into a component. Decides when it is over: when it returns, when it has waited or computed too long, when it
//! traps. Dropping the wait for it ends it as well.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use wasmtime::Store;

use super::meter::{Meter, Metered};
use super::state::ServiceState;
use super::{CallError, ServicePlugin};
use crate::egress::{Scope, Tally};
use crate::host::fault::{Call, Fault, Limit};

/// How a call broke off.
pub(super) enum Broken {
    Trap(wasmtime::Error),
    /// It waited longer than this.
    Late(Duration),
}

impl ServicePlugin {
    /// A store for one call.
    pub(super) fn store(&self, scope: Arc<Scope>) -> Store<ServiceState> {
        let meter = Arc::new(Meter::new(self.timeouts.computing));
        ServiceState::store(
            &self.engine,
            Arc::clone(&self.egress),
            scope,
            meter,
            Arc::clone(&self.pool),
        )
    }

    /// Waits for one call under its deadlines.
    pub(super) async fn run<R>(
        &self,
        meter: Arc<Meter>,
        limit: Duration,
        call: impl Future<Output = wasmtime::Result<R>> + Send,
    ) -> Result<R, Broken> {
        let metered = Metered::new(call, meter, &self.ticker, self.egress.tally());
        match timeout(limit, metered).await {
            Ok(result) => result.map_err(Broken::Trap),
            Err(_) => Err(Broken::Late(limit)),
        }
    }

    /// What a call broke off with, in words.
    pub(super) fn fault(
        &self,
        store: &Store<ServiceState>,
        name: &'static str,
        broken: Broken,
    ) -> CallError {
        let fault = match broken {
            Broken::Trap(error) => {
                let state = store.data();
                let call = Call {
                    plugin: &self.name,
                    name,
                    limit: Limit::Time(state.meter.limit()),
                };
                let words = state.words.lock().ok();
                let words = words.and_then(|lines| lines.last_words());
                call.fault(&error, &state.memory.caps, words.as_deref())
            }
            Broken::Late(limit) => Fault::Deadline {
                plugin: self.name.clone(),
                call: name,
                limit,
            },
        };
        Tally::add(&self.egress.tally().faults, 1);
        CallError::Fault(self.redacted(fault))
    }

    /// A plugin's last words may hold anything.
    fn redacted(&self, fault: Fault) -> Fault {
        let redact = |text: String| self.egress.teller().redacted(&text);
        match fault {
            Fault::Trap { plugin, call, what } => Fault::Trap {
                plugin,
                call,
                what: redact(what),
            },
            other => other,
        }
    }
}
