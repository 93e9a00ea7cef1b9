//! What all tasks of services share: the plugins, what is configured, and whose model a number is.
//!
//! Decides what a service may do now. Refuses to know how a service's process is looked after.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skep_core::ReplicaId;
use skep_core::capability::Capability;
use tokio::sync::watch;

use super::offers::{Exposed, exposed};
use super::remembered::Remembered;
use super::store::{Store, unknown};
use super::unit::Unit;
use super::{Kind, Secrets, Service, ServiceError, Wanted, cover, refresh, service, source, tend};
use crate::fleet::Fleet;
use crate::plugins::{Installed, Shelf};
use crate::protocol::Rights;
use crate::router::FIRST_OFFERED;

/// An upstream, and its own name of a model.
type Whose = (Arc<Unit>, Arc<str>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) fleet: Fleet,
    pub(super) shelf: Shelf,
    pub(super) store: Store,
    pub(super) secrets: Secrets,
    pub(super) remembered: Remembered,
    pub(super) units: Mutex<BTreeMap<(Kind, String), Arc<Unit>>>,
    /// Whose model each number is.
    pub(super) numbers: Mutex<HashMap<ReplicaId, Whose>>,
    pub(super) last: AtomicU64,
    pub(super) changes: watch::Sender<u64>,
    /// Where the agent itself listens.
    pub(super) own: Vec<SocketAddr>,
    /// Held while what is configured changes.
    pub(super) change: tokio::sync::Mutex<()>,
}

impl Shared {
    /// Starts looking after a service.
    pub(super) fn begin(self: &Arc<Self>, service: Service) -> Arc<Unit> {
        // One whose plugin is gone is tended too, and says so when it is used.
        let secrets = self
            .prepared(&service)
            .map(|(_, wanted)| service::secrets(&wanted).cloned().collect());
        let key = (service.kind, service.name.clone());
        let is_upstream = service.kind == Kind::Upstream;
        let secrets = secrets.unwrap_or_default();
        let unit = Arc::new(Unit::new(service, secrets, self.changes.clone()));
        if is_upstream {
            // Known, and not ready before it has answered again.
            let offers = exposed(&unit.service, self.remembered.of(&unit.service));
            let numbered = self.numbered(&unit, Vec::new(), offers);
            unit.set_offers(numbered);
        }
        self.units().insert(key, unit.clone());
        tokio::spawn(tend::tend(self.clone(), unit.clone()));
        if is_upstream {
            tokio::spawn(refresh::refresh(self.clone(), unit.clone()));
        }
        self.changes.send_modify(|count| *count += 1);
        unit
    }

    pub(super) async fn end(&self, kind: Kind, name: &str) {
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
    pub(super) fn prepared(
        &self,
        service: &Service,
    ) -> Result<(Installed, Vec<Wanted>), ServiceError> {
        let plugin = source::find(&self.shelf, &service.plugin)?;
        let wanted = service.check(&plugin.manifest)?;
        Ok((plugin, wanted))
    }

    /// What a service may do now: all that its plugin is granted, and the texts of those granted secrets that this service
    /// uses.
    ///
    /// # Errors
    /// What it needs and may not do.
    pub(super) fn rights(
        &self,
        service: &Service,
        wanted: &[Wanted],
    ) -> Result<Rights, Vec<Capability>> {
        let granted = source::grants(&self.shelf, &service.plugin);
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
    pub(super) fn not_granted(&self, service: &Service, missing: &[Capability]) -> String {
        let error = ServiceError::NotGranted {
            plugin: service.plugin.clone(),
            missing: missing.to_vec(),
        };
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        let command = format!(
            "`skep plugin grant {} {}`",
            service.plugin,
            missing.join(" ")
        );
        format!("{error}; {command} would let it")
    }

    /// Gives numbers to what an upstream exposes now, and remembers whose they are.
    pub(super) fn numbered(
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

    pub(super) fn unit(&self, kind: Kind, name: &str) -> Result<Arc<Unit>, ServiceError> {
        let units = self.units();
        let found = units.get(&(kind, name.to_owned())).cloned();
        found.ok_or_else(|| unknown(kind, name))
    }

    pub(super) fn units(&self) -> MutexGuard<'_, BTreeMap<(Kind, String), Arc<Unit>>> {
        lock(&self.units)
    }

    /// The services made with a plugin, as `the upstream NAME`.
    pub(super) fn made_with(&self, plugin: &str) -> Option<String> {
        let services = self.store.all().into_iter();
        let of = services.filter(|service| service.plugin == plugin);
        let named: Vec<String> = of
            .map(|service| format!("the {} `{}`", service.kind, service.name))
            .collect();
        (!named.is_empty()).then(|| named.join(", "))
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
