//! The limits of steps of a setup, each with its reason.
//!
//! Decides numbers and nothing else: what a step may take for a call, what it may answer, and what is looked at for it.

use std::time::Duration;

use super::{KIB, MIB};

// === what a step may take and answer ===

/// Units of work of one call to a step, about one for each instruction: some 0.5 to 1 s. Ours take a few million for a machine
/// with all that can be known of it; interpreters take a hundred times as many. It is the deadline, too, and the same on every machine.
pub const INSTALLER_FUEL: u64 = 1_000_000_000;

/// A step's memory: facts of 2 MiB, an interpreter, and what it makes of them.
pub const INSTALLER_MEMORY_BYTES: usize = 64 * MIB;

/// Bytes that a step may return from one call: a plan with a dozen files of configuration.
pub const INSTALLER_ANSWER_BYTES: usize = MIB;

/// What a step may want to have looked at, as `wit/installer.wit` says.
pub const STEP_NEEDS_MAX: usize = 64;

/// Questions of one step, as `wit/installer.wit` says. Nobody answers more on one page.
pub const STEP_QUESTIONS_MAX: usize = 64;

/// Options of one question: network interfaces, cards, disks of a large machine.
pub const STEP_OPTIONS_MAX: usize = 64;

/// One value: an answer, a default, an option. A certificate's chain in PEM has some 8 KiB.
pub const STEP_VALUE_BYTES: usize = 32 * KIB;

/// Answers that are passed to a step: as many as it may have questions, and those of its version before.
pub const STEP_ANSWERS_MAX: usize = 2 * STEP_QUESTIONS_MAX;

/// A title, a label, an option's words.
pub const STEP_LABEL_BYTES: usize = 160;

/// A sentence or two: help, a problem, a note, a finding, its evidence, its remedy.
pub const STEP_SENTENCE_BYTES: usize = 2 * KIB;

/// Actions of one plan, as `wit/installer.wit` says. People read each before they agree.
pub const PLAN_ACTIONS_MAX: usize = 128;

/// Notes of one plan, as `wit/installer.wit` says.
pub const PLAN_NOTES_MAX: usize = 32;

/// Findings of one step, as `wit/installer.wit` says.
pub const STEP_FINDINGS_MAX: usize = 64;

// === what an action may carry ===

/// A file that a plan writes: units, rules, a compose file. What is larger is downloaded.
pub const PLAN_FILE_BYTES: usize = 256 * KIB;

/// Lines of a block in somebody else's file, and the bytes of each.
pub const PLAN_LINES_MAX: usize = 256;
pub const PLAN_LINE_BYTES: usize = 4 * KIB;

/// A path: as long as Linux takes.
pub const PLAN_PATH_BYTES: usize = 4 * KIB;

/// Packages of one action: a driver with its libraries.
pub const PLAN_PACKAGES_MAX: usize = 64;

/// Names in one certificate.
pub const PLAN_CERTIFICATE_NAMES_MAX: usize = 32;

/// How long a certificate may hold that signs itself: browsers take no more from anyone.
pub const PLAN_CERTIFICATE_DAYS_MAX: u32 = 825;

/// What one action may download: models have their own way.
pub const PLAN_DOWNLOAD_BYTES: u64 = 8 << 30;

/// Settings of an upstream that a plan adds.
pub const PLAN_SETTINGS_MAX: usize = 64;

// === what is looked at ===

/// How long one program of the system may take to say what it is asked (`systemctl show`, `apt-cache policy`). They take some
/// 10 to 500 ms.
pub const FACTS_PROGRAM_TIMEOUT: Duration = Duration::from_secs(3);

/// How long gathering may take in all; what was not found by then is left out.
pub const FACTS_TIMEOUT: Duration = Duration::from_secs(8);

/// What is kept of what such a program says.
pub const FACTS_PROGRAM_BYTES: usize = 256 * KIB;

/// The text of a file that a step wants to see, as `wit/installer.wit` says.
pub const FACTS_FILE_BYTES: u64 = 64 * KIB as u64;

/// A file of the system's own that is read to look something up: the list of installed packages is the largest, with some 10 MB.
pub const FACTS_SYSTEM_FILE_BYTES: u64 = 64 * MIB as u64;

/// Entries of each list of facts: interfaces, routes, disks, sockets. A host of containers has some hundred.
pub const FACTS_ITEMS_MAX: usize = 256;

/// A text in the facts: a name, a path, an address.
pub const FACTS_TEXT_BYTES: usize = 4 * KIB;

/// Things that are looked at for all steps together.
pub const FACTS_NEEDS_MAX: usize = 512;

/// How long looking for servers of models on this machine may take: as long as one of them may take to answer, and a little.
pub const FACTS_SERVICE_TIMEOUT: Duration = Duration::from_secs(4);
