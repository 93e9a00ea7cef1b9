//! Services: upstreams that answer for models elsewhere, and notifiers that tell people. Each is a plugin with settings, run
//! in a process of its own.
//!
//! Decides what is configured, who may start, and which replica is which upstream's model. Refuses to know what a plugin
//! says to whom.
//!
//! Tasks: one `tend` per service, which owns its process and its socket; one `refresh` per upstream. A request costs no
//! task.

mod blame;
mod child;
mod cover;
mod error;
pub(crate) mod file;
mod find;
mod knock;
mod link;
mod mailbox;
mod offers;
mod refresh;
mod remembered;
mod secrets;
mod service;
mod shared;
mod source;
mod store;
mod tend;
mod unit;
mod view;

use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use skep_core::capability::{Capability, SecretName};
use tokio::sync::{mpsc, watch};

pub use self::error::ServiceError;
pub use self::find::{Found, OLLAMA_PORTS, OPENAI_PORTS};
pub use self::secrets::{SecretView, Secrets};
pub use self::service::{Kind, Service, Wanted};
pub use self::unit::{Standing, State};
pub use self::view::{Model, Pulling, View};

use self::remembered::Remembered;
use self::shared::{Shared, lock};
use self::store::{Store, unknown};
use crate::fleet::Fleet;
use crate::limits::{FIRST_LIST, NOTIFY_TIMEOUT};
use crate::paths::Paths;
use crate::plugins::Shelf;
use crate::protocol::{Alert, Error, ToService};
use crate::router::Router;

/// The door to all services of this node. Copies share them.
#[derive(Clone, Debug)]
pub struct Services(Arc<Shared>);

/// What was configured when the agent last ran.
#[derive(Debug)]
pub struct Kept {
    store: Store,
    secrets: Secrets,
    remembered: Remembered,
}

/// What services live among.
#[derive(Debug)]
pub struct Around {
    pub fleet: Fleet,
    pub shelf: Shelf,
    pub router: Router,
    /// Where the agent itself listens, which no plugin reaches.
    pub own: Vec<SocketAddr>,
}

impl Kept {
    /// Reads it.
    ///
    /// # Errors
    /// When a file of ours is damaged or cannot be read. Nothing was changed.
    pub fn open(paths: &Paths) -> Result<Self, ServiceError> {
        Ok(Self {
            store: Store::open(paths.services_file())?,
            secrets: Secrets::open(paths.secrets())?,
            remembered: Remembered::new(paths.offers()),
        })
    }
}

/// What somebody agrees to as a service is configured.
#[derive(Clone, Debug)]
pub struct Consent {
    /// What its plugin may touch besides what it may already.
    pub grants: Vec<Capability>,
    /// Who agrees.
    pub by: String,
}

