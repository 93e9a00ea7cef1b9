//! The limits of a confined process that the kernel counts. Decides which are set; the numbers are in `limits`.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Walls;
use crate::limits::{CARD_FILE_BYTES, CONFINED_FILES, CONFINED_FILES_CARD};

/// No core dump, ever.
pub(super) fn no_core() -> rustix::io::Result<()> {
    lower(Resource::Core, 0)
}

pub(super) fn set(walls: &Walls) -> rustix::io::Result<()> {
    let (files, bytes) = if walls.devices {
        (CONFINED_FILES_CARD, walls.file_bytes.max(CARD_FILE_BYTES))
    } else {
        (CONFINED_FILES, walls.file_bytes)
    };
    let limits = [
        (Resource::Core, 0),
        (Resource::Nofile, files),
        (Resource::Fsize, bytes),
        (Resource::Msgqueue, 0),
        (Resource::Rtprio, 0),
    ];
    limits
        .into_iter()
        .try_for_each(|(resource, limit)| lower(resource, limit))
}

/// A lower limit that is already there stays.
fn lower(resource: Resource, limit: u64) -> rustix::io::Result<()> {
    let most = getrlimit(resource).maximum.unwrap_or(limit).min(limit);
    let both = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    setrlimit(resource, both)
}
