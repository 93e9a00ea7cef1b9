//! Limits of passwords, and of asking directories and providers who somebody is.

use std::time::Duration;

use super::KIB;

// === passwords ===

/// Memory of one hash, in KiB. With the two below this is the least that OWASP's Password Storage Cheat Sheet asks of Argon2id
/// (19 MiB, two passes, one lane): more would be felt on the small machines that agents run on too.
pub const PASSWORD_MEMORY_KIB: u32 = 19_456;

/// Passes over it.
pub const PASSWORD_PASSES: u32 = 2;

/// Lanes: one, so that a hash takes one core.
pub const PASSWORD_LANES: u32 = 1;

/// Hashes that are made at once: 40 MiB and two cores at most, however many people, or one with a program, sign in.
pub const PASSWORDS_AT_ONCE: usize = 2;

/// Sign-ins that wait for their turn; the last of them waits for some two seconds. Whoever comes then is told to try again.
pub const PASSWORDS_WAITING: usize = 32;

/// Letters of a password. NIST SP 800-63B asks for at least 8, and for no rule about which.
pub const PASSWORD_LETTERS_MIN: usize = 8;

/// Bytes of a password: room for any sentence; what is longer was pasted by mistake.
pub const PASSWORD_BYTES_MAX: usize = KIB;

// === directories and providers ===

/// For each thing that a directory or a provider is asked. People wait for it.
pub const DOOR_STEP_TIMEOUT: Duration = Duration::from_secs(5);

/// For all of them together.
pub const DOOR_TIMEOUT: Duration = Duration::from_secs(15);

/// Entries or groups that are read of one answer; a person who is in more groups has that of the admins named first, or not at all.
pub const DIRECTORY_ENTRIES_MAX: i32 = 16;

/// Bytes of what a provider answers: its description, its keys and its tokens have some KiB each.
pub const PROVIDER_ANSWER_BYTES_MAX: u64 = 256 * KIB as u64;

/// Sign-ins by a provider that are under way: whoever leaves for its page may not come back.
pub const PROVIDER_VISITS_MAX: usize = 256;

/// So many of them from one address: whoever leaves more often forgets where they were going.
pub const PROVIDER_VISITS_OF_ONE: usize = 8;

/// For so long somebody may take to sign in there.
pub const PROVIDER_VISIT_LIFE: Duration = Duration::from_mins(10);

/// A provider's clock may be off by so much.
pub const PROVIDER_CLOCK_SKEW: Duration = Duration::from_mins(1);

/// Directories and providers that are asked at once, so that a slow one holds few threads.
pub const DOORS_AT_ONCE: usize = 8;

/// Bytes that are read of a file with the settings of a door, or of its certificates.
pub const SIGN_IN_FILE_BYTES_MAX: u64 = 64 * KIB as u64;
