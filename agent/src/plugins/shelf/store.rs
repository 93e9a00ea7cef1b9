//! Components on this node's disk, each named by its digest.
//!
//! Decides that nothing is used whose bytes are not what its name says: every reading checks. What is damaged is set aside and
//! counts as absent. Refuses to know which components are needed.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use skep_core::state::PluginDigest;
use tokio::sync::Notify;

use crate::limits::{COMPONENT_BYTES, COMPONENTS_DAMAGED_MAX};
use crate::paths::{private_folder, rename_durably, replace_durably};

/// The folder of components. Copies share it.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    /// Rung when something was found damaged.
    missed: Arc<Notify>,
}

/// Why a component cannot be had from here.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the component {0} is not here yet")]
    Absent(PluginDigest),
    #[error("the component {digest} was damaged on disk and lies at `{}`; it is fetched again from another node", aside.display())]
    Damaged {
        digest: PluginDigest,
        aside: PathBuf,
    },
    #[error("could not use `{}`", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Store {
    /// Opens the folder, which is made when absent.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(plugins: &Path) -> Result<Self, StoreError> {
        let folder = plugins.join("sha256");
        private_folder(&folder).map_err(failed(&folder))?;
        Ok(Self {
            folder,
            missed: Arc::default(),
        })
    }

    /// Keeps bytes; they are durable once this returns.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn keep(&self, component: &[u8]) -> Result<PluginDigest, StoreError> {
        let digest = PluginDigest(Sha256::digest(component).into());
        let path = self.path(digest);
        // Also where there is such a file: its age starts anew, and it may be damaged.
        replace_durably(&path, component).map_err(failed(&path))?;
        Ok(digest)
    }

    /// A component's bytes, checked.
    ///
    /// # Errors
    /// When it is not here, or was damaged; then it is not here any more.
    pub fn read(&self, digest: PluginDigest) -> Result<Vec<u8>, StoreError> {
        let path = self.path(digest);
        let mut bytes = Vec::new();
        let file = match std::fs::File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Absent(digest));
            }
            opened => opened.map_err(failed(&path))?,
        };
        let read = file
            .take(COMPONENT_BYTES as u64 + 1)
            .read_to_end(&mut bytes);
        // What the disk cannot read is as damaged as what it reads wrongly.
        if read.is_ok() && digest.0 == <[u8; 32]>::from(Sha256::digest(&bytes)) {
            return Ok(bytes);
        }
        let aside = self.set_aside(digest)?;
        self.missed.notify_one();
        Err(StoreError::Damaged { digest, aside })
    }

    /// Whether there is a file of that name. Its bytes are not looked at.
    #[must_use]
    pub fn has(&self, digest: PluginDigest) -> bool {
        self.path(digest).is_file()
    }

    /// Waits until something was found damaged.
    pub async fn missed(&self) {
        self.missed.notified().await;
    }

    /// Removes what nobody needs and has been here for longer than `grace`; how many went.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn prune(
        &self,
        needed: impl Fn(PluginDigest) -> bool,
        grace: Duration,
    ) -> Result<usize, StoreError> {
        let mut removed = 0;
        for entry in std::fs::read_dir(&self.folder).map_err(failed(&self.folder))? {
            let entry = entry.map_err(failed(&self.folder))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let digest = name.strip_suffix(".wasm").map(str::parse::<PluginDigest>);
            let spare = match digest {
                Some(Ok(digest)) => !needed(digest),
                // What a write left that was cut off.
                _ => name.starts_with(".new-"),
            };
            let age = entry.metadata().and_then(|known| known.modified()).ok();
            let age = age.and_then(|at| SystemTime::now().duration_since(at).ok());
            if spare && age.is_some_and(|age| age >= grace) {
                std::fs::remove_file(entry.path()).map_err(failed(&self.folder))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Moves a damaged file away; the oldest of those make room.
    fn set_aside(&self, digest: PluginDigest) -> Result<PathBuf, StoreError> {
        let mut earlier = BTreeSet::new();
        for entry in std::fs::read_dir(&self.folder)
            .map_err(failed(&self.folder))?
            .flatten()
        {
            let is_aside = entry.file_name().to_string_lossy().starts_with("damaged-");
            if let (true, Ok(known)) = (is_aside, entry.metadata()) {
                earlier.insert((known.modified().ok(), entry.path()));
            }
        }
        let over = (earlier.len() + 1).saturating_sub(COMPONENTS_DAMAGED_MAX);
        for (_, path) in earlier.into_iter().take(over) {
            std::fs::remove_file(&path).map_err(failed(&path))?;
        }
        let at = crate::keys::unix_now_s();
        let aside = self.folder.join(format!("damaged-{at}-{digest}"));
        rename_durably(&self.path(digest), &aside).map_err(failed(&aside))?;
        tracing::error!(%digest, aside = %aside.display(), "a plugin's component is damaged on disk");
        Ok(aside)
    }

    fn path(&self, digest: PluginDigest) -> PathBuf {
        self.folder.join(format!("{digest}.wasm"))
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| StoreError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_was_kept() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let digest = store.keep(b"component").unwrap();
        let again = Store::open(home.path()).unwrap();
        assert_eq!(again.read(digest).unwrap(), b"component");
        let other = PluginDigest([1; 32]);
        assert!(matches!(store.read(other), Err(StoreError::Absent(_))));
        assert!(!store.has(other));
    }

    #[test]
    fn damage_is_found_at_the_next_reading_and_mended_by_keeping_it_again() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let digest = store.keep(b"component").unwrap();
        for damage in [b"componenT".as_slice(), b"", b"component and more"] {
            std::fs::write(store.path(digest), damage).unwrap();
            let aside = match store.read(digest) {
                Err(StoreError::Damaged { aside, .. }) => aside,
                other => panic!("{other:?}"),
            };
            assert_eq!(std::fs::read(aside).unwrap(), damage);
            assert!(!store.has(digest));
            store.keep(b"component").unwrap();
            assert_eq!(store.read(digest).unwrap(), b"component");
        }
    }

    #[test]
    fn only_what_nobody_needs_goes_and_not_at_once() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let (one, two) = (store.keep(b"one").unwrap(), store.keep(b"two").unwrap());
        let hour = Duration::from_hours(1);
        assert_eq!(store.prune(|_| false, hour).unwrap(), 0);
        assert_eq!(
            store.prune(|digest| digest == one, Duration::ZERO).unwrap(),
            1
        );
        assert!(store.has(one) && !store.has(two));
        for number in 0..20_u8 {
            let digest = store.keep(&[number]).unwrap();
            std::fs::write(store.path(digest), b"bad").unwrap();
            assert!(store.read(digest).is_err());
        }
        let left = std::fs::read_dir(home.path().join("sha256"))
            .unwrap()
            .count();
        assert_eq!(left, 1 + COMPONENTS_DAMAGED_MAX);
    }
}
