//! The limits of what passes between an agent and whoever looks after it: the service manager that started it, and people who
//! are sent a support archive; each with its reason.
//!
//! Decides numbers and nothing else.

use std::time::Duration;

/// How much longer a start may take, said anew before it is over: no single step of a compilation is silent for longer.
pub const START_EXTENSION: Duration = Duration::from_secs(60);

/// After this a start is not extended any more: the compiler's own limits end what takes longer (`COMPILE_CPU`).
pub const START_EXTENDED_MAX: Duration = Duration::from_mins(15);

/// Bytes of the line that `systemctl status` shows.
pub const STATUS_BYTES_MAX: usize = 512;

/// How often that line is renewed where there is no watchdog.
pub const STATUS_INTERVAL: Duration = Duration::from_mins(1);

/// A shorter watchdog would wake an idle agent all the time, and end one on a machine that is merely busy.
pub const WATCHDOG_MIN: Duration = Duration::from_secs(2);

// === support archives ===

/// Bytes of one part of a support archive: some ten thousand lines, more than anybody reads.
pub const BUNDLE_PART_BYTES: usize = 2 << 20;

/// Lines of the log in it.
pub const BUNDLE_LOG_LINES: usize = 2_000;

/// Names and addresses that are told apart in it; a cluster has some hundred.
pub const BUNDLE_NAMES_MAX: usize = 10_000;
