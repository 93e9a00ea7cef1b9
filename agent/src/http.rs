//! The HTTP side: one port for people, programs and monitors.
//!
//! Decides who may connect for how long, which requests are well-formed, and how answers look on
//! the wire. Refuses to know where a request runs (`router`) and what a model is.

mod addresses;
mod body;
mod error;
mod guard;
mod limits;
mod openai;
mod patience;
mod tls;

pub use self::error::{ApiError, Kind};
pub use self::guard::Caller;
pub use self::tls::TlsError;
