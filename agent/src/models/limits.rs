//! Every bound on model files, with its reason; decides nothing else.

use std::time::Duration;

/// Longest name of a model: `<name>.json` must fit the 255 bytes of a file name everywhere.
pub(super) const NAME_BYTES_MAX: usize = 128;

/// Largest manifest that is read: ours have about 300 bytes, anything near this is not ours.
pub(super) const MANIFEST_BYTES_MAX: u64 = 64 * 1024;

/// Most manifests that are read: a folder with more is not a catalogue that anybody keeps by hand.
pub(super) const MANIFESTS_MAX: usize = 4096;

/// Largest model file: four times the largest open model of today in F16 (1 T parameters, 2 TB).
pub(super) const MODEL_BYTES_MAX: u64 = 8 << 40;

/// Left free on the file system by a pull, so that the node's own state can still be written.
pub(super) const DISK_RESERVE_BYTES: u64 = 64 << 20;

/// One read or write of a transfer: large enough that system calls do not count.
pub(super) const CHUNK_BYTES: usize = 256 * 1024;

/// How much of a partial file may be lost to a power cut: it is synced at least this often.
pub(super) const SYNC_EVERY_BYTES: u64 = 64 << 20;

/// Redirects followed for one answer: mirrors and content networks need two or three.
pub(super) const REDIRECTS_MAX: usize = 5;

/// Longest name of an owner or a repository of a hub: Hugging Face allows 96.
pub(super) const HUB_NAME_BYTES_MAX: usize = 96;

/// Largest list of a repository's files: about 300 bytes each, and a hub gives a thousand at once.
pub(super) const HUB_LIST_BYTES_MAX: u64 = 4 << 20;

/// How many of a repository's files an error names: what a person still reads.
pub(super) const HUB_FILES_SHOWN_MAX: usize = 24;

/// Longest address of a model file; signed ones have about 1,500 bytes.
pub(super) const URL_BYTES_MAX: usize = 8 * 1024;

/// Time to connect, the TLS handshake included.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Time without a single byte after which a connection counts as dead.
pub(super) const IDLE_TIMEOUT: Duration = if cfg!(test) {
    // A stalled server is one of the cases.
    Duration::from_secs(3)
} else {
    Duration::from_secs(30)
};

/// Attempts in a row that bring no byte before a pull gives up; any byte starts the count anew.
pub(super) const FRUITLESS_ATTEMPTS_MAX: u32 = 5;

/// Attempts in all: an end for a server that gives a little and hangs up each time.
pub(super) const ATTEMPTS_MAX: u32 = 1000;

/// First pause before another attempt; doubles up to [`RETRY_PAUSE_MAX`].
pub(super) const RETRY_PAUSE: Duration = if cfg!(test) {
    // The cases try again hundreds of times.
    Duration::from_micros(100)
} else {
    Duration::from_millis(500)
};

/// Longest pause before another attempt, whatever a server asks for.
pub(super) const RETRY_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Pulls that run at once: more only share the same link and disk.
pub(super) const PULLS_MAX: usize = 8;

/// How often progress is told.
pub(super) const PROGRESS_EVERY: Duration = Duration::from_millis(100);
