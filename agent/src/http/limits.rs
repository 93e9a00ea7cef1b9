//! Every bound of the HTTP side that an operator does not set, with its reason.

use std::time::Duration;

/// Fields of one request's head. Browsers send some 20, proxies add a few.
pub(super) const HEADERS_MAX: usize = 64;

/// A request's head in all, and how far a body is read ahead of its reader.
pub(super) const HEAD_BYTES_MAX: usize = 32 << 10;

/// How long a TLS handshake may take.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a body may take before its first byte counts.
pub(super) const BODY_GRACE: Duration = Duration::from_secs(10);

/// What each byte of a body buys: 1 KiB/s is slower than any modem, and a body that is slower is
/// there to hold a connection.
pub(super) const BODY_BYTES_PER_S_MIN: u64 = 1 << 10;

/// How long a client may leave an answer unread before it is cut. What it does not read waits in
/// the socket's buffers and, bounded, in its exchange; an hour of it would be memory for nobody.
pub(super) const READER_STALL: Duration = Duration::from_secs(60);

/// How long nothing is accepted once the process is out of file descriptors or memory.
pub(super) const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// The least time between two log lines about the same trouble of the listener.
pub(super) const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// An `Authorization` field longer than any key of ours is none.
pub(super) const CREDENTIAL_BYTES_MAX: usize = 512;

/// A client's own request id that is taken over.
pub(super) const REQUEST_ID_BYTES_MAX: usize = 64;

/// A model's name in a request, as long as the longest in a catalogue and some.
pub(super) const MODEL_NAME_BYTES_MAX: usize = 256;

/// Messages of one conversation. At a dozen tokens each they fill a context of 100,000.
pub(super) const MESSAGES_MAX: usize = 8_192;

/// Parts of one message.
pub(super) const PARTS_MAX: usize = 1_024;

/// Answers to one prompt: OpenAI's own bound.
pub(super) const CHOICES_MAX: u32 = 128;

/// Stop texts: OpenAI's own bound.
pub(super) const STOPS_MAX: usize = 4;

/// A stop text is looked for at every token.
pub(super) const STOP_BYTES_MAX: usize = 256;

/// Entries of a logit bias.
pub(super) const BIASES_MAX: usize = 1_024;

/// Alternatives to each token: OpenAI's own bound for chats.
pub(super) const CHAT_ALTERNATIVES_MAX: u32 = 20;

/// The same for completions, where whole distributions are compared.
pub(super) const COMPLETION_ALTERNATIVES_MAX: u32 = 1_024;

/// Prompts of one completion request; each takes a place in the engine.
pub(super) const PROMPTS_MAX: usize = 128;

/// Inputs of one embedding request: OpenAI's own bound.
pub(super) const INPUTS_MAX: usize = 2_048;

/// Token ids in one request: as many as the longest contexts hold.
pub(super) const TOKENS_MAX: usize = 4 << 20;

/// What an answer that is not streamed may grow to, log probabilities included.
pub(super) const ANSWER_BYTES_MAX: usize = 256 << 20;

/// What one write of a stream gathers at most.
pub(super) const CHUNK_BYTES: usize = 16 << 10;
