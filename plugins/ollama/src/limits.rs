//! The bounds of what a server may send.

use std::time::Duration;

/// One line of a streamed answer. A token with twenty alternatives is some kilobytes.
pub(crate) const LINE_BYTES: usize = 1 << 20;
/// An answer that comes whole: vectors of [`INPUTS_AT_ONCE`] texts with 4,096 numbers of 22 bytes are 6 MB.
pub(crate) const ANSWER_BYTES: usize = 16 << 20;
/// A list of models, or all about one of them, whose list of tokens may be in it.
pub(crate) const MODELS_BYTES: usize = 16 << 20;
/// Of how many models the details are asked for, one request each; the others are named alone.
pub(crate) const MODELS_SHOWN: usize = 64;
/// How long all of that may take: the list is wanted within 30 s.
pub(crate) const SHOWING: Duration = Duration::from_secs(10);
/// How long a server may think about one.
pub(crate) const SHOW_SILENCE: Duration = Duration::from_secs(5);
/// After so many that failed the rest would, too.
pub(crate) const SHOWS_FAILED: u32 = 3;
/// What is read of a refusal.
pub(crate) const REFUSAL_BYTES: usize = 64 << 10;
/// How many texts are sent to be embedded in one request, so that the answer stays below [`ANSWER_BYTES`].
pub(crate) const INPUTS_AT_ONCE: usize = 64;
/// Until a connection stands.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);
