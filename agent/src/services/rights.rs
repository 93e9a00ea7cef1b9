//! What plugins of this node may touch, as an operator granted it: a durable file.
//!
//! Decides nothing beyond what was granted. This one file knows where grants are kept.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use skep_core::capability::Capability;
use tokio::sync::watch;

use super::{ServiceError, file};
use crate::limits::{GRANTED_PLUGINS_MAX, GRANTS_MAX};

/// The door to the grants; copies share them.
#[derive(Clone, Debug)]
pub struct Grants(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    kept: Mutex<Kept>,
    changes: watch::Sender<u64>,
}

/// The file's content.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kept {
    plugins: BTreeMap<String, Vec<Capability>>,
}

impl Grants {
    /// What the file says; nothing is granted where there is none.
    ///
    /// # Errors
    /// When it is damaged, or cannot be read.
    pub fn open(path: PathBuf) -> Result<Self, ServiceError> {
        let kept = file::read(&path)?.unwrap_or_default();
        Ok(Self(Arc::new(Inner {
            path,
            kept: Mutex::new(kept),
            changes: watch::Sender::new(0),
        })))
    }

    /// What a plugin may touch.
    #[must_use]
    pub fn granted(&self, plugin: &str) -> Vec<Capability> {
        self.kept().plugins.get(plugin).cloned().unwrap_or_default()
    }

    /// All of it, by plugin.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, Vec<Capability>> {
        self.kept().plugins.clone()
    }

    /// Lets a plugin touch more; durable when this returns. Blocks on the disk.
    ///
    /// # Errors
    /// When there are too many grants, or they cannot be written; then nothing more is granted.
    pub fn grant(&self, plugin: &str, more: &[Capability]) -> Result<(), ServiceError> {
        self.change(|kept| {
            let granted = kept.plugins.entry(plugin.to_owned()).or_default();
            granted.extend_from_slice(more);
            granted.sort();
            granted.dedup();
            let fits = granted.len() <= GRANTS_MAX && kept.plugins.len() <= GRANTED_PLUGINS_MAX;
            fits.then_some(()).ok_or_else(|| ServiceError::Plugin {
                plugin: plugin.to_owned(),
                why: format!("it has {GRANTS_MAX} grants, which is as many as it may"),
            })
        })
    }

    /// Lets a plugin touch this no more.
    ///
    /// # Errors
    /// When it cannot be written; then it is granted as before.
    pub fn revoke(&self, plugin: &str, capability: &Capability) -> Result<(), ServiceError> {
        self.change(|kept| {
            if let Some(granted) = kept.plugins.get_mut(plugin) {
                granted.retain(|one| one != capability);
                if granted.is_empty() {
                    kept.plugins.remove(plugin);
                }
            }
            Ok(())
        })
    }

    /// A number that grows with each change.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Kept) -> Result<(), ServiceError>,
    ) -> Result<(), ServiceError> {
        let mut kept = self.kept();
        let mut changed = kept.clone();
        change(&mut changed)?;
        file::write(&self.0.path, &changed)?;
        *kept = changed;
        drop(kept);
        self.0.changes.send_modify(|count| *count += 1);
        Ok(())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_kept_and_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grants.json");
        let grants = Grants::open(path.clone()).unwrap();
        let one: Capability = "http:api.example.org".parse().unwrap();
        let two: Capability = "secret:key".parse().unwrap();
        let changes = grants.changes();
        grants
            .grant("p", &[two.clone(), one.clone(), one.clone()])
            .unwrap();
        assert!(changes.has_changed().unwrap());
        let again = Grants::open(path.clone()).unwrap();
        assert_eq!(again.granted("p"), [one.clone(), two.clone()]);
        assert!(again.granted("q").is_empty());
        again.revoke("p", &two).unwrap();
        assert_eq!(Grants::open(path.clone()).unwrap().granted("p"), [one]);
        std::fs::write(&path, "{").unwrap();
        assert!(matches!(
            Grants::open(path),
            Err(ServiceError::Damaged { .. })
        ));
    }
}
