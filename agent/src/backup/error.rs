//! Why a backup was not made, or is not put back.

use std::io;
use std::path::{Path, PathBuf};

/// What was there before is untouched, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("it is no backup of skep's")]
    Foreign,
    #[error("it was cut or altered, and nothing of it is used; take another backup")]
    Torn,
    #[error("it is of version {0}, this skep reads version {version}", version = super::sealed::VERSION)]
    Version(u32),
    #[error("it is sealed: give its passphrase with `--passphrase-file FILE`")]
    Locked,
    #[error("the passphrase does not open it")]
    Passphrase,
    #[error("it has what no backup has: {0}")]
    Odd(String),
    #[error("the cluster's state could not be read: {0}")]
    State(String),
    #[error("could not write the backup")]
    Write(#[source] io::Error),
    #[error("could not read the backup")]
    Read(#[source] io::Error),
    #[error("could not {verb} `{path}`")]
    File {
        verb: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("inside skep: {0}")]
    Own(String),
}

/// An error about a file.
pub(super) fn file(
    verb: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> BackupError + use<> {
    let path = path.to_owned();
    move |source| BackupError::File { verb, path, source }
}
