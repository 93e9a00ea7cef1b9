//! Every limit of the host, the worker and the fleet, each with its reason.
//!
//! Decides numbers and nothing else. What a plugin or a model file can make this program allocate,
//! wait for or keep is bounded here and nowhere else.

use std::time::Duration;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

// === between agent and worker ===

/// The longest message between an agent and a worker. A prompt of a million tokens is 5 MB and a
/// batch of a thousand embeddings of 4,096 numbers is 16 MB; a length past this is damage.
pub const FRAME_BYTES_MAX: usize = 64 * MIB;

/// How much may wait to be written to one worker. A worker that reads nothing for so long is
/// overloaded, and more requests would only wait.
pub const OUTBOX_BYTES_MAX: usize = 64 * MIB;

/// How much of one request's answer waits for a reader that does not read: some 4,000 events, more
/// than any honest client falls behind.
pub const EXCHANGE_BYTES_MAX: usize = MIB;

/// Requests that one worker holds at once, waiting ones included. What waits behind a thousand
/// others will not be answered in time by one model.
pub const REQUESTS_MAX: usize = 4_096;
