//! Secrets: texts that plugins may use and nobody reads back.
//!
//! Decides how they are kept: one file each, for this user alone. A text leaves this file for a service's socket and
//! nowhere else. Refuses to know who may use which: grants decide.

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use skep_core::capability::SecretName;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::ServiceError;
use crate::limits::{SECRET_BYTES_MAX, SECRETS_MAX};
use crate::paths::{private_folder, replace_durably};
use crate::protocol::SecretText;

/// The door to the secrets; copies share them.
#[derive(Clone, Debug)]
pub struct Secrets(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// Held while a file changes, so that the count is right.
    change: Mutex<()>,
    changes: watch::Sender<u64>,
}

/// What may be told of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretView {
    pub name: SecretName,
    /// When it was set last.
    pub set_unix_s: u64,
}

impl Secrets {
    /// The secrets in a folder, which is made when absent and closed to others when it was open.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn open(folder: PathBuf) -> Result<Self, ServiceError> {
        let opened = private_folder(&folder)
            .and_then(|()| fs::set_permissions(&folder, Permissions::from_mode(0o700)));
        opened.map_err(|source| ServiceError::File {
            path: folder.clone(),
            source,
        })?;
        Ok(Self(Arc::new(Inner {
            folder,
            change: Mutex::default(),
            changes: watch::Sender::new(0),
        })))
    }

    /// Keeps a text under a name; durable when this returns. Blocks on the disk.
    ///
    /// # Errors
    /// When it is no text for a secret, there are too many, or it cannot be written.
    pub fn set(&self, name: &SecretName, text: &str) -> Result<(), ServiceError> {
        let fits = (1..=SECRET_BYTES_MAX).contains(&text.len());
        if !fits || text.chars().any(char::is_control) {
            return Err(ServiceError::SecretText);
        }
        let _held = self.0.change.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(name);
        if !path.exists() && self.list()?.len() >= SECRETS_MAX {
            return Err(ServiceError::SecretsFull);
        }
        replace_durably(&path, text.as_bytes())
            .map_err(|source| ServiceError::File { path, source })?;
        self.0.changes.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Forgets one. Blocks on the disk.
    ///
    /// # Errors
    /// When there is none, or it cannot be removed.
    pub fn remove(&self, name: &SecretName) -> Result<(), ServiceError> {
        let _held = self.0.change.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(name);
        let removed = fs::remove_file(&path).and_then(|()| File::open(&self.0.folder)?.sync_all());
        match removed {
            Ok(()) => {
                self.0.changes.send_modify(|count| *count += 1);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(ServiceError::UnknownSecret(name.clone()))
            }
            Err(source) => Err(ServiceError::File { path, source }),
        }
    }

    /// What there is, by name.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<Vec<SecretView>, ServiceError> {
        let failed = |source| ServiceError::File {
            path: self.0.folder.clone(),
            source,
        };
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // What is being written has a name that no secret can have.
            let name = entry.file_name();
            let Some(name) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let set = entry.metadata().and_then(|data| data.modified());
            found.push(SecretView {
                name,
                set_unix_s: set
                    .ok()
                    .and_then(|set| set.duration_since(UNIX_EPOCH).ok())
                    .map_or(0, |set| set.as_secs()),
            });
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    /// The text, for the one service that may use it, or for asking who somebody is; none where there is none.
    pub(crate) fn text(&self, name: &SecretName) -> Option<SecretText> {
        let mut text = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX + 1));
        let file = File::open(self.path(name)).ok()?;
        file.take(SECRET_BYTES_MAX as u64 + 1)
            .read_to_end(&mut text)
            .ok()?;
        // Somebody may have written the file by hand, with a line break at its end.
        let text = std::str::from_utf8(&text)
            .ok()?
            .trim_end_matches(['\n', '\r']);
        let fits = (1..=SECRET_BYTES_MAX).contains(&text.len());
        (fits && !text.chars().any(char::is_control)).then(|| SecretText::new(text.to_owned()))
    }

    /// Whether there is one of this name.
    #[must_use]
    pub fn has(&self, name: &SecretName) -> bool {
        self.path(name).is_file()
    }

    /// Whether both are there, with the same text.
    #[must_use]
    pub fn are_same(&self, one: &SecretName, other: &SecretName) -> bool {
        let texts = (self.text(one), self.text(other));
        matches!(texts, (Some(one), Some(other)) if one.reveal() == other.reveal())
    }

    /// Keeps the text of one under another name, too. Blocks on the disk.
    ///
    /// # Errors
    /// As for [`Secrets::set`]; also when there is none to take it from.
    pub fn copy(&self, from: &SecretName, to: &SecretName) -> Result<(), ServiceError> {
        let text = self.text(from);
        let text = text.ok_or_else(|| ServiceError::UnknownSecret(from.clone()))?;
        self.set(to, text.reveal())
    }

    /// A number that grows with each change.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    fn path(&self, name: &SecretName) -> PathBuf {
        // A name begins with a letter or digit and has no slash, so it stays in the folder.
        self.0.folder.join(name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_kept_for_its_owner_alone_and_never_listed() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(folder.path().join("secrets")).unwrap();
        let name: SecretName = "openai".parse().unwrap();
        let mut changes = secrets.changes();
        secrets.set(&name, "sk-very-secret").unwrap();
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        let path = folder.path().join("secrets/openai");
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let listed = secrets.list().unwrap();
        assert_eq!(listed.len(), 1);
        assert!(!format!("{listed:?}").contains("very"));
        let text = secrets.text(&name).unwrap();
        assert_eq!(text.reveal(), "sk-very-secret");
        assert!(!format!("{text:?}").contains("very"));
        for wrong in ["", "a\nb", "\u{1b}", &"x".repeat(SECRET_BYTES_MAX + 1)] {
            assert!(secrets.set(&name, wrong).is_err());
        }
        assert_eq!(secrets.text(&name).unwrap().reveal(), "sk-very-secret");
        secrets.remove(&name).unwrap();
        assert!(changes.has_changed().unwrap());
        assert!(matches!(
            secrets.remove(&name),
            Err(ServiceError::UnknownSecret(_))
        ));
        assert!(secrets.text(&name).is_none());
    }
}
