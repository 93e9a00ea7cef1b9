//! The world `upstream`: an adapter to a service elsewhere.
//!
//! Such a plugin answers three questions: which models the service has ([`Upstream::models`]), what it says to a request
//! ([`Upstream::start`] and then [`Exchange::next`] until the end), and, where that can be asked for, that it gets a model
//! ([`Upstream::pull`]). It reaches the service by [`crate::http`], and nothing but the hosts that the operator granted.
//! Each request has an instance of its own, so what an adapter remembers is gone with the request.
//!
//! This is a whole one, for a service that answers `POST /say` with text:
//!
//! ```
//! use skep_sdk::http::{join, Body, Request};
//! use skep_sdk::upstream::{
//!     Error, Event, Exchange, Finish, Gain, NoPull, Offer, Prompt, Settings, Upstream, Usage, Work,
//! };
//!
//! struct Say;
//!
//! struct Saying {
//!     request: u64,
//!     body: Body,
//!     ended: bool,
//! }
//!
//! impl Upstream for Say {
//!     type Exchange = Saying;
//!     type Pull = NoPull;
//!
//!     fn models(_: Settings) -> Result<Vec<Offer>, Error> {
//!         Ok(vec![Offer { id: "say".into(), info: None }])
//!     }
//!
//!     fn start(settings: Settings, _: String, request: u64, work: Work) -> Result<Saying, Error> {
//!         let Work::Generate(work) = work else {
//!             return Err(Error::Unsupported("this service makes no embeddings".into()));
//!         };
//!         let Prompt::Text(text) = work.prompt else {
//!             return Err(Error::Unsupported("this service takes plain text alone".into()));
//!         };
//!         let url = join(settings.need("base-url")?, "say");
//!         let response = Request::post(url).body(text).send()?;
//!         if !response.is_success() {
//!             return Err(Error::Other(format!("the service answered {}", response.status())));
//!         }
//!         Ok(Saying { request, body: response.body(), ended: false })
//!     }
//!
//!     fn pull(_: Settings, _: String) -> Result<NoPull, Error> {
//!         Err(Error::Unsupported("this service gets no models".into()))
//!     }
//! }
//!
//! impl Exchange for Saying {
//!     fn next(&mut self) -> Result<Option<Event>, Error> {
//!         if self.ended {
//!             let usage = Usage { prompt_tokens: 0, cached_tokens: 0, completion_tokens: 0 };
//!             return Ok(Some(Event::Done((self.request, usage))));
//!         }
//!         let piece = self.body.read()?;
//!         self.ended = piece.is_none();
//!         Ok(Some(Event::Gained(Gain {
//!             request: self.request,
//!             choice: 0,
//!             text: String::from_utf8_lossy(&piece.unwrap_or_default()).into_owned(),
//!             tokens: Vec::new(),
//!             logprobs: Vec::new(),
//!             finish: self.ended.then_some(Finish::Stop),
//!         })))
//!     }
//! }
//!
//! skep_sdk::upstream!(Say);
//! ```
//!
//! Its `plugin.toml` asks for what it needs, with reasons that are shown when somebody installs it:
//!
//! ```toml
//! name = "say"
//! version = "0.1.0"
//! world = "upstream"
//!
//! [[capability]]
//! wants = "http:${base-url}"
//! reason = "sends requests there"
//!
//! [[setting]]
//! name = "base-url"
//! kind = "url"
//! required = true
//! ```
//!
//! The plugins `openai` and `ollama` in the repository are two that are used.

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
    pub use crate::shared::bindings::{skep, wasi};

    wit_bindgen::generate!({
        path: "../wit",
        world: "upstream",
        pub_export_macro: true,
        default_bindings_module: "skep_sdk::upstream::bindings",
        with: {
            "skep:plugin/types@0.1.0": crate::shared::bindings::skep::plugin::types,
            "skep:plugin/log@0.1.0": crate::shared::bindings::skep::plugin::log,
            "skep:plugin/secrets@0.1.0": crate::shared::bindings::skep::plugin::secrets,
            "skep:plugin/model-types@0.1.0": crate::shared::bindings::skep::plugin::model_types,
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
pub use crate::shared::bindings::skep::plugin::model_types::{
    Abilities, Candidate, Continued, Embedding, EmbeddingRequest, Event, Finish, Gain, Generation,
    Message, ModelInfo, Prompt, Sampling, TokenLogprob, Usage, Work,
};
/// Secrets that can be used but not read.
pub use crate::shared::bindings::skep::plugin::secrets::Secret;
pub use crate::shared::bindings::skep::plugin::types::{Error, Invalid};
pub use bindings::exports::skep::plugin::adapter::{Offer, Progress, Settings};

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

crate::settings::lookup!(Settings);

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
