//! `interface files`: the model's own files, read-only.
//!
//! Decides what counts as a file (a regular one) and that a guest reads within it. Refuses to know formats.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::OnceLock;

use skep_hw::Region;

use crate::limits::FILE_READ_BYTES;
use crate::protocol::{Error, Invalid};

/// One open model file.
#[derive(Debug)]
pub struct SourceFile {
    file: File,
    name: String,
    size: u64,
    /// The file mapped into memory, from the first weight on.
    region: OnceLock<Region>,
}

impl SourceFile {
    /// Opens a file for reading. A link is followed; what it leads to must be a regular file, so that no pipe,
    /// device or folder is ever read or mapped.
    ///
    /// # Errors
    /// `Malformed` naming the file when it is not a regular file, `Other` when it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let shown = path.display();
        // Without O_NONBLOCK a pipe would keep us waiting before we can look at what it is.
        let flags =
            rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(path)
            .map_err(|source| {
                Error::Other(format!("could not open the model file `{shown}`: {source}"))
            })?;
        let metadata = file.metadata().map_err(|source| {
            Error::Other(format!(
                "could not look at the model file `{shown}`: {source}"
            ))
        })?;
        if !metadata.is_file() {
            return Err(Error::Malformed(format!("`{shown}` is not a regular file")));
        }
        let name = path
            .file_name()
            .unwrap_or(path.as_os_str())
            .to_string_lossy()
            .into_owned();
        Ok(Self {
            file,
            name,
            size: metadata.len(),
            region: OnceLock::new(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its length when it was opened, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn read(&self, offset: u64, length: u32) -> Result<Vec<u8>, Error> {
        if length > FILE_READ_BYTES {
            return Err(Error::Invalid(Invalid {
                field: Some("length".to_owned()),
                message: format!(
                    "{length} bytes are more than one read may take ({FILE_READ_BYTES})"
                ),
            }));
        }
        let there = self.size.saturating_sub(offset).min(u64::from(length));
        let mut bytes = vec![0; usize::try_from(there).unwrap_or_default()];
        match self.file.read_exact_at(&mut bytes, offset) {
            Ok(()) => Ok(bytes),
            Err(source) if source.kind() == std::io::ErrorKind::UnexpectedEof => Err(self.shrunk()),
            Err(source) => Err(Error::Other(format!(
                "could not read `{}`: {source}",
                self.name
            ))),
        }
    }

    /// The whole file, mapped, with what is packed of it for the processor kept in a file `path`.
    ///
    /// # Errors
    /// `Other` when the file cannot be mapped.
    pub fn keep_packed(&self, path: &Path) -> Result<Region, Error> {
        let region = self.region()?;
        region.keep_packed(path);
        Ok(region)
    }

    /// The whole file, mapped once.
    pub(super) fn region(&self) -> Result<Region, Error> {
        if let Some(region) = self.region.get() {
            return Ok(region.clone());
        }
        let region = Region::map(&self.file)
            .map_err(|source| Error::Other(format!("could not map `{}`: {source}", self.name)))?;
        Ok(self.region.get_or_init(|| region).clone())
    }

    fn shrunk(&self) -> Error {
        Error::Malformed(format!(
            "`{}` became shorter than the {} bytes it had when it was opened",
            self.name, self.size
        ))
    }
}
