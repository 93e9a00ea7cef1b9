//! The calls themselves. Each has a store of its own; an exchange and a pull keep theirs until they are over.

use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::ResourceAny;

use super::notifier::Notifier;
use super::state::ServiceState;
use super::upstream::Upstream;
use super::{CallError, Loaded, ServicePlugin, convert};
use crate::egress::{Scope, Tally};
use crate::limits::SERVICE_OPEN_TIMEOUT;
use crate::protocol::{Alert, Error, Event, Offer, PullProgress, Work};

/// One request in flight. Dropping it cancels the request at the upstream.
pub struct Exchange<'a>(Open<'a>);

/// A model on its way to the upstream. Dropping it leaves off.
pub struct Pulling<'a>(Open<'a>);

/// A resource of the guest in a store of its own.
struct Open<'a> {
    plugin: &'a ServicePlugin,
    store: Store<ServiceState>,
    guest: Upstream,
    handle: ResourceAny,
}

impl ServicePlugin {
    /// The models that the upstream offers now.
    ///
    /// # Errors
    /// The plugin's refusal, or its fault.
    pub async fn models(&self, scope: Arc<Scope>) -> Result<Vec<Offer>, CallError> {
        let (mut store, guest) = self.upstream(scope).await?;
        let settings = convert::adapter_settings(&self.settings);
        let meter = store.data().meter();
        let adapter = guest.skep_plugin_adapter();
        let call = adapter.call_models(&mut store, &settings);
        let offers = self.run(meter, self.timeouts.call, call).await;
        offers
            .map_err(|broken| self.fault(&store, "models", broken))?
            .map(convert::offers)
            .map_err(|error| self.refused(error))
    }

    /// Sends a request upstream.
    ///
    /// # Errors
    /// The plugin's refusal, or its fault.
    pub async fn start(
        &self,
        scope: Arc<Scope>,
        model: &str,
        request: u64,
        work: Work,
    ) -> Result<Exchange<'_>, CallError> {
        let (mut store, guest) = self.upstream(scope).await?;
        let settings = convert::adapter_settings(&self.settings);
        let work = work.into();
        let meter = store.data().meter();
        let exchange = guest.skep_plugin_adapter().exchange();
        let call = exchange.call_start(&mut store, &settings, model, request, &work);
        let started = self.run(meter, self.timeouts.call, call).await;
        let handle = started
            .map_err(|broken| self.fault(&store, "start", broken))?
            .map_err(|error| self.refused(error))?;
        Ok(Exchange(Open {
            plugin: self,
            store,
            guest,
            handle,
        }))
    }

    /// Has the upstream get a model.
    ///
    /// # Errors
    /// The plugin's refusal, or its fault.
    pub async fn pull(&self, scope: Arc<Scope>, model: &str) -> Result<Pulling<'_>, CallError> {
        let (mut store, guest) = self.upstream(scope).await?;
        let settings = convert::adapter_settings(&self.settings);
        let meter = store.data().meter();
        let pull = guest.skep_plugin_adapter().pull();
        let call = pull.call_start(&mut store, &settings, model);
        let started = self.run(meter, self.timeouts.call, call).await;
        let handle = started
            .map_err(|broken| self.fault(&store, "pull", broken))?
            .map_err(|error| self.refused(error))?;
        Ok(Pulling(Open {
            plugin: self,
            store,
            guest,
            handle,
        }))
    }

    /// Delivers an alert.
    ///
    /// # Errors
    /// The plugin's refusal, or its fault.
    pub async fn notify(&self, scope: Arc<Scope>, alert: Alert) -> Result<(), CallError> {
        Tally::add(&self.egress.tally().calls, 1);
        let Loaded::Notifier(pre) = &self.world else {
            return Err(self.other_world("notify"));
        };
        let mut store = self.store(scope);
        let meter = store.data().meter();
        let call = pre.instantiate_async(&mut store);
        let guest = self.run(meter, SERVICE_OPEN_TIMEOUT, call).await;
        let guest: Notifier = guest.map_err(|broken| self.fault(&store, "start", broken))?;
        let settings = convert::notice_settings(&self.settings);
        let alert = alert.into();
        let meter = store.data().meter();
        let notice = guest.skep_plugin_notice();
        let call = notice.call_notify(&mut store, &settings, &alert);
        let told = self.run(meter, self.timeouts.call, call).await;
        told.map_err(|broken| self.fault(&store, "notify", broken))?
            .map_err(|error| self.refused(error))
    }

    async fn upstream(
        &self,
        scope: Arc<Scope>,
    ) -> Result<(Store<ServiceState>, Upstream), CallError> {
        Tally::add(&self.egress.tally().calls, 1);
        let Loaded::Upstream(pre) = &self.world else {
            return Err(self.other_world("start"));
        };
        let mut store = self.store(scope);
        let meter = store.data().meter();
        let call = pre.instantiate_async(&mut store);
        let guest = self.run(meter, SERVICE_OPEN_TIMEOUT, call).await;
        let guest = guest.map_err(|broken| self.fault(&store, "start", broken))?;
        Ok((store, guest))
    }

    fn refused(&self, error: impl Into<Error>) -> CallError {
        CallError::Refused(convert::refusal(error, self.egress.teller()))
    }

    fn other_world(&self, call: &str) -> CallError {
        CallError::Refused(Error::Unsupported(format!(
            "the plugin `{}` is of a world without `{call}`",
            self.name
        )))
    }
}

impl Exchange<'_> {
    /// Waits for the next event; none when there are no more.
    ///
    /// # Errors
    /// The plugin's refusal, or its fault. It is over then.
    pub async fn next(&mut self) -> Result<Option<Event>, CallError> {
        let Open {
            plugin,
            store,
            guest,
            handle,
        } = &mut self.0;
        let meter = store.data().meter();
        let exchange = guest.skep_plugin_adapter().exchange();
        let call = exchange.call_next(&mut *store, *handle);
        let next = plugin.run(meter, plugin.timeouts.call, call).await;
        let event = next
            .map_err(|broken| plugin.fault(store, "next", broken))?
            .map_err(|error| plugin.refused(error))?;
        Ok(event.map(|event| convert::event(event, plugin.egress.teller())))
    }
}

impl Pulling<'_> {
    /// Waits for the next news; none when the model is there.
    ///
    /// # Errors
    /// The plugin's refusal, or its fault. It is over then.
    pub async fn next(&mut self) -> Result<Option<PullProgress>, CallError> {
        let Open {
            plugin,
            store,
            guest,
            handle,
        } = &mut self.0;
        let meter = store.data().meter();
        let pull = guest.skep_plugin_adapter().pull();
        let call = pull.call_next(&mut *store, *handle);
        let next = plugin.run(meter, plugin.timeouts.call, call).await;
        let progress = next
            .map_err(|broken| plugin.fault(store, "next", broken))?
            .map_err(|error| plugin.refused(error))?;
        Ok(progress.map(PullProgress::from))
    }
}

impl std::fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Pulling<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pulling").finish_non_exhaustive()
    }
}
