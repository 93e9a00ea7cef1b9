//! Fetching a model over HTTP: attempts, pauses, and what is done with the bytes in the end.
//!
//! Decides when to try again, when to begin anew and when to give up; and that no file gets its
//! name before its digest has been compared. Refuses to know how one answer is read; see
//! `transfer`.

use std::sync::PoisonError;
use std::time::Duration;

use ureq::http::Uri;

use super::catalogue::Catalogue;
use super::digest::Digest;
use super::error::{CatalogueError, PullError};
use super::limits::{
    ATTEMPTS_MAX, FRUITLESS_ATTEMPTS_MAX, PULLS_MAX, RETRY_PAUSE, RETRY_PAUSE_MAX,
};
use super::partial::{self, Partial};
use super::pull::{Arrived, Cancel, Pace, Progress};
use super::transfer::{Interruption, Transfer};

pub(super) fn download(
    url: &Uri,
    expected: Option<Digest>,
    catalogue: &Catalogue,
    cancel: &Cancel,
    pace: &mut Pace<'_>,
) -> Result<Arrived, PullError> {
    let address = url.to_string();
    let _claim = Claim::take(catalogue, &address)?;
    let mut attempts = Attempts::default();
    loop {
        let mut partial = open(catalogue, &address, cancel, pace)?;
        let found_bytes = partial.bytes();
        let mut transfer = Transfer::new(url, &mut partial, expected, cancel);
        while let Err(interruption) = transfer.attempt(pace) {
            let (pause, reason) = attempts.after(interruption, transfer.bytes())?;
            let attempt = attempts.made + 1;
            pace.tell_now(Progress::Retrying {
                attempt,
                pause,
                reason,
            });
            cancel.pause(pause)?;
        }
        let expected = expected.or(transfer.announced);
        let (digest, bytes) = (partial.digest(), partial.bytes());
        if expected.is_none_or(|expected| expected == digest) {
            let blob = catalogue.folders.blobs.join(digest.blob_name());
            partial
                .keep_as(&blob)
                .map_err(CatalogueError::io("write", &blob))?;
            return Ok(Arrived {
                digest,
                bytes,
                linked_modified_ns: None,
            });
        }
        let folder = &catalogue.folders.partial;
        partial
            .discard()
            .map_err(CatalogueError::io("clear", folder))?;
        // Pieces of two versions may be to blame; a file fetched in one piece is not mended by
        // fetching it again.
        let pieced = found_bytes > 0 || attempts.made > 0;
        if !pieced || attempts.began_anew {
            return Err(mismatch(expected, digest));
        }
        attempts.began_anew = true;
    }
}

/// The right to write one partial file, given back when dropped.
struct Claim<'a> {
    catalogue: &'a Catalogue,
    key: String,
}

impl<'a> Claim<'a> {
    fn take(catalogue: &'a Catalogue, address: &str) -> Result<Self, PullError> {
        let key = partial::key(address);
        let mut pulling = catalogue
            .pulling
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if pulling.contains(&key) {
            return Err(PullError::Busy);
        }
        if pulling.len() >= PULLS_MAX {
            return Err(PullError::Crowded);
        }
        pulling.insert(key.clone());
        Ok(Self { catalogue, key })
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut pulling = self
            .catalogue
            .pulling
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        pulling.remove(&self.key);
    }
}

/// How often it was tried, and what came of it.
#[derive(Default)]
struct Attempts {
    made: u32,
    fruitless: u32,
    bytes_before: u64,
    began_anew: bool,
}

impl Attempts {
    /// How long to wait before the next attempt and why there is one, or the error that there is
    /// none.
    fn after(
        &mut self,
        interruption: Interruption,
        bytes: u64,
    ) -> Result<(Duration, String), PullError> {
        self.made += 1;
        let progress = bytes > self.bytes_before;
        self.bytes_before = bytes;
        self.fruitless = if progress { 0 } else { self.fruitless + 1 };
        let spent = self.fruitless >= FRUITLESS_ATTEMPTS_MAX || self.made >= ATTEMPTS_MAX;
        match interruption {
            Interruption::Fatal(error) => Err(error),
            Interruption::Again { reason, .. } if spent => Err(PullError::Transport {
                attempts: self.made,
                reason,
            }),
            Interruption::Again { wait, reason } => {
                let doubled = RETRY_PAUSE.saturating_mul(1 << self.fruitless.min(16));
                Ok((wait.unwrap_or(doubled).min(RETRY_PAUSE_MAX), reason))
            }
        }
    }
}

fn open(
    catalogue: &Catalogue,
    address: &str,
    cancel: &Cancel,
    pace: &mut Pace<'_>,
) -> Result<Partial, PullError> {
    let folder = &catalogue.folders.partial;
    let opened = Partial::open(folder, address, |done_bytes, total_bytes| {
        pace.tell(|| Progress::Checking {
            done_bytes,
            total_bytes,
        });
        cancel.check().map_err(Opening::Ended)
    });
    opened.map_err(|e| match e {
        Opening::Ended(e) => e,
        Opening::Io(e) => CatalogueError::io("open a partial file in", folder)(e).into(),
    })
}

enum Opening {
    Ended(PullError),
    Io(std::io::Error),
}

impl From<std::io::Error> for Opening {
    fn from(e: std::io::Error) -> Self {
        Self::Io(e)
    }
}

fn mismatch(expected: Option<Digest>, found: Digest) -> PullError {
    PullError::Digest {
        expected: expected.unwrap_or(found),
        found,
    }
}
