//! The world `notifier`: telling people elsewhere what happens in the cluster.
//!
//! Such a plugin does one thing: it is given an [`Alert`] and delivers it, by [`crate::http`] or by [`crate::mail`]. Each call has an
//! instance of its own. The host repeats a call that failed with [`Error::Exhausted`] or [`Error::Other`], later and less and
//! less often, and no other; so the error decides whether the alert is tried again, and an alert may arrive twice.
//!
//! This is a whole one:
//!
//! ```
//! use skep_sdk::http::Request;
//! use skep_sdk::notifier::{Alert, Error, Notifier, Settings};
//!
//! struct Bell;
//!
//! impl Notifier for Bell {
//!     fn notify(settings: Settings, alert: Alert) -> Result<(), Error> {
//!         let response = Request::post(settings.need("url")?)
//!             .header("content-type", "text/plain; charset=utf-8")
//!             .body(format!("{}: {}", alert.headline(), alert.text))
//!             .send()?;
//!         match response.status() {
//!             200..=299 => Ok(()),
//!             429 => Err(Error::Exhausted("the bell asks to come back later".into())),
//!             status @ 500.. => Err(Error::Other(format!("the bell answered {status}"))),
//!             status => Err(Error::Unsupported(format!("the bell answered {status}"))),
//!         }
//!     }
//! }
//!
//! skep_sdk::notifier!(Bell);
//! ```
//!
//! The plugins `webhook`, `slack`, `discord`, `telegram` and `email` in the repository are five that are used.

use alloc::string::String;
use core::marker::PhantomData;

#[doc(hidden)]
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    missing_debug_implementations,
    unsafe_code,
    clippy::all,
    clippy::error_impl_error,
    clippy::undocumented_unsafe_blocks,
    clippy::use_self,
    reason = "generated from wit/"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        world: "notifier",
        pub_export_macro: true,
        default_bindings_module: "skep_sdk::notifier::bindings",
        with: {
            "skep:plugin/types@0.1.0": crate::shared::bindings::skep::plugin::types,
            "skep:plugin/log@0.1.0": crate::shared::bindings::skep::plugin::log,
            "skep:plugin/secrets@0.1.0": crate::shared::bindings::skep::plugin::secrets,
            "skep:plugin/mail@0.1.0": crate::shared::bindings::skep::plugin::mail,
            "wasi:io/error@0.2.12": crate::shared::bindings::wasi::io::error,
            "wasi:io/poll@0.2.12": crate::shared::bindings::wasi::io::poll,
            "wasi:io/streams@0.2.12": crate::shared::bindings::wasi::io::streams,
            "wasi:clocks/monotonic-clock@0.2.12": crate::shared::bindings::wasi::clocks::monotonic_clock,
            "wasi:http/types@0.2.12": crate::shared::bindings::wasi::http::types,
            "wasi:http/outgoing-handler@0.2.12": crate::shared::bindings::wasi::http::outgoing_handler,
        },
    });
}

/// Lines for the operator.
pub use crate::shared::bindings::skep::plugin::log;
/// Secrets that can be used but not read.
pub use crate::shared::bindings::skep::plugin::secrets::Secret;
pub use crate::shared::bindings::skep::plugin::types::{Error, Invalid};
pub use bindings::exports::skep::plugin::notice::{Alert, Settings, Severity};

use bindings::exports::skep::plugin::notice::Guest;

/// A way to tell people of alerts.
pub trait Notifier: 'static {
    /// Delivers one alert.
    ///
    /// # Errors
    /// [`Error::Exhausted`] and [`Error::Other`] have the host try again later; every other ends the matter.
    fn notify(settings: Settings, alert: Alert) -> Result<(), Error>;
}

crate::settings::lookup!(Settings);

impl Severity {
    /// A word for people: `info`, `warning` or `critical`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl Alert {
    /// The title with what it is before it: `[critical] node b is down`, or `[resolved] node b is down`.
    #[must_use]
    pub fn headline(&self) -> String {
        let word = if self.resolved {
            "resolved"
        } else {
            self.severity.word()
        };
        alloc::format!("[{word}] {}", self.title)
    }
}

/// Text of at most `limit` characters, with `…` at its end where something was cut off.
///
/// ```
/// assert_eq!(skep_sdk::notifier::cut("node b is down", 7), "node b…");
/// assert_eq!(skep_sdk::notifier::cut("node b", 7), "node b");
/// ```
#[must_use]
pub fn cut(text: &str, limit: usize) -> String {
    if text.chars().nth(limit).is_none() {
        return text.into();
    }
    let kept = text.chars().take(limit.saturating_sub(1));
    kept.chain(core::iter::once('…')).collect()
}

/// Exports a [`Notifier`] as the component's only content.
#[macro_export]
macro_rules! notifier {
    ($notifier:ty) => {
        #[allow(unsafe_code, reason = "the component's entry points are generated")]
        const _: () = {
            #[cfg(target_arch = "wasm32")]
            type Component = $crate::notifier::Component<$notifier>;

            // Elsewhere nothing calls it, but it is no dead code.
            #[cfg(not(target_arch = "wasm32"))]
            const fn is<P: $crate::notifier::Notifier>() {}

            #[cfg(not(target_arch = "wasm32"))]
            is::<$notifier>();

            #[cfg(target_arch = "wasm32")]
    $crate::notifier::bindings::export!(Component with_types_in $crate::notifier::bindings);
        };
    };
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Component<N>(PhantomData<N>);

impl<N: Notifier> Guest for Component<N> {
    fn notify(settings: Settings, alert: Alert) -> Result<(), Error> {
        N::notify(settings, alert)
    }
}
