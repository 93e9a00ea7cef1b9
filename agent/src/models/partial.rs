//! What an interrupted download has so far, and the right to go on with it.
//!
//! Decides how much of a partial file may be believed: all of it while the machine has not been
//! restarted (a killed process loses nothing that it wrote), and after a restart only what had
//! been synced. Refuses to know how the bytes come.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use super::digest::Digest;
use super::file;
use super::limits::{CHUNK_BYTES, MANIFEST_BYTES_MAX, SYNC_EVERY_BYTES};

/// A file that is being filled. Its bytes are hashed as they come.
#[derive(Debug)]
pub(super) struct Partial {
    file: File,
    path: PathBuf,
    about_path: PathBuf,
    about: About,
    hasher: sha2::Sha256,
    bytes: u64,
    synced_bytes: u64,
}

/// Which file it is a part of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct About {
    /// The address that was asked for, so that two addresses with one key are noticed.
    url: String,
    /// The server's word for this version of the file, for `If-Range`.
    validator: Option<String>,
    /// How long the whole is.
    total_bytes: Option<u64>,
    /// How much is on the disk for certain.
    synced_bytes: u64,
    /// The run of the machine in which it was written.
    boot_id: Option<String>,
}

impl Partial {
    /// Opens what there is for an address, or begins. `checked` is told how far the reading of
    /// what is there has come; its error ends it.
    pub(super) fn open<E: From<io::Error>>(
        folder: &Path,
        url: &str,
        mut checked: impl FnMut(u64, u64) -> Result<(), E>,
    ) -> Result<Self, E> {
        let key = key(url);
        let path = folder.join(format!("{key}.part"));
        let about_path = folder.join(format!("{key}.json"));
        let about = read_about(&about_path, url);
        let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(flags)
            .mode(0o600)
            .open(&path)?;
        let there = file.metadata()?.len();
        let believed = match &about {
            Some(about) if about.boot_id.is_some() && about.boot_id == boot_id() => there,
            Some(about) => about.synced_bytes.min(there),
            None => 0,
        };
        let fits = |about: &About| about.total_bytes.is_none_or(|total| believed <= total);
        let about = about.filter(fits);
        let mut partial = Self {
            file,
            path,
            about_path,
            hasher: sha2::Sha256::new(),
            bytes: 0,
            synced_bytes: 0,
            about: About {
                url: url.to_owned(),
                ..About::default()
            },
        };
        if let Some(about) = about {
            partial.about = about;
            partial.file.set_len(believed)?;
            partial.read_again(believed, &mut checked)?;
        } else {
            partial.file.set_len(0)?;
        }
        Ok(partial)
    }

    /// How many bytes it has.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The word that names this version of the file.
    pub(super) fn validator(&self) -> Option<&str> {
        self.about.validator.as_deref()
    }

    /// How many bytes it will have.
    pub(super) fn total_bytes(&self) -> Option<u64> {
        self.about.total_bytes
    }

    /// Throws away what is there and begins with a version of the file.
    pub(super) fn restart(
        &mut self,
        validator: Option<String>,
        total_bytes: Option<u64>,
    ) -> io::Result<()> {
        self.about = About {
            url: self.about.url.clone(),
            validator,
            total_bytes,
            synced_bytes: 0,
            boot_id: boot_id(),
        };
        // Emptied before it is described: bytes of one version never stand under another's name.
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.hasher = sha2::Sha256::new();
        self.bytes = 0;
        self.synced_bytes = 0;
        self.write_about()
    }

    /// Adds bytes at the end. When that fails, what was there before is still right.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(e) = self.file.write_all(bytes) {
            self.file.set_len(self.bytes)?;
            self.file.seek(SeekFrom::Start(self.bytes))?;
            return Err(e);
        }
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        if self.bytes - self.synced_bytes >= SYNC_EVERY_BYTES {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Makes what is there last.
    pub(super) fn checkpoint(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.synced_bytes = self.bytes;
        self.about.synced_bytes = self.bytes;
        self.about.boot_id = boot_id();
        self.write_about()
    }

    /// Where it lies.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new("."))
    }

    /// The digest of what is there.
    pub(super) fn digest(&self) -> Digest {
        Digest::finish(self.hasher.clone())
    }

    /// Puts the whole file in its place, synced first.
    pub(super) fn keep_as(self, blob: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, blob)?;
        file::sync_folder(blob.parent().unwrap_or_else(|| Path::new(".")))?;
        file::remove_if_there(&self.about_path)
    }

    /// Throws it away.
    pub(super) fn discard(self) -> io::Result<()> {
        file::remove_if_there(&self.path)?;
        file::remove_if_there(&self.about_path)
    }

    fn write_about(&self) -> io::Result<()> {
        file::replace(&self.about_path, &serde_json::to_vec(&self.about)?)
    }

    fn read_again<E: From<io::Error>>(
        &mut self,
        total: u64,
        checked: &mut impl FnMut(u64, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let count = self.file.read(&mut buffer)?;
            let Some(chunk) = buffer.get(..count).filter(|chunk| !chunk.is_empty()) else {
                break;
            };
            self.hasher.update(chunk);
            self.bytes += chunk.len() as u64;
            checked(self.bytes, total)?;
        }
        self.synced_bytes = self.about.synced_bytes.min(self.bytes);
        Ok(())
    }
}

/// The name of an address's partial file. Addresses have characters that file names have not.
pub(super) fn key(url: &str) -> String {
    let mut key = Digest::of(url.as_bytes()).to_hex();
    key.truncate(32);
    key
}

fn read_about(path: &Path, url: &str) -> Option<About> {
    let text = file::read_small(path, MANIFEST_BYTES_MAX).ok()?;
    let about: About = serde_json::from_slice(&text).ok()?;
    (about.url == url).then_some(about)
}

/// Linux' name for this run of the machine.
fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}
