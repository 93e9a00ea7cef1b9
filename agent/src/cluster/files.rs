//! What a node keeps of its membership besides the cluster's log: one folder, which is set aside whole when
//! the node joins another cluster (`moving.rs`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use skep_core::AuthorityId;

use super::ClusterError;
use crate::net::Welcome;
use crate::paths::{private_folder, replace_durably};

/// The folder of one membership.
#[derive(Clone, Debug)]
pub(super) struct Files {
    folder: PathBuf,
}

/// This node's certificate and the authority that gave it, in DER.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Papers {
    pub(super) certificate: Vec<u8>,
    pub(super) authority: Vec<u8>,
}

impl Files {
    pub(super) fn open(folder: PathBuf) -> Result<Self, ClusterError> {
        private_folder(&folder).map_err(|source| failed(&folder, source))?;
        Ok(Self { folder })
    }

    /// The cluster's log.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The private key of an authority.
    pub(super) fn authority(&self, id: AuthorityId) -> PathBuf {
        let name: String = id.to_string().chars().take(16).collect();
        self.folder.join(format!("authority-{name}.pem"))
    }

    /// What the cluster said when this node joined it; none on the node that founded it.
    pub(super) fn welcome(&self) -> Result<Option<Welcome>, ClusterError> {
        self.read("welcome")
    }

    pub(super) fn set_welcome(&self, welcome: &Welcome) -> Result<(), ClusterError> {
        self.write("welcome", welcome)
    }

    pub(super) fn papers(&self) -> Result<Option<Papers>, ClusterError> {
        self.read("papers")
    }

    pub(super) fn set_papers(&self, papers: &Papers) -> Result<(), ClusterError> {
        self.write("papers", papers)
    }

    /// Begins a life of this node that is later than every one before; durable when this returns.
    pub(super) fn next_generation(&self) -> Result<u64, ClusterError> {
        let next = self.generation()?.saturating_add(1);
        self.set_generation(next)?;
        Ok(next)
    }

    /// The number of the latest life; 0 before the first.
    pub(super) fn generation(&self) -> Result<u64, ClusterError> {
        Ok(self.read("generation")?.unwrap_or(0))
    }

    /// This life has this number now.
    pub(super) fn set_generation(&self, generation: u64) -> Result<(), ClusterError> {
        self.write("generation", &generation)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ClusterError> {
        let path = self.folder.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&path, error)),
        };
        let damaged = || ClusterError::Damaged(path.clone());
        postcard::from_bytes(&bytes)
            .map(Some)
            .map_err(|_| damaged())
    }

    fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), ClusterError> {
        let path = self.folder.join(name);
        let failed = |source| failed(&path, source);
        let bytes = postcard::to_stdvec(value).map_err(|error| failed(io::Error::other(error)))?;
        replace_durably(&path, &bytes).map_err(failed)
    }
}

impl Papers {
    pub(super) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone().into()
    }

    pub(super) fn authority(&self) -> CertificateDer<'static> {
        self.authority.clone().into()
    }
}

pub(super) fn failed(path: &Path, source: io::Error) -> ClusterError {
    ClusterError::File {
        path: path.into(),
        source,
    }
}
