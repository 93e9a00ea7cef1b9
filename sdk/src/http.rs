//! HTTP to granted hosts, for the worlds `upstream` and `notifier`.
//!
//! A plugin has no sockets. It hands a request to the host by `wasi:http`, and the host checks that the operator granted the
//! place, puts secrets in, speaks TLS and follows its own limits of time and size. This module is a small client over
//! that interface: it blocks, since a plugin does one thing at a time.
//!
//! # A request and its answer
//!
//! ```no_run
//! # fn run() -> Result<Vec<u8>, skep_sdk::upstream::Error> {
//! use skep_sdk::http::Request;
//!
//! let response = Request::get("http://127.0.0.1:11434/api/version").send()?;
//! if !response.is_success() {
//!     let status = response.status();
//!     return Err(skep_sdk::upstream::Error::Other(format!("the service answered {status}")));
//! }
//! // Never without a limit: a service can send for ever.
//! Ok(response.read_to_limit(64 * 1024)?)
//! # }
//! ```
//!
//! # Answers that come in pieces
//!
//! [`Response::events`] reads server-sent events (`data: …`, as OpenAI's interface streams), [`Response::lines`] one JSON text
//! per line (as Ollama's does). Both bound what one piece may be. The parsers themselves, [`Events`] and
//! [`Lines`], know no connection, so they and what is built on them can be tested with bytes.
//!
//! ```no_run
//! # fn run() -> Result<(), skep_sdk::upstream::Error> {
//! use skep_sdk::http::Request;
//!
//! let mut events = Request::post("https://api.openai.com/v1/chat/completions")
//!     .json(r#"{"stream":true}"#)
//!     .send()?
//!     .events(1 << 20);
//! while let Some(event) = events.read()? {
//!     if event.data == "[DONE]" {
//!         break;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What can go wrong
//!
//! [`HttpError`] tells apart what a plugin can do something about: a missing grant, a service that is not there (trying again is
//! safe, since nothing was sent), one that is silent, and a connection that broke (trying again may do a thing twice).
//! [`HttpError::is_unsent`] is the question to ask before a second try; [`Request::send_patiently`] tries again by itself where that
//! is safe.
//!
//! # Without this module
//!
//! [`raw`] has the bindings themselves.

mod error;
mod events;
mod lines;
mod request;
mod response;
mod retry;
mod url;

pub use error::{HttpError, quoted};
pub use events::{Events, ServerEvent};
pub use lines::Lines;
pub use request::{Request, wait};
pub use response::{Body, BodyEvents, BodyLines, Response};
pub use url::join;

/// How requests are made, for [`Request::new`].
pub use raw::types::Method;

/// `wasi:http` 0.2 as it is generated.
pub use crate::shared::bindings::wasi::http as raw;

use crate::shared::bindings::wasi::io::error::Error as IoError;

/// What HTTP says of a stream that failed.
fn code(error: &IoError) -> Option<raw::types::ErrorCode> {
    raw::types::http_error_code(error)
}
