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
mod link;
mod mailbox;
mod offers;
mod refresh;
mod rights;
mod secrets;
mod service;
mod source;
mod store;
mod tend;
mod unit;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use skep_core::ReplicaId;
use skep_core::capability::{Capability, SecretName};
use tokio::sync::{mpsc, watch};

pub use self::error::ServiceError;
pub use self::rights::Grants;
pub use self::secrets::{SecretView, Secrets};
pub use self::service::{Kind, Service, Wanted};
pub use self::unit::{Standing, State};
pub use self::view::{Model, Pulling, View};

use self::offers::Exposed;
use self::source::Source;
use self::store::{Store, unknown};
use self::unit::Unit;
use crate::fleet::Fleet;
use crate::limits::NOTIFY_TIMEOUT;
use crate::paths::Paths;
use crate::protocol::{Alert, Error, Rights, ToService};
use crate::router::{FIRST_OFFERED, Router};

/// The door to all services of this node. Copies share them.
#[derive(Clone, Debug)]
pub struct Services(Arc<Shared>);

/// An upstream, and its own name of a model.
type Whose = (Arc<Unit>, Arc<str>);

#[derive(Debug)]
struct Shared {
    fleet: Fleet,
    store: Store,
    secrets: Secrets,
    grants: Grants,
    units: Mutex<BTreeMap<(Kind, String), Arc<Unit>>>,
    /// Whose model each number is.
    numbers: Mutex<HashMap<ReplicaId, Whose>>,
    last: AtomicU64,
    changes: watch::Sender<u64>,
    /// Where the agent itself listens.
    own: OnceLock<Vec<SocketAddr>>,
    /// Held while what is configured changes.
    change: tokio::sync::Mutex<()>,
}

impl Services {
    /// What was configured, with nothing running yet.
    ///
    /// # Errors
    /// When a file of ours is damaged or cannot be read. Nothing was changed.
    pub fn open(paths: &Paths, fleet: Fleet) -> Result<Self, ServiceError> {
        Ok(Self(Arc::new(Shared {
            fleet,
            store: Store::open(paths.services_file())?,
            secrets: Secrets::open(paths.secrets())?,
            grants: Grants::open(paths.grants_file())?,
            units: Mutex::default(),
            numbers: Mutex::default(),
            last: AtomicU64::new(0),
            changes: watch::Sender::new(0),
            own: OnceLock::new(),
            change: tokio::sync::Mutex::default(),
        })))
    }

