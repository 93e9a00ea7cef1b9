//! The limits of putting skep on another machine over SSH, each with its reason: whoever answers there may say
//! anything, for ever, or nothing.
//!
//! Decides numbers and nothing else.

use std::time::Duration;

use super::{KIB, MIB};

/// Machines that are worked on at the same time: each copies a program of some tens of MB.
pub const SSH_AT_ONCE: usize = 4;

/// Machines that one command names.
pub const SSH_HOSTS_MAX: usize = 256;

/// A TCP connection and SSH's handshake, banners included.
pub const SSH_CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// One attempt to sign in; sshd itself waits two seconds after a wrong password.
pub const SSH_SIGN_IN_TIMEOUT: Duration = Duration::from_secs(20);

/// Keys that are offered before the other side has had enough; sshd closes after six (`MaxAuthTries`).
pub const SSH_KEYS_TRIED: usize = 5;

/// What a short command may take there.
pub const SSH_COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the agent there may take to be up: its first start compiles plugins, on a small machine for a minute.
pub const SSH_START_TIMEOUT: Duration = Duration::from_mins(5);

/// How long joining may take there.
pub const SSH_JOIN_TIMEOUT: Duration = Duration::from_mins(2);

/// How long copying may take without a byte being taken.
pub const SSH_COPY_PATIENCE: Duration = Duration::from_secs(30);

/// How long checking and trying what was copied may take.
pub const SSH_PLACE_TIMEOUT: Duration = Duration::from_mins(5);

/// What a command there may say; ours say a few hundred bytes.
pub const SSH_OUTPUT_BYTES_MAX: usize = 64 * KIB;

/// A program of ours to be copied.
pub const SSH_PROGRAM_BYTES_MAX: u64 = 1024 * MIB as u64;

/// A file of known hosts that is read.
pub const SSH_KNOWN_BYTES_MAX: u64 = 4 * MIB as u64;

/// A private key's file.
pub const SSH_KEY_BYTES_MAX: u64 = 64 * KIB as u64;

/// What is remembered of one machine.
pub const SSH_RECORD_BYTES_MAX: u64 = 64 * KIB as u64;

/// Letters of what another machine says that are shown.
pub const SSH_SHOWN_LETTERS: usize = 300;
