//! The bounds of what a service may send.

use std::time::Duration;

/// One piece of a streamed answer. A token with twenty alternatives is some kilobytes; an echoed prompt is the longest.
pub(crate) const EVENT_BYTES: usize = 4 << 20;
/// An answer that comes whole: vectors of [`INPUTS_AT_ONCE`] texts with 4,096 numbers of 22 bytes are 6 MB.
pub(crate) const ANSWER_BYTES: usize = 16 << 20;
/// A list of models; the longest known one has some hundred entries of 500 bytes.
pub(crate) const MODELS_BYTES: usize = 4 << 20;
/// What is read of a refusal.
pub(crate) const REFUSAL_BYTES: usize = 64 << 10;
/// How many texts are sent to be embedded in one request, so that the answer stays below [`ANSWER_BYTES`].
pub(crate) const INPUTS_AT_ONCE: usize = 64;
/// Until a connection stands.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);
