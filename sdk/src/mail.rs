//! Mail through a granted server, for the world `notifier`.
//!
//! The host speaks SMTP and signs in, so that a plugin neither needs a library for it nor sees a password:
//!
//! ```no_run
//! # fn run() -> Result<(), skep_sdk::notifier::Error> {
//! use skep_sdk::mail::{Message, Security, Server, send};
//! use skep_sdk::notifier::Secret;
//!
//! let server = Server {
//!     host: "smtp.example.org".into(),
//!     port: 587,
//!     security: Security::Starttls,
//!     user: Some("alerts".into()),
//! };
//! let password = Secret::open("smtp")?;
//! let message = Message {
//!     sender: "skep <alerts@example.org>".into(),
//!     recipients: vec!["someone@example.org".into()],
//!     subject: "[critical] node b is down".into(),
//!     body: "It was last heard a minute ago.".into(),
//! };
//! send(&server, Some(&password), &message)
//! # }
//! ```
//!
//! The server must be granted: `mail:smtp.example.org:587`, or `mail-local:` for one in the operator's own network.

pub use crate::shared::bindings::skep::plugin::mail::{Message, Security, Server, send};
