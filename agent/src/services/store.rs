//! The configured services: a durable file, and a copy of it in memory.
//!
//! Decides how many there may be and that names are not taken twice.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Kind, Service, ServiceError, file};
use crate::limits::SERVICES_MAX;

/// Every configured service.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    kept: Mutex<Kept>,
}

/// The file's content.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kept {
    services: Vec<Service>,
}

impl Store {
    pub(super) fn open(path: PathBuf) -> Result<Self, ServiceError> {
        let kept = file::read(&path)?.unwrap_or_default();
        Ok(Self {
            path,
            kept: Mutex::new(kept),
        })
    }

    pub(super) fn all(&self) -> Vec<Service> {
        self.kept().services.clone()
    }

    pub(super) fn find(&self, kind: Kind, name: &str) -> Option<Service> {
        let kept = self.kept();
        let mut services = kept.services.iter();
        services.find(|service| is(service, kind, name)).cloned()
    }

    pub(super) fn add(&self, service: Service) -> Result<(), ServiceError> {
        self.change(|services| {
            check(services, &service, false)?;
            services.push(service);
            Ok(())
        })
    }

    /// Whether [`Store::replace`] or [`Store::add`] would take this now.
    pub(super) fn check(&self, service: &Service, replace: bool) -> Result<(), ServiceError> {
        check(&self.kept().services, service, replace)
    }

    /// Takes the place of the one with the same kind and name.
    pub(super) fn replace(&self, service: Service) -> Result<(), ServiceError> {
        self.change(|services| {
            let mut all = services.iter_mut();
            match all.find(|other| is(other, service.kind, &service.name)) {
                Some(found) => *found = service,
                None => return Err(unknown(service.kind, &service.name)),
            }
            Ok(())
        })
    }

    pub(super) fn remove(&self, kind: Kind, name: &str) -> Result<(), ServiceError> {
        self.change(|services| {
            let before = services.len();
            services.retain(|service| !is(service, kind, name));
            if services.len() == before {
                return Err(unknown(kind, name));
            }
            Ok(())
        })
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Vec<Service>) -> Result<(), ServiceError>,
    ) -> Result<(), ServiceError> {
        let mut kept = self.kept();
        let mut changed = kept.clone();
        change(&mut changed.services)?;
        file::write(&self.path, &changed)?;
        *kept = changed;
        Ok(())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(services: &[Service], service: &Service, replace: bool) -> Result<(), ServiceError> {
    let (kind, name) = (service.kind, &service.name);
    match (services.iter().any(|other| is(other, kind, name)), replace) {
        (true, true) => Ok(()),
        (false, true) => Err(unknown(kind, name)),
        (true, false) => Err(ServiceError::Taken {
            kind,
            name: name.clone(),
        }),
        (false, false) if services.len() >= SERVICES_MAX => Err(ServiceError::Full),
        (false, false) => Ok(()),
    }
}

fn is(service: &Service, kind: Kind, name: &str) -> bool {
    service.kind == kind && service.name == name
}

pub(super) fn unknown(kind: Kind, name: &str) -> ServiceError {
    ServiceError::Unknown {
        kind,
        name: name.chars().take(64).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_survive_a_restart_and_names_are_one_of_a_kind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("services.json");
        let store = Store::open(path.clone()).unwrap();
        let service = |kind, name: &str| Service {
            kind,
            name: name.into(),
            plugin: "p".into(),
            settings: [("base-url".to_owned(), "https://x".to_owned())].into(),
            models: vec!["gpt-*".into()],
            prefix: true,
            timeout_s: Some(5),
            added_unix_s: 7,
        };
        store.add(service(Kind::Upstream, "a")).unwrap();
        store.add(service(Kind::Notifier, "a")).unwrap();
        assert!(matches!(
            store.add(service(Kind::Upstream, "a")),
            Err(ServiceError::Taken { .. })
        ));
        let mut changed = service(Kind::Upstream, "a");
        changed.prefix = false;
        store.replace(changed.clone()).unwrap();
        assert!(store.remove(Kind::Upstream, "b").is_err());
        let again = Store::open(path).unwrap();
        assert_eq!(again.all(), [changed, service(Kind::Notifier, "a")]);
        again.remove(Kind::Upstream, "a").unwrap();
        assert!(again.find(Kind::Upstream, "a").is_none());
        for number in 1..SERVICES_MAX {
            let name = format!("n{number}");
            again.add(service(Kind::Notifier, &name)).unwrap();
        }
        let one_more = again.add(service(Kind::Notifier, "z"));
        assert!(matches!(one_more, Err(ServiceError::Full)));
    }
}