impl Services {
    /// Looks after all that is configured from now on. Must be called within the runtime that is to drive them.
    #[must_use]
    pub fn start(kept: Kept, around: Around) -> Self {
        let Around {
            fleet,
            shelf,
            router,
            own,
        } = around;
        let services = Self(Arc::new(Shared {
            fleet,
            shelf,
            store: kept.store,
            secrets: kept.secrets,
            remembered: kept.remembered,
            units: Mutex::default(),
            numbers: Mutex::default(),
            last: AtomicU64::new(0),
            changes: watch::Sender::new(0),
            own,
            change: tokio::sync::Mutex::default(),
        }));
        for service in services.0.store.all() {
            services.0.begin(service);
        }
        let shared = Arc::downgrade(&services.0);
        services
            .0
            .shelf
            .ask_about_use(move |plugin| shared.upgrade()?.made_with(plugin));
        router.set_offers(Arc::new(services.clone()));
        let mut changes = services.changes();
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                router.offers_changed();
            }
        });
        services
    }

    /// What a service would want to touch, and whether that is granted.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn wants(&self, service: &Service) -> Result<Vec<(Wanted, bool)>, ServiceError> {
        let (_, wanted) = self.0.prepared(service)?;
        let granted = source::grants(&self.0.shelf, &service.plugin);
        let with_grant = wanted.into_iter().map(|wanted| {
            let is_granted = cover::covers(&granted, &wanted.capability);
            (wanted, is_granted)
        });
        Ok(with_grant.collect())
    }

    /// Adds a service, or puts it in the place of the one with its name; first its plugin is granted what was agreed to, each
    /// of which it must want.
    ///
    /// # Errors
    /// What is wrong with it, or what has to be granted first; nothing was changed then.
    pub async fn put(
        &self,
        service: Service,
        consent: Consent,
        replace: bool,
    ) -> Result<(), ServiceError> {
        let held = self.0.change.lock().await;
        let (_, wanted) = self.0.prepared(&service)?;
        for grant in &consent.grants {
            let one = std::slice::from_ref(grant);
            if !wanted
                .iter()
                .any(|wanted| cover::covers(one, &wanted.capability))
            {
                return Err(ServiceError::NotWanted(grant.clone()));
            }
        }
        let mut granted = source::grants(&self.0.shelf, &service.plugin);
        granted.extend_from_slice(&consent.grants);
        let missing = cover::missing(&granted, &wanted);
        if !missing.is_empty() {
            return Err(ServiceError::NotGranted {
                plugin: service.plugin,
                missing,
            });
        }
        let kept = self.0.secrets.list()?;
        for name in service::secrets(&wanted) {
            if !kept.iter().any(|kept| kept.name == *name) {
                return Err(ServiceError::UnknownSecret(name.clone()));
            }
        }
        self.0.store.check(&service, replace)?;
        if !consent.grants.is_empty() {
            let granting = self
                .0
                .shelf
                .grant(&service.plugin, &consent.grants, &consent.by);
            granting.await.map_err(Box::new)?;
        }
        if replace {
            self.0.store.replace(service.clone())?;
        } else {
            self.0.store.add(service.clone())?;
        }
        self.0.end(service.kind, &service.name).await;
        let unit = self.0.begin(service);
        drop(held);
        if unit.service.kind == Kind::Upstream {
            // So that its models are there for whoever asks next; one that is slow is asked all the same.
            let _ = tokio::time::timeout(FIRST_LIST, unit.heard()).await;
        }
        Ok(())
    }

    /// Removes a service; what it has under way ends.
    ///
    /// # Errors
    /// When there is none of that name, or that cannot be written.
    pub async fn remove(&self, kind: Kind, name: &str) -> Result<(), ServiceError> {
        let _held = self.0.change.lock().await;
        self.0.store.remove(kind, name)?;
        self.0.end(kind, name).await;
        if kind == Kind::Upstream {
            self.0.remembered.forget(name);
        }
        Ok(())
    }

    /// A configured service.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn find(&self, kind: Kind, name: &str) -> Result<Service, ServiceError> {
        let found = self.0.store.find(kind, name);
        found.ok_or_else(|| unknown(kind, name))
    }

    /// Asks an upstream now what it offers.
    ///
    /// # Errors
    /// Why it did not tell.
    pub async fn refresh(&self, name: &str) -> Result<Vec<Model>, ServiceError> {
        let unit = self.0.unit(Kind::Upstream, name)?;
        let asked = refresh::ask(&self.0, &unit).await;
        // It is asked again soon, and not only when the time has come.
        asked
            .inspect_err(|_| unit.refresh.notify_one())
            .map_err(ServiceError::Refused)?;
        self.models(name)
    }

    /// Has an upstream get a model. Dropping what this gives leaves off.
    ///
    /// # Errors
    /// When it takes no calls now.
    pub fn pull(&self, name: &str, model: String) -> Result<Pulling, ServiceError> {
        let unit = self.0.unit(Kind::Upstream, name)?;
        let (tell, news) = mpsc::channel(crate::limits::PULL_NEWS_MAX);
        let calling = unit
            .mailbox
            .act(Some(tell), |call| ToService::Pull { call, model });
        let calling = calling.map_err(|error| ServiceError::Lost(error.to_string()))?;
        Ok(Pulling::new(unit, calling, news))
    }

    /// Delivers an alert by a notifier.
    ///
    /// # Errors
    /// Why it was not delivered; `Invalid`, `Unsupported` and `Denied` are not worth another attempt.
    pub async fn notify(&self, name: &str, alert: Alert) -> Result<(), Error> {
        let other = |error: &dyn std::fmt::Display| Error::Other(error.to_string());
        let unit = self
            .0
            .unit(Kind::Notifier, name)
            .map_err(|error| other(&error))?;
        let calling = unit
            .mailbox
            .act(None, |call| ToService::Notify { call, alert })
            .map_err(|error| other(&error))?;
        let done = calling.answer(NOTIFY_TIMEOUT).await;
        match &done {
            Ok(()) => unit.set_up(),
            Err(error) => drop(unit.set_down(error.to_string())),
        }
        done
    }

    /// The names of all services of a kind.
    #[must_use]
    pub fn names(&self, kind: Kind) -> Vec<String> {
        let units = self.0.units();
        let names = units.keys().filter(|(of, _)| *of == kind);
        names.map(|(_, name)| name.clone()).collect()
    }

    /// The plugins that a service of a kind can be made with.
    #[must_use]
    pub fn plugins(&self, kind: Kind) -> Vec<String> {
        source::of(&self.0.shelf, kind.world())
    }

    /// The secrets.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    /// The services that use a secret, as `upstream NAME`.
    #[must_use]
    pub fn users_of(&self, secret: &SecretName) -> Vec<String> {
        let uses = |service: &Service| {
            let prepared = self.0.prepared(service);
            prepared.is_ok_and(|(_, wanted)| service::secrets(&wanted).any(|name| name == secret))
        };
        let services = self.0.store.all().into_iter().filter(uses);
        services
            .map(|service| format!("{} {}", service.kind, service.name))
            .collect()
    }

    /// A number that grows with each change of a service's state or offers.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Ends all of them.
    pub async fn shutdown(&self) {
        let units: Vec<_> = self.0.units().values().cloned().collect();
        for unit in &units {
            unit.end();
        }
        for unit in units {
            unit.gone().await;
        }
    }
}