    /// Looks after all of them from now on; `own` is where the agent listens, which no plugin reaches. Must be called within
    /// the runtime that is to drive them.
    pub fn start(&self, router: &Router, own: Vec<SocketAddr>) {
        // Nobody else sets it.
        let _ = self.0.own.set(own);
        for service in self.0.store.all() {
            self.0.begin(service);
        }
        router.set_offers(Arc::new(self.clone()));
        let (mut changes, router) = (self.changes(), router.clone());
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                router.offers_changed();
            }
        });
    }

    /// What a service would want to touch, and whether that is granted.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn wants(&self, service: &Service) -> Result<Vec<(Wanted, bool)>, ServiceError> {
        let (_, wanted) = self.0.prepared(service)?;
        let granted = self.0.grants.granted(&service.plugin);
        let with_grant = wanted.into_iter().map(|wanted| {
            let is_granted = cover::covers(&granted, &wanted.capability);
            (wanted, is_granted)
        });
        Ok(with_grant.collect())
    }

    /// Adds a service, or puts it in the place of the one with its name; first its plugin is granted `grants`, each of which
    /// it must want.
    ///
    /// # Errors
    /// What is wrong with it, or what has to be granted first; nothing was changed then.
    pub async fn put(
        &self,
        service: Service,
        grants: Vec<Capability>,
        replace: bool,
    ) -> Result<(), ServiceError> {
        let _held = self.0.change.lock().await;
        let (_, wanted) = self.0.prepared(&service)?;
        for grant in &grants {
            let one = std::slice::from_ref(grant);
            if !wanted
                .iter()
                .any(|wanted| cover::covers(one, &wanted.capability))
            {
                return Err(ServiceError::NotWanted(grant.clone()));
            }
        }
        let mut granted = self.0.grants.granted(&service.plugin);
        granted.extend_from_slice(&grants);
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
        if replace {
            self.0.store.replace(service.clone())?;
        } else {
            self.0.store.add(service.clone())?;
        }
        if !grants.is_empty() {
            self.0.grants.grant(&service.plugin, &grants)?;
        }
        self.0.end(service.kind, &service.name).await;
        self.0.begin(service);
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
        refresh::ask(&self.0, &unit)
            .await
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
        source::of(kind.world())
    }

    /// Whether there is a plugin of this name that services can be made with.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub fn check_plugin(&self, name: &str) -> Result<(), ServiceError> {
        source::find(name).map(drop)
    }

    /// The secrets.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    /// What plugins may touch.
    #[must_use]
    pub fn grants(&self) -> &Grants {
        &self.0.grants
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

impl Shared {
    /// Starts looking after a service.
    fn begin(self: &Arc<Self>, service: Service) {
        // One whose plugin is gone is tended too, and says so when it is used.
        let secrets = self
            .prepared(&service)
            .map(|(_, wanted)| service::secrets(&wanted).cloned().collect());
        let key = (service.kind, service.name.clone());
        let is_upstream = service.kind == Kind::Upstream;
        let secrets = secrets.unwrap_or_default();
        let unit = Arc::new(Unit::new(service, secrets, self.changes.clone()));
        self.units().insert(key, unit.clone());
        tokio::spawn(tend::tend(self.clone(), unit.clone()));
        if is_upstream {
            tokio::spawn(refresh::refresh(self.clone(), unit));
        }
        self.changes.send_modify(|count| *count += 1);
    }

    async fn end(&self, kind: Kind, name: &str) {
        let removed = self.units().remove(&(kind, name.to_owned()));
        if let Some(unit) = removed {
            unit.end();
            unit.gone().await;
            let mut numbers = lock(&self.numbers);
            numbers.retain(|_, (of, _)| !Arc::ptr_eq(of, &unit));
        }
        self.changes.send_modify(|count| *count += 1);
    }

    /// The plugin of a service, and what that wants with these settings.
    fn prepared(&self, service: &Service) -> Result<(Source, Vec<Wanted>), ServiceError> {
        let source = source::find(&service.plugin)?;
        let wanted = service.check(&source.manifest)?;
        Ok((source, wanted))
    }

    /// What a service may do now: all that its plugin is granted, and the texts of those granted secrets that this service
    /// uses.
    ///
    /// # Errors
    /// What it needs and may not do.
    fn rights(&self, service: &Service, wanted: &[Wanted]) -> Result<Rights, Vec<Capability>> {
        let granted = self.grants.granted(&service.plugin);
        let missing = cover::missing(&granted, wanted);
        if !missing.is_empty() {
            return Err(missing);
        }
        let mut secrets = BTreeMap::new();
        for name in service::secrets(wanted) {
            let capability = Capability::Secret(name.clone());
            if granted.contains(&capability)
                && let Some(text) = self.secrets.text(name)
            {
                secrets.insert(name.clone(), text);
            }
        }
        Ok(Rights { granted, secrets })
    }

    /// What is said of a plugin that may not do what it needs to.
    fn not_granted(&self, service: &Service, missing: &[Capability]) -> String {
        let error = ServiceError::NotGranted {
            plugin: service.plugin.clone(),
            missing: missing.to_vec(),
        };
        let commands: Vec<String> = missing
            .iter()
            .map(|missing| format!("`skep plugin grant {} {missing}`", service.plugin))
            .collect();
        format!("{error}; {} would let it", commands.join(" and "))
    }

    /// Gives numbers to what an upstream exposes now, and remembers whose they are.
    fn numbered(
        &self,
        unit: &Arc<Unit>,
        known: Vec<(ReplicaId, Exposed)>,
        exposed: Vec<Exposed>,
    ) -> Vec<(ReplicaId, Exposed)> {
        let next = || ReplicaId(FIRST_OFFERED + self.last.fetch_add(1, Ordering::Relaxed));
        let numbered = refresh::number(known, exposed, next);
        let mut numbers = lock(&self.numbers);
        numbers.retain(|_, (of, _)| !Arc::ptr_eq(of, unit));
        let entries = numbered.iter();
        numbers.extend(entries.map(|(id, of)| (*id, (unit.clone(), of.id.clone()))));
        numbered
    }

    fn unit(&self, kind: Kind, name: &str) -> Result<Arc<Unit>, ServiceError> {
        let units = self.units();
        let found = units.get(&(kind, name.to_owned())).cloned();
        found.ok_or_else(|| unknown(kind, name))
    }

    fn own_addresses(&self) -> Vec<SocketAddr> {
        self.own.get().cloned().unwrap_or_default()
    }

    fn units(&self) -> MutexGuard<'_, BTreeMap<(Kind, String), Arc<Unit>>> {
        lock(&self.units)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
