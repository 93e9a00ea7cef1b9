//! The limits of services and of what they send out, each with its reason.
//!
//! Decides numbers and nothing else: what an adapter or notifier, or whoever answers it, can make this program hold, wait
//! for or do.

use std::time::Duration;

use super::{KIB, MIB};

// === what one call may take ===

/// The memory of one call, all linear memories together. An interpreter of Python takes some 30 MiB before it does anything.
pub const SERVICE_MEMORY_BYTES: usize = 128 * MIB;

/// The memory of all calls of one service together: eight of the largest, or a hundred small ones.
pub const SERVICE_MEMORIES_BYTES: usize = 1_024 * MIB;

/// Handles of one call: headers, bodies, streams and pollables of some ten requests.
pub const SERVICE_HANDLES: usize = 1_024;

/// Bytes that a call may pass in one host call or return at once: an embedding of 16,384 numbers is 64 KiB, a list of ten
/// thousand models a megabyte.
pub const SERVICE_HOSTCALL_BYTES: usize = 4 * MIB;

/// How often the processor goes round between calls that compute. Also how late a deadline is seen at most.
pub const SERVICE_TICK: Duration = Duration::from_millis(2);

/// Opening a component and taking it into memory for one call: nothing of the plugin has run then.
pub const SERVICE_OPEN_TIMEOUT: Duration = Duration::from_secs(10);

// === how long a call may take, where the operator says nothing else ===

/// Between two events of an upstream. A large prompt is read for minutes before its first token.
pub const SERVICE_CALL_TIMEOUT: Duration = Duration::from_mins(5);

/// Processor time of one call, or of one request from its beginning to its end: a long answer of ten thousand events takes
/// about a second, and ten times that in an interpreter.
pub const SERVICE_COMPUTING: Duration = Duration::from_secs(30);

/// Until a connection stands.
pub const SERVICE_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

// === a service as a whole ===

/// Calls under way in one service. What comes beyond is told to come later.
pub const SERVICE_CALLS_MAX: usize = 128;

/// Messages that wait to be written to the agent. A call waits for room.
pub const SERVICE_OUTBOX: usize = 256;

/// How often an agent is told what was used.
pub const SERVICE_USE_INTERVAL: Duration = Duration::from_secs(1);

/// Threads that wait for the system's resolver, which knows no other way.
pub const SERVICE_RESOLVER_THREADS: usize = 4;

/// Models that an upstream may offer: the largest catalogue known has some thousand.
pub const OFFERS_MAX: usize = 10_000;

// === what is sent out ===

/// Requests of one call under way at once.
pub const REQUESTS_OUT_OF_CALL: usize = 16;

/// Requests of all calls of a service under way at once: one for each call, and as many again.
pub const REQUESTS_OUT: usize = 256;

/// Requests of one call, one after the other: a discovery of some hundred machines.
pub const REQUESTS_OUT_IN_CALL: u32 = 1_024;

/// Headers of one request or answer: servers allow 8 to 16 KiB; this counts what they take in memory, too.
pub const OUT_HEADERS_BYTES: usize = 32 * KIB;

/// How many headers an answer may have. Some services send fifty.
pub const OUT_HEADERS_MAX: usize = 256;

/// The body of one request: a prompt of a million tokens is 5 MB, and pictures come in base64.
pub const OUT_BODY_BYTES: usize = 32 * MIB;

/// The body of one answer: a stream of ten thousand events is some 3 MB; news of a pull come for hours.
pub const IN_BODY_BYTES: u64 = 64 * MIB as u64;

/// What is written to a request's body at once.
pub const OUT_CHUNK_BYTES: usize = 64 * KIB;

/// Addresses of one name that are looked at, and tried.
pub const ADDRESSES_OF_NAME: usize = 16;

/// How long one address of several may take until the next one is tried.
pub const ADDRESS_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a name server may take to answer once.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);

/// Answers of a given name server that are kept for as long as it says, and at most for `RESOLVED_KEPT`.
pub const RESOLVED_NAMES: u64 = 64;

/// A service that moves is found again after so long.
pub const RESOLVED_KEPT: Duration = Duration::from_secs(30);

/// A refused host is told to the operator once in this time.
pub const REFUSAL_TOLD: Duration = Duration::from_mins(1);

/// Refused hosts that are remembered for that; the oldest go.
pub const REFUSALS_KEPT: usize = 256;

// === secrets ===

/// The text of a secret: the largest tokens are some 4 KiB.
pub const SECRET_BYTES: usize = 16 * KIB;

/// Shorter secrets are not looked for in lines and errors: everything would be full of dots.
pub const SECRET_REDACTED_MIN: usize = 4;

/// What stands before a secret in a header: `Bearer `.
pub const SECRET_PREFIX_BYTES: usize = 256;

// === mail ===

/// People who get one message, as `wit/mail.wit` says.
pub const MAIL_RECIPIENTS: usize = 100;

/// One line, as RFC 5322 has it and `wit/mail.wit` says.
pub const MAIL_SUBJECT_BYTES: usize = 998;

/// As `wit/mail.wit` says.
pub const MAIL_BODY_BYTES: usize = MIB;

/// A server's answer, all of its lines: `EHLO` lists some twenty.
pub const MAIL_REPLY_BYTES: usize = 16 * KIB;

/// How long a mail server may take for one answer. RFC 5321 says five minutes; nobody waits for that.
pub const MAIL_REPLY_TIMEOUT: Duration = Duration::from_mins(1);

/// The longest pause that a service elsewhere can ask clients for: a day, as where a quota is of one.
pub const RETRY_AFTER_MAX_S: u32 = 24 * 60 * 60;
