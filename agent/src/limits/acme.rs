//! The limits of getting certificates by ACME, each with its reason.
//!
//! Decides numbers and nothing else: what an authority can make this agent hold or wait for, and how often it is asked.

use std::time::Duration;

use super::KIB;

/// What an authority may answer at once: a chain of certificates has some 6 KiB.
pub const ACME_ANSWER_BYTES: usize = 256 * KIB;

/// One question to an authority, from looking its name up to the last byte.
pub const ACME_ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an authority may take to look whether the names are ours, and again to sign. Let's Encrypt takes seconds.
pub const ACME_PROOF_TIMEOUT: Duration = Duration::from_mins(2);

/// All of one attempt. What is under way then is gone on with by the next.
pub const ACME_ATTEMPT_TIMEOUT: Duration = Duration::from_mins(6);

/// After the first refusal; twice as long after each further one. Let's Encrypt bears five failed proofs of a name in an
/// hour, and these are four.
pub const ACME_REFUSED_PAUSE: Duration = Duration::from_mins(5);

/// The longest of these pauses: a name that was pointed here is seen within half a day.
pub const ACME_REFUSED_PAUSE_MAX: Duration = Duration::from_hours(12);

/// After the first time that an authority was not reached, which costs it nothing.
pub const ACME_UNREACHED_PAUSE: Duration = Duration::from_mins(1);

/// The longest of these.
pub const ACME_UNREACHED_PAUSE_MAX: Duration = Duration::from_hours(1);

/// An authority that asks for a longer pause is asked again after this: its clock may be wrong, or ours.
pub const ACME_ASKED_PAUSE_MAX: Duration = Duration::from_hours(7 * 24);

/// However far off the next attempt is, the clock is looked at so often: it may have been set, or the machine slept.
pub const ACME_LOOK: Duration = Duration::from_mins(10);

/// People who wait for a renewal at once.
pub const ACME_WISHES_MAX: usize = 8;

/// An account, an order under way, a certificate with its key: each has some kilobytes.
pub const ACME_FILE_BYTES: u64 = 512 << 10;

/// What is kept of an authority's complaint.
pub const ACME_WHY_BYTES: usize = 2 * KIB;
