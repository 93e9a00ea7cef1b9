//! The world `upstream`: an adapter to a service elsewhere.

use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
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
        world: "upstream",
        pub_export_macro: true,
        default_bindings_module: "skep_sdk::upstream::bindings",
        generate_all,
    });
}

pub use bindings::exports::skep::plugin::adapter::{Offer, Progress, Settings};
/// Lines for the operator.
pub use bindings::skep::plugin::log;
pub use bindings::skep::plugin::model_types::{
    Abilities, Candidate, Embedding, EmbeddingRequest, Event, Finish, Gain, Generation, Message,
    ModelInfo, Prompt, Sampling, TokenLogprob, Usage, Work,
};
/// Secrets that can be used but not read.
pub use bindings::skep::plugin::secrets::Secret;
pub use bindings::skep::plugin::types::{Error, Invalid};
/// HTTP to granted hosts, as `wasi:http` 0.2 defines it.
pub use bindings::wasi::http;

use bindings::exports::skep::plugin::adapter::{
    Exchange as Handle, Guest, GuestExchange, GuestPull, Pull as PullHandle,
};

/// A service that answers for models of its own.
pub trait Upstream: 'static {
    /// One request in flight. Dropping it cancels the request at the upstream.
    type Exchange: Exchange;

    /// A model on its way to the upstream; [`NoPull`] where upstreams of this kind cannot be asked to get one.
    type Pull: Pull;

    /// The models that the upstream offers now.
    ///
    /// # Errors
    /// [`Error::Other`] when it cannot be reached; retrying may help.
    fn models(settings: Settings) -> Result<Vec<Offer>, Error>;

    /// Sends a request; its events carry the identity `request`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field that the upstream refused, [`Error::TooLong`] when the prompt is more than
    /// the model takes, [`Error::Denied`] when the upstream refused the key,
    /// [`Error::Exhausted`] when it limits the rate.
    fn start(
        settings: Settings,
        model: String,
        request: u64,
        work: Work,
    ) -> Result<Self::Exchange, Error>;

    /// Has the upstream get a model.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where upstreams of this kind cannot be asked to, [`Error::Invalid`] when it knows no such model.
    fn pull(settings: Settings, model: String) -> Result<Self::Pull, Error>;
}

/// One request in flight.
pub trait Exchange: 'static {
    /// Waits for the next event; none after [`Event::Done`] or [`Event::Failed`].
    ///
    /// # Errors
    /// The exchange is over then.
    fn next(&mut self) -> Result<Option<Event>, Error>;
}

/// A model on its way to the upstream.
pub trait Pull: 'static {
    /// Waits for the next news; none when the model is there.
    ///
    /// # Errors
    /// It is over then.
    fn next(&mut self) -> Result<Option<Progress>, Error>;
}

/// For upstreams that cannot be asked to get a model: there is none of these.
#[derive(Clone, Copy, Debug)]
pub enum NoPull {}

impl Pull for NoPull {
    fn next(&mut self) -> Result<Option<Progress>, Error> {
        match *self {}
    }
}

impl Error {
    /// A wrong request, blamed on one of its fields.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(Invalid {
            field: Some(field.into()),
            message: message.into(),
        })
    }
}

/// Exports an [`Upstream`] as the component's only content.
#[macro_export]
macro_rules! upstream {
    ($upstream:ty) => {
        #[allow(unsafe_code, reason = "the component's entry points are generated")]
        const _: () = {
            #[cfg(target_arch = "wasm32")]
            type Component = $crate::upstream::Component<$upstream>;

            // Elsewhere nothing calls it, but it is no dead code.
            #[cfg(not(target_arch = "wasm32"))]
            const fn is<P: $crate::upstream::Upstream>() {}

            #[cfg(not(target_arch = "wasm32"))]
            is::<$upstream>();

            #[cfg(target_arch = "wasm32")]
    $crate::upstream::bindings::export!(Component with_types_in $crate::upstream::bindings);
        };
    };
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Component<U>(PhantomData<U>);

impl<U: Upstream> Guest for Component<U> {
    type Exchange = InFlight<U>;
    type Pull = Pulling<U>;

    fn models(settings: Settings) -> Result<Vec<Offer>, Error> {
        U::models(settings)
    }
}

#[doc(hidden)]
#[derive(Debug)]
pub struct InFlight<U: Upstream>(RefCell<U::Exchange>);

impl<U: Upstream> GuestExchange for InFlight<U> {
    fn start(settings: Settings, model: String, request: u64, work: Work) -> Result<Handle, Error> {
        Ok(Handle::new(Self(RefCell::new(U::start(
            settings, model, request, work,
        )?))))
    }

    fn next(&self) -> Result<Option<Event>, Error> {
        self.0.borrow_mut().next()
    }
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Pulling<U: Upstream>(RefCell<U::Pull>);

impl<U: Upstream> GuestPull for Pulling<U> {
    fn start(settings: Settings, model: String) -> Result<PullHandle, Error> {
        Ok(PullHandle::new(Self(RefCell::new(U::pull(
            settings, model,
        )?))))
    }

    fn next(&self) -> Result<Option<Progress>, Error> {
        self.0.borrow_mut().next()
    }
}
