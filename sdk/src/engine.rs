//! The world `engine`: a model backend.

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
        world: "engine",
        pub_export_macro: true,
        default_bindings_module: "skep_sdk::engine::bindings",
        with: {
            "skep:plugin/types@0.1.0": crate::shared::bindings::skep::plugin::types,
            "skep:plugin/log@0.1.0": crate::shared::bindings::skep::plugin::log,
            "skep:plugin/model-types@0.1.0": crate::shared::bindings::skep::plugin::model_types,
            "skep:plugin/files@0.1.0": generate,
            "skep:plugin/compute@0.1.0": generate,
        },
    });
}

/// Lines for the operator.
pub use crate::shared::bindings::skep::plugin::log;
pub use crate::shared::bindings::skep::plugin::model_types::{
    Abilities, CacheType, Candidate, Continued, Embedding, EmbeddingRequest, Event, Finish, Gain,
    Generation, Load, Message, ModelInfo, Prompt, Sampling, Settings, TokenLogprob, Usage, Work,
};
pub use crate::shared::bindings::skep::plugin::types::{Error, Invalid};
/// The native kernels: weights, caches, graphs and plans.
pub use bindings::skep::plugin::compute;
pub use bindings::skep::plugin::files::File;

use bindings::exports::skep::plugin::model::{Guest, GuestInstance, Instance};

/// One open model. The host calls `submit` and `cancel` at any time and `step` while any request lives.
pub trait Engine: Sized + 'static {
    /// Reads the files' headers, maps the weights and compiles the plans. `draft` is a smaller model that may guess
    /// tokens ahead.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a damaged file, [`Error::Unsupported`] for one that this plugin does not run,
    /// [`Error::Exhausted`] when it does not fit.
    fn open(files: Vec<File>, draft: Option<File>, settings: Settings) -> Result<Self, Error>;

    /// What was opened. Never changes.
    fn info(&self) -> ModelInfo;

    /// Takes a request under an identity that no living request has.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field; [`Error::TooLong`] when the prompt does not fit the context;
    /// [`Error::Exhausted`] when the queue is full. Nothing is kept of the request then.
    fn submit(&mut self, request: u64, work: Work) -> Result<(), Error>;

    /// Ends a request before the next step. Unknown identities are ignored.
    fn cancel(&mut self, request: u64);

    /// One batched forward pass; an empty list only when no request lives.
    ///
    /// # Errors
    /// An error ends the model: the host drops it and every living request has failed.
    fn step(&mut self) -> Result<Vec<Event>, Error>;

    /// How full it is now.
    fn load(&self) -> Load;

    /// Text to token ids.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the model has no tokenizer, [`Error::TooLong`] when the text is.
    fn tokenize(&self, text: &str) -> Result<Vec<u32>, Error>;

    /// Token ids to text.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an id outside of the vocabulary.
    fn detokenize(&self, tokens: &[u32]) -> Result<String, Error>;
}

/// Exports an [`Engine`] as the component's only content.
#[macro_export]
macro_rules! engine {
    ($engine:ty) => {
        #[allow(unsafe_code, reason = "the component's entry points are generated")]
        const _: () = {
            #[cfg(target_arch = "wasm32")]
            type Component = $crate::engine::Component<$engine>;

            // Elsewhere nothing calls it, but it is no dead code.
            #[cfg(not(target_arch = "wasm32"))]
            const fn is<P: $crate::engine::Engine>() {}

            #[cfg(not(target_arch = "wasm32"))]
            is::<$engine>();

            #[cfg(target_arch = "wasm32")]
    $crate::engine::bindings::export!(Component with_types_in $crate::engine::bindings);
        };
    };
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Component<E>(PhantomData<E>);

impl<E: Engine> Guest for Component<E> {
    type Instance = Open<E>;
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Open<E>(RefCell<E>);

impl<E: Engine> GuestInstance for Open<E> {
    fn open(files: Vec<File>, draft: Option<File>, settings: Settings) -> Result<Instance, Error> {
        let engine = E::open(files, draft, settings)?;
        Ok(Instance::new(Self(RefCell::new(engine))))
    }

    fn info(&self) -> ModelInfo {
        self.0.borrow().info()
    }

    fn submit(&self, request: u64, work: Work) -> Result<(), Error> {
        self.0.borrow_mut().submit(request, work)
    }

    fn cancel(&self, request: u64) {
        self.0.borrow_mut().cancel(request);
    }

    fn step(&self) -> Result<Vec<Event>, Error> {
        self.0.borrow_mut().step()
    }

    fn load(&self) -> Load {
        self.0.borrow().load()
    }

    fn tokenize(&self, text: String) -> Result<Vec<u32>, Error> {
        self.0.borrow().tokenize(&text)
    }

    fn detokenize(&self, tokens: Vec<u32>) -> Result<String, Error> {
        self.0.borrow().detokenize(&tokens)
    }
}
