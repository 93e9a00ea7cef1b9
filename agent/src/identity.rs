//! Who this node is: a key pair made at first start, and the one agent that may use it.
//!
//! Decides the node's id and that a home has one agent at a time; refuses to know what the key
//! will sign.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;

use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, PublicKeyData};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use skep_core::NodeId;

use crate::paths::{Paths, open_private, replace_durably};
use crate::pki;

/// The node's key pair and the id that follows from it. Its `Debug` shows the id alone.
pub struct Identity {
    node: NodeId,
    key: KeyPair,
}

impl Identity {
    /// Reads the key, or makes one where there is none; a new key is durable before this returns.
    ///
    /// # Errors
    /// When the file is there but is no key (it is never replaced), or cannot be read or written.
    pub fn load_or_create(paths: &Paths) -> Result<Self, IdentityError> {
        let path = paths.identity_file();
        let failed = |source| IdentityError::File {
            path: path.clone(),
            source,
        };
        let key = match std::fs::read_to_string(&path) {
            Ok(text) => KeyPair::from_pem(&text).map_err(|source| IdentityError::Damaged {
                path: path.clone(),
                source,
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = KeyPair::generate_for(&PKCS_ED25519).map_err(IdentityError::Generate)?;
                replace_durably(&path, key.serialize_pem().as_bytes()).map_err(failed)?;
                key
            }
            Err(error) => return Err(failed(error)),
        };
        let node = pki::node_of(&key.subject_public_key_info());
        Ok(Self { node, key })
    }

    /// The node's id.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The public half, as DER.
    #[must_use]
    pub fn public_key_der(&self) -> Vec<u8> {
        self.key.subject_public_key_info()
    }

    /// A signing request (PKCS #10, DER) for this key; it proves that whoever sends it has the key.
    ///
    /// # Errors
    /// When signing fails.
    pub fn request(&self) -> Result<Vec<u8>, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let request = params.serialize_request(&self.key)?;
        Ok(request.der().to_vec())
    }

    /// A signature (Ed25519) over a message.
    ///
    /// # Errors
    /// When signing fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        rcgen::SigningKey::sign(&self.key, message)
    }

    /// The private key, for TLS.
    #[must_use]
    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

/// Why there is no identity. An existing key file is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("could not read or write the node's key `{path}`")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "`{path}` is not a private key; restore it from a backup, or move it away to become a new node"
    )]
    Damaged {
        path: PathBuf,
        #[source]
        source: rcgen::Error,
    },
    #[error("could not make a key pair")]
    Generate(#[source] rcgen::Error),
}

/// The right to be the agent of a home. The kernel takes it back when the process ends, however
/// it ends, so a file that is left over never stands in the way.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock and leaves the process id in the file for people.
    ///
    /// # Errors
    /// [`LockError::Taken`] when another agent runs; it is not disturbed.
    pub fn take(paths: &Paths) -> Result<Self, LockError> {
        let path = paths.lock_file();
        let failed = |source| LockError::File {
            path: path.clone(),
            source,
        };
        let mut file = open_private(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Only to name the other process; without it the error still says enough.
                let _ = (&file).take(32).read_to_string(&mut text);
                return Err(LockError::Taken {
                    pid: text.trim().parse().ok(),
                    home: path,
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Why the home is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error(
        "another agent{} holds `{home}`; stop it first, or give this one a home of its own with `--home DIR`",
        .pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
    )]
    Taken { pid: Option<u32>, home: PathBuf },
    #[error("could not lock `{path}`")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Paths) {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::under(folder.path()).unwrap();
        paths.create().unwrap();
        (folder, paths)
    }

    #[test]
    fn a_node_keeps_its_name() {
        let (_folder, paths) = home();
        let first = Identity::load_or_create(&paths).unwrap();
        let second = Identity::load_or_create(&paths).unwrap();
        assert_eq!(first.node(), second.node());
        assert_eq!(first.node().to_string().len(), 32);
        assert!(!format!("{first:?}").contains("PRIVATE"));
    }

    #[test]
    fn a_damaged_key_is_refused_and_kept() {
        let (_folder, paths) = home();
        std::fs::write(paths.identity_file(), "-----BEGIN").unwrap();
        let error = Identity::load_or_create(&paths).unwrap_err();
        assert!(matches!(error, IdentityError::Damaged { .. }), "{error}");
        assert_eq!(
            std::fs::read_to_string(paths.identity_file()).unwrap(),
            "-----BEGIN"
        );
    }

    #[test]
    fn a_home_has_one_agent() {
        let (_folder, paths) = home();
        let lock = Lock::take(&paths).unwrap();
        let error = Lock::take(&paths).unwrap_err().to_string();
        let pid = format!("(process {})", std::process::id());
        assert!(error.contains(&pid), "{error}");
        drop(lock);
        Lock::take(&paths).unwrap();
    }
}
