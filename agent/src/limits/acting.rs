//! Limits of changing this machine (`act`): what its files, programs and the privileged helper may take.

use std::time::Duration;

use super::{KIB, MIB};

/// Bytes of one journal: `INSTALL_RECORDS_MAX` records, of which one has a plan and the others some hundred bytes.
pub const JOURNAL_BYTES_MAX: u64 = 16 << 20;

/// Journals in one folder: ten years of monthly changes to every part of a setup.
pub const JOURNALS_MAX: usize = 1_024;

/// Journals of runs that changed nothing which could still be undone: enough to look up what was tried lately. Older ones go when a
/// run begins.
pub const JOURNALS_OVER_KEPT: usize = 32;

/// Bytes of one file whose content is kept or compared: as large as a download may be.
pub const KEPT_FILE_BYTES_MAX: u64 = 4 << 30;

/// Bytes of a file of which a part is changed: it is held in memory whole.
pub const EDITED_FILE_BYTES_MAX: usize = 4 * MIB;

/// Bytes of a text of which a difference is shown.
pub const DIFF_TEXT_BYTES_MAX: usize = MIB;

/// Bytes of one difference: some 500 lines, more than anybody reads before agreeing.
pub const DIFF_BYTES_MAX: usize = 32 * KIB;

/// Bytes of `/etc/passwd` and `/etc/group`: 100,000 accounts.
pub const ACCOUNTS_FILE_BYTES_MAX: usize = 16 * MIB;

/// Bytes of a unit's file that is looked at to enable it.
pub const UNIT_FILE_BYTES_MAX: usize = MIB;

/// How often a path is opened again while something else is renamed.
pub const OPEN_ATTEMPTS_MAX: usize = 16;

/// Bytes that are kept of what a program writes: a list of 100,000 packages.
pub const PROGRAM_OUTPUT_BYTES: usize = 8 * MIB;

/// How long a small program may take: accounts, rules, modules.
pub const PROGRAM_TIMEOUT: Duration = Duration::from_mins(1);

/// How long starting or stopping a unit may take: systemd itself gives up after a minute and a half.
pub const UNIT_TIMEOUT: Duration = Duration::from_mins(3);

/// How long installing packages may take: a driver of 2 GB over a slow line, and others that hold the lock before.
pub const PACKAGES_TIMEOUT: Duration = Duration::from_mins(60);

/// How often the package tool is tried again while another process has its lock, and how long it is waited in between: as long as `apt`
/// waits by itself.
pub const PACKAGES_LOCK_ATTEMPTS: u32 = 120;

/// See [`PACKAGES_LOCK_ATTEMPTS`].
pub const PACKAGES_LOCK_WAIT: Duration = Duration::from_secs(1);

/// Lists of packages that are younger are not brought up to date.
pub const PACKAGES_FRESH: Duration = Duration::from_hours(24);

/// How long starting containers may take: their images are downloaded first.
pub const CONTAINERS_TIMEOUT: Duration = Duration::from_mins(60);

/// How long a download of a plan may take: `INSTALL_DOWNLOAD_BYTES_MAX` over a slow line.
pub const DOWNLOAD_TIMEOUT: Duration = Duration::from_hours(2);

/// Bytes of one message to or from the privileged helper: a plan of `INSTALL_PLAN_BYTES_MAX` with every byte escaped.
pub const HELPER_FRAME_BYTES: usize = 16 * MIB;

/// Clients of the privileged helper at once: the agent, and one who looks.
pub const HELPER_CLIENTS_MAX: usize = 4;

/// How long the privileged helper waits for somebody to want something.
pub const HELPER_IDLE: Duration = Duration::from_mins(30);

/// How long whoever asks the helper waits for an answer: until somebody at its terminal agreed, and packages are installed.
pub const HELPER_PATIENCE: Duration = Duration::from_hours(2);

/// How long a client that began a message may take to send the rest.
pub const HELPER_MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often it looks whether whoever asked last has ended.
pub const HELPER_LOOKS: Duration = Duration::from_secs(1);
