//! What was there before: contents by their digest, private, beside the journals.
//!
//! Decides that a content is durable before anything that it replaces is touched, and that what comes back is what went in.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::limits::KEPT_FILE_BYTES_MAX;
use crate::paths::private_folder;

/// A folder of contents.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    folder: PathBuf,
}

/// The SHA-256 of bytes, in hex.
#[must_use]
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes).as_slice())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The SHA-256 of all that a reader has; what is written meanwhile goes to `copy`.
pub(super) fn sha256_of(reader: &mut dyn Read, copy: &mut dyn io::Write) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut part = vec![0; 256 << 10];
    let mut total = 0_u64;
    loop {
        let count = match reader.read(&mut part) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let Some(part) = part.get(..count).filter(|part| !part.is_empty()) else {
            return Ok(hex(hasher.finalize().as_slice()));
        };
        total += part.len() as u64;
        if total > KEPT_FILE_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it has more than {KEPT_FILE_BYTES_MAX} bytes, which is the limit"),
            ));
        }
        hasher.update(part);
        copy.write_all(part)?;
    }
}

impl Kept {
    /// What is kept there.
    pub(super) const fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Makes the folder, private, if it is not there.
    pub(super) fn make(&self) -> io::Result<()> {
        private_folder(&self.folder)
    }

    /// Keeps a content; durable when this returns. Gives its digest.
    pub(super) fn keep(&self, reader: &mut dyn Read) -> io::Result<String> {
        let mut temporary = tempfile::Builder::new()
            .prefix(".new-")
            .tempfile_in(&self.folder)?;
        let digest = sha256_of(reader, temporary.as_file_mut())?;
        let path = self.folder.join(&digest);
        // What is there under this name is this, unless a disk lied; then the new one is as good.
        temporary.as_file().sync_all()?;
        temporary.persist(&path).map_err(|failed| failed.error)?;
        File::open(&self.folder)?.sync_all()?;
        Ok(digest)
    }

    /// A content that was kept. Whoever reads it checks the digest.
    pub(super) fn open_content(&self, digest: &str) -> io::Result<File> {
        if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        File::open(self.folder.join(digest))
    }

    /// A small content that was kept, checked.
    pub(super) fn read(&self, digest: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let found = sha256_of(&mut self.open_content(digest)?, &mut bytes)?;
        if found != digest {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "`{}` is not what was kept",
                    self.folder.join(digest).display()
                ),
            ));
        }
        let _ = bytes.flush();
        Ok(bytes)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}
