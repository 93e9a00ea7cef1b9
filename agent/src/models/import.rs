//! Taking in a file that lies on this machine.
//!
//! Decides how its bytes get into the catalogue: a copy that shares its blocks where the file
//! system can do that, else a second name for the same file, else a copy. Whichever it is, what
//! is hashed is what is kept. Refuses to follow what is not a regular file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::Digest as _;

use super::catalogue::Catalogue;
use super::digest::Digest;
use super::error::{CatalogueError, PullError};
use super::file;
use super::format::{Format, HEAD_BYTES};
use super::limits::{CHUNK_BYTES, MODEL_BYTES_MAX};
use super::manifest::modified_ns;
use super::pull::{Arrived, Cancel, Pace, Progress, Pull, check_room};

pub(super) fn import(
    pull: &Pull,
    path: &Path,
    catalogue: &Catalogue,
    cancel: &Cancel,
    pace: &mut Pace<'_>,
) -> Result<Arrived, PullError> {
    let (mut original, about) = open(path)?;
    if about.len() > MODEL_BYTES_MAX {
        return Err(PullError::Large(about.len()));
    }
    let mut head = [0; HEAD_BYTES];
    let head_bytes = read_full(&mut original, &mut head).map_err(reading(path))?;
    Format::of(head.get(..head_bytes).unwrap_or_default())?;

    let blobs = &catalogue.folders.blobs;
    let temporary = Temporary::take(&original, path, &about, blobs)?;
    let digest = match &temporary.how {
        How::Copied(file) => {
            check_room(blobs, about.len())?;
            copy(path, file, about.len(), cancel, pace)?
        }
        How::Cloned(file) => hash(path, file.try_clone(), about.len(), cancel, pace)?,
        How::Linked => hash(path, File::open(&temporary.path), about.len(), cancel, pace)?,
    };
    let after = original.metadata().map_err(reading(path))?;
    if after.len() != about.len() || modified_ns(&after) != modified_ns(&about) {
        return Err(PullError::Changed(path.to_owned()));
    }
    if let Some(expected) = pull.expected.filter(|expected| *expected != digest) {
        return Err(PullError::Digest {
            expected,
            found: digest,
        });
    }
    let linked = matches!(temporary.how, How::Linked);
    temporary.keep_as(&blobs.join(digest.blob_name()), blobs)?;
    Ok(Arrived {
        digest,
        bytes: about.len(),
        linked_modified_ns: linked.then(|| modified_ns(&about)),
    })
}

/// A file in `blobs` that is removed again unless it is kept.
struct Temporary {
    path: PathBuf,
    how: How,
    kept: bool,
}

enum How {
    /// Shares its blocks with the original until one is written to.
    Cloned(File),
    /// Is the original, under a second name.
    Linked,
    /// Is empty, and to be filled.
    Copied(File),
}

impl Temporary {
    fn take(
        original: &File,
        path: &Path,
        about: &fs::Metadata,
        blobs: &Path,
    ) -> Result<Self, PullError> {
        let failed = |e| PullError::from(CatalogueError::io("write in", blobs)(e));
        let (file, temporary) = file::create_temporary(blobs).map_err(failed)?;
        if rustix::fs::ioctl_ficlone(&file, original).is_ok() {
            return Ok(Self {
                path: temporary,
                how: How::Cloned(file),
                kept: false,
            });
        }
        if let Some(linked) = link(path, about, blobs) {
            // The empty one has done its work.
            let _ = fs::remove_file(&temporary);
            return Ok(Self {
                path: linked,
                how: How::Linked,
                kept: false,
            });
        }
        Ok(Self {
            path: temporary,
            how: How::Copied(file),
            kept: false,
        })
    }

    fn keep_as(mut self, blob: &Path, blobs: &Path) -> Result<(), PullError> {
        let synced = match &self.how {
            How::Cloned(file) | How::Copied(file) => file.sync_all(),
            How::Linked => Ok(()),
        };
        synced
            .and_then(|()| fs::rename(&self.path, blob))
            .and_then(|()| file::sync_folder(blobs))
            .map_err(CatalogueError::io("write", blob))?;
        // Two names of one file are left as they are by a rename (POSIX), which ends well here
        // but leaves the first name.
        self.kept = !self.path.exists();
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            // Swept at the next start if it stays.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A second name for the file that `about` describes, if the system allows one.
fn link(path: &Path, about: &fs::Metadata, blobs: &Path) -> Option<PathBuf> {
    // A name that is free: made, and given up again for the link.
    let (_, temporary) = file::create_temporary(blobs).ok()?;
    fs::remove_file(&temporary).ok()?;
    let real = path.canonicalize().ok()?;
    fs::hard_link(real, &temporary).ok()?;
    let same = temporary
        .symlink_metadata()
        .is_ok_and(|linked| linked.ino() == about.ino() && linked.dev() == about.dev());
    if !same {
        let _ = fs::remove_file(&temporary);
    }
    same.then_some(temporary)
}

fn open(path: &Path) -> Result<(File, fs::Metadata), PullError> {
    // Opening a pipe would wait for somebody to write into it.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = file.map_err(|e| match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            PullError::Missing(path.to_owned())
        }
        _ => reading(path)(e),
    })?;
    let about = file.metadata().map_err(reading(path))?;
    if !about.is_file() {
        return Err(PullError::NotFile(path.to_owned()));
    }
    Ok((file, about))
}

fn hash(
    path: &Path,
    file: io::Result<File>,
    total_bytes: u64,
    cancel: &Cancel,
    pace: &mut Pace<'_>,
) -> Result<Digest, PullError> {
    let mut file = file.map_err(reading(path))?;
    digest_of(&mut file, path, total_bytes, cancel, pace, |_| Ok(()))
}

fn copy(
    path: &Path,
    mut to: &File,
    total_bytes: u64,
    cancel: &Cancel,
    pace: &mut Pace<'_>,
) -> Result<Digest, PullError> {
    let mut original = File::open(path).map_err(reading(path))?;
    let mut written_bytes = 0;
    digest_of(&mut original, path, total_bytes, cancel, pace, |chunk| {
        to.write_all(chunk).map_err(|e| {
            if file::is_full(&e) {
                PullError::DiskFilled { written_bytes }
            } else {
                CatalogueError::io("copy", path)(e).into()
            }
        })?;
        written_bytes += chunk.len() as u64;
        Ok(())
    })
}

fn digest_of(
    file: &mut File,
    path: &Path,
    total_bytes: u64,
    cancel: &Cancel,
    pace: &mut Pace<'_>,
    mut each: impl FnMut(&[u8]) -> Result<(), PullError>,
) -> Result<Digest, PullError> {
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut done_bytes = 0;
    loop {
        cancel.check()?;
        let count = read_full(file, &mut buffer).map_err(reading(path))?;
        let chunk = buffer.get(..count).unwrap_or_default();
        if chunk.is_empty() {
            break;
        }
        hasher.update(chunk);
        each(chunk)?;
        done_bytes += chunk.len() as u64;
        if done_bytes > total_bytes {
            return Err(PullError::Changed(path.to_owned()));
        }
        pace.tell(|| Progress::Bytes {
            done_bytes,
            total_bytes: Some(total_bytes),
            resumed_bytes: 0,
        });
    }
    if done_bytes != total_bytes {
        return Err(PullError::Changed(path.to_owned()));
    }
    Ok(Digest::finish(hasher))
}

fn read_full(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

fn reading(path: &Path) -> impl FnOnce(io::Error) -> PullError {
    let path = path.to_owned();
    move |e| CatalogueError::io("read", path)(e).into()
}
