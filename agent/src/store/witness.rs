//! The witness: a small file beside the engine that says how far the log was acknowledged.
//!
//! An engine that finds its newest pages torn goes back to older ones and says nothing; both do. The
//! head is therefore written here as well, after the engine's commit and before the acknowledgement:
//! a log that ends before its witness has lost something. Two places take turns, so that a torn write
//! leaves the one before.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::head::Head;

pub(super) struct Witness {
    file: File,
}

impl Witness {
    /// Makes the file; durable once the folder is synced.
    pub(super) fn create(path: &Path, head: &Head) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let witness = Self { file };
        witness.file.set_len(2 * PLACE_BYTES)?;
        witness.write(head)?;
        witness.file.sync_all()?;
        Ok(witness)
    }

    /// Opens the file and tells the newest head in it, if any can be read.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Option<Head>)> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let heads = [0, 1].map(|place| read(&file, place));
        let newest = heads.into_iter().flatten().max_by_key(|head| head.commits);
        Ok((Self { file }, newest))
    }

    /// Writes a head; durable once this returns.
    pub(super) fn write(&self, head: &Head) -> io::Result<()> {
        let sealed = head.seal();
        let length = u32::try_from(sealed.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        if u64::from(length) + 4 > PLACE_BYTES {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut text = length.to_be_bytes().to_vec();
        text.extend_from_slice(&sealed);
        self.file
            .write_all_at(&text, (head.commits % 2) * PLACE_BYTES)?;
        self.file.sync_data()
    }
}

fn read(file: &File, place: u64) -> Option<Head> {
    let mut length = [0; 4];
    let start = place * PLACE_BYTES;
    file.read_exact_at(&mut length, start).ok()?;
    let length = u32::from_be_bytes(length);
    if u64::from(length) + 4 > PLACE_BYTES {
        return None;
    }
    let mut sealed = vec![0; length as usize];
    file.read_exact_at(&mut sealed, start + 4).ok()?;
    Head::unseal(&sealed)
}

/// A head has at most 8 values of 256 bytes and some 200 bytes of its own; a page of the disk each.
const PLACE_BYTES: u64 = 4_096;
