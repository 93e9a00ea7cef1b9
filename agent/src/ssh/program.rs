//! The program that is copied: this one where it fits, or one that was named.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::limits::SSH_PROGRAM_BYTES_MAX;

/// A skep for one kind of processor.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where it lies here.
    pub path: PathBuf,
    /// SHA-256, in 64 digits.
    pub digest: String,
    pub bytes: u64,
    /// As `uname -m` names it.
    pub architecture: &'static str,
}

/// Why there is nothing to copy.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It cannot be read.
    #[error("could not read `{path}`")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no program for Linux on a processor that skep runs on.
    #[error("`{0}` is no program for Linux on x86_64 or aarch64")]
    Foreign(PathBuf),
    /// It is too large.
    #[error("`{0}` is larger than any skep")]
    Large(PathBuf),
}

impl Program {
    /// The program at that place.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn at(path: &Path) -> Result<Self, ProgramError> {
        let failed = |source| ProgramError::File {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > SSH_PROGRAM_BYTES_MAX {
            return Err(ProgramError::Large(path.to_owned()));
        }
        let mut file = file.take(SSH_PROGRAM_BYTES_MAX);
        let mut head = [0; 20];
        let read = file.read_exact(&mut head);
        let architecture = read
            .ok()
            .and_then(|()| architecture(&head))
            .ok_or_else(|| ProgramError::Foreign(path.to_owned()))?;
        let mut hash = Sha256::new();
        hash.update(head);
        let rest = io::copy(&mut file, &mut hash).map_err(failed)?;
        let digest = hash.finalize();
        Ok(Self {
            path: path.to_owned(),
            digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            bytes: rest + head.len() as u64,
            architecture,
        })
    }
}

/// What an ELF file's first bytes say that it is for (System V ABI, chapter 4).
fn architecture(head: &[u8; 20]) -> Option<&'static str> {
    let [0x7f, b'E', b'L', b'F', 2, 1, .., low, high] = head else {
        return None;
    };
    match u16::from_le_bytes([*low, *high]) {
        62 => Some("x86_64"),
        183 => Some("aarch64"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_their_first_bytes() {
        let own = Program::at(&std::env::current_exe().unwrap()).unwrap();
        assert_eq!(own.architecture, std::env::consts::ARCH);
        assert_eq!(own.digest.len(), 64);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        for text in [&b"#!/bin/sh\nexit 0\n# long enough"[..], b"", b"\x7fELF"] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(Program::at(&path), Err(ProgramError::Foreign(_))));
        }
        assert!(Program::at(folder.path()).is_err());
        assert!(Program::at(&folder.path().join("none")).is_err());
    }
}
