//! Limits of processes behind walls (`confine`).

/// Files that a confined process may have open: `MODEL_FILES` of a model, those of its draft, and some of its own.
pub const CONFINED_FILES: u64 = 1024;

/// The same with a card: a driver opens a node dozens of times for each card that it sees.
pub const CONFINED_FILES_CARD: u64 = 4096;

/// Bytes of one file that a confined process writes when nobody says more: room for memory that has a descriptor.
pub const CONFINED_FILE_BYTES: u64 = 256 << 20;

/// The same with a card: drivers share memory through files in memory.
pub const CARD_FILE_BYTES: u64 = 16 << 30;

/// Paths of one kind that a confined process may be given: the parts of the largest model, and room.
pub const CONFINED_PATHS: usize = 1024;
