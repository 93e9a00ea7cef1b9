//! Limits of `skep plugin test`: of the server that it puts at a plugin's other end, and of what a plugin under trial may take.
//!
//! Decides numbers and nothing else.

use std::time::Duration;

use super::{KIB, MIB};

/// Connections at once: more than `TRIAL_AT_ONCE` calls make, and few enough to count.
pub const TRIAL_CONNECTIONS: usize = 64;

/// The head of one request: twice what a plugin's headers may have.
pub const TRIAL_HEAD_BYTES: usize = 64 * KIB;

/// The body of one request: the longest thing that is tried is some 100 KiB.
pub const TRIAL_BODY_BYTES: usize = 4 * MIB;

/// Requests of one check that are kept, and things said to be wrong with any.
pub const TRIAL_HEARD: usize = 256;

/// Lines of a plugin that are kept to be looked through.
pub const TRIAL_LINES: usize = 4_096;

/// What is sent of a body without an end: half as much again as a plugin may be sent.
pub const TRIAL_ENDLESS_BYTES: usize = 96 * MIB;

/// One call, on a machine that may do much else. What waits for a service waits for `TRIAL_SILENCE`.
pub const TRIAL_CALL: Duration = Duration::from_secs(20);

/// The longest silence of the other end: short, as each check of it waits so long.
pub const TRIAL_SILENCE: Duration = Duration::from_secs(1);

/// How long a connection, a request and a hang-up may take on loopback.
pub const TRIAL_PATIENCE: Duration = Duration::from_secs(5);

/// Calls at once: each has a memory of its own, and an interpreter takes some 30 MiB.
pub const TRIAL_AT_ONCE: usize = 8;

/// Steps of an engine for one request: four times the tokens that are asked for, and some.
pub const TRIAL_STEPS: usize = 512;

/// What a model under trial may take beside its own linear memory.
pub const TRIAL_ENGINE_BYTES: u64 = 512 * MIB as u64;

/// Requests to an engine at once: more than a small model has places for.
pub const TRIAL_REQUESTS: usize = 24;
