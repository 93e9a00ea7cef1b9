//! Downloads: a file by HTTPS, believed only by its size and digest.

use std::fs::File;

use super::ActError;
use crate::plugins::source;

/// Writes what is at an address into a file.
///
/// # Errors
/// When it cannot be had, or is not what was said.
pub(super) fn fetch(
    url: &str,
    sha256: &str,
    size_bytes: u64,
    to: &mut File,
) -> Result<(), ActError> {
    let mut counted = Counted {
        to,
        bytes: 0,
        most: size_bytes,
    };
    let mut hasher = Hashing::new(&mut counted);
    source::download(url, size_bytes, &mut hasher)
        .map_err(|error| ActError::Fetch(error.to_string()))?;
    let found = hasher.finish();
    if counted.bytes != size_bytes {
        return Err(ActError::Fetch(format!(
            "`{url}` has {} bytes and should have {size_bytes}",
            counted.bytes
        )));
    }
    if found != sha256 {
        return Err(ActError::Fetch(format!(
            "`{url}` has the digest {found} and should have {sha256}; do not use it"
        )));
    }
    Ok(())
}

/// Counts what is written, and takes no more than there should be.
struct Counted<'a> {
    to: &'a mut File,
    bytes: u64,
    most: u64,
}

impl std::io::Write for Counted<'_> {
    fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
        if self.bytes + part.len() as u64 > self.most {
            return Err(std::io::Error::new(
                std::io::ErrorKind::FileTooLarge,
                format!(
                    "it has more than the {} bytes that it should have",
                    self.most
                ),
            ));
        }
        let count = self.to.write(part)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

/// Hashes what goes through.
struct Hashing<'a, 'b> {
    to: &'a mut Counted<'b>,
    hasher: sha2::Sha256,
}

impl<'a, 'b> Hashing<'a, 'b> {
    fn new(to: &'a mut Counted<'b>) -> Self {
        use sha2::Digest as _;
        Self {
            to,
            hasher: sha2::Sha256::new(),
        }
    }

    fn finish(self) -> String {
        crate::models::Digest::finish(self.hasher).to_hex()
    }
}

impl std::io::Write for Hashing<'_, '_> {
    fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
        use sha2::Digest as _;
        let count = self.to.write(part)?;
        self.hasher.update(part.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}
