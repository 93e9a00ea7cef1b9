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
//! use skep_sdk::notifier::{Alert, Error, Notifier, Settings, accepted};
//!
//! struct Bell;
//!
//! impl Notifier for Bell {
//!     fn notify(settings: Settings, alert: Alert) -> Result<(), Error> {
//!         let response = Request::post(settings.need("url")?)
//!             .header("content-type", "text/plain; charset=utf-8")
//!             .body(format!("{}\n\n{}", alert.headline(), alert.plain()))
//!             .send()?;
//!         accepted(response, "the bell", "url")?;
//!         Ok(())
//!     }
//! }
//!
//! skep_sdk::notifier!(Bell);
//! ```
//!
//! The plugins `webhook`, `slack`, `discord`, `telegram` and `email` in the repository are five that are used.

use core::marker::PhantomData;

mod alert;
mod delivery;

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
    pub use crate::shared::bindings::{skep, wasi};

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
pub use alert::{cut, escaped};
pub use bindings::exports::skep::plugin::notice::{Alert, Settings, Severity};
pub use delivery::{accepted, refusal};

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
