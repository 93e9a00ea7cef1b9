//! The world `engine`: a model backend.
//!
//! An engine is a state machine that the host drives. It opens a model's files once, takes requests with [`Engine::submit`] whenever
//! there are any, and is asked for a [`Engine::step`] while one of them lives. A step is one batched forward pass over all of them:
//! who is in the batch, how much of a prompt goes in at once and what is left to wait is the engine's to say. Nothing blocks,
//! and a request that is cancelled is out of the next step.
//!
//! This is a whole one, which says a prompt back, a word in each step:
//!
//! ```
//! use skep_sdk::engine::{
//!     Abilities, Engine, Error, Event, File, Finish, Gain, Load, ModelInfo, Prompt, Settings, Usage, Work,
//! };
//!
//! struct Echo {
//!     /// A request, and what is left to say, last word first.
//!     living: Vec<(u64, Vec<String>)>,
//! }
//!
//! impl Engine for Echo {
//!     fn open(_: Vec<File>, _: Option<File>, _: Settings) -> Result<Self, Error> {
//!         Ok(Self { living: Vec::new() })
//!     }
//!
//!     fn info(&self) -> ModelInfo {
//!         ModelInfo {
//!             architecture: "echo".into(),
//!             name: "Echo".into(),
//!             parameters: 0,
//!             quantisation: "none".into(),
//!             vocabulary: 256,
//!             context_tokens: 4096,
//!             trained_context_tokens: 4096,
//!             embedding_width: 0,
//!             sequences: 64,
//!             cache_bytes: 0,
//!             abilities: Abilities::COMPLETE,
//!         }
//!     }
//!
//!     fn submit(&mut self, request: u64, work: Work) -> Result<(), Error> {
//!         let Work::Generate(wish) = work else {
//!             return Err(Error::Unsupported("it makes no embeddings".into()));
//!         };
//!         let Prompt::Text(text) = wish.prompt else {
//!             return Err(Error::Unsupported("it takes plain text alone".into()));
//!         };
//!         let words = text.split_inclusive(' ').rev().map(str::to_owned).collect();
//!         self.living.push((request, words));
//!         Ok(())
//!     }
//!
//!     fn cancel(&mut self, request: u64) {
//!         self.living.retain(|(id, _)| *id != request);
//!     }
//!
//!     fn step(&mut self) -> Result<Vec<Event>, Error> {
//!         let mut events = Vec::new();
//!         for (request, words) in &mut self.living {
//!             let word = words.pop().unwrap_or_default();
//!             let finish = words.is_empty().then_some(Finish::Stop);
//!             events.push(Event::Gained(Gain {
//!                 request: *request,
//!                 choice: 0,
//!                 text: word,
//!                 tokens: vec![0],
//!                 logprobs: Vec::new(),
//!                 finish,
//!             }));
//!             if finish.is_some() {
//!                 let usage = Usage { prompt_tokens: 0, cached_tokens: 0, completion_tokens: 0 };
//!                 events.push(Event::Done((*request, usage)));
//!             }
//!         }
//!         self.living.retain(|(_, words)| !words.is_empty());
//!         Ok(events)
//!     }
//!
//!     fn load(&self) -> Load {
//!         Load { running: 0, waiting: 0, cache_pages: 0, cache_pages_used: 0, guessed: 0, guesses_kept: 0 }
//!     }
//!
//!     fn tokenize(&self, text: &str) -> Result<Vec<u32>, Error> {
//!         Ok(text.bytes().map(u32::from).collect())
//!     }
//!
//!     fn detokenize(&self, _: &[u32]) -> Result<String, Error> {
//!         Err(Error::Unsupported("words are no tokens".into()))
//!     }
//! }
//!
//! skep_sdk::engine!(Echo);
//! ```
//!
//! # Native speed
//!
//! A model's numbers never enter the sandbox. An engine maps weights out of its file by handle, records once what is to be computed,
//! and the host checks every shape and compiles it ([`compute::Plan::compile`]); a step is then one call with token ids in and the
//! likeliest candidates out. This is the smallest model that there is, a table of what follows each token:
//!
//! ```no_run
//! use skep_sdk::engine::compute::{
//!     Batch, Bounds, Dtype, EmbedOp, Index, MatmulOp, Op, Output, OutputWant, Plan, RunSequence, TopWant, Want, Weight,
//! };
//! use skep_sdk::engine::{Error, File};
//!
//! fn likeliest_after(file: &File, token: u32) -> Result<Option<u32>, Error> {
//!     let (vocabulary, width) = (256, 64);
//!     let table = Weight::from_file(file, 0, Dtype::F32, vocabulary, width)?;
//!     let head = Weight::from_file(file, u64::from(vocabulary * width * 4), Dtype::F32, vocabulary, width)?;
//!     // An operation names earlier ones, and weights, by their place in the lists.
//!     let ops = [
//!         Op::Embed(EmbedOp { table: 0, index: Index::Tokens }),
//!         Op::Outputs(0),
//!         Op::Matmul(MatmulOp { x: 1, weight: 1, bias: None }),
//!     ];
//!     let bounds = Bounds { tokens: 1, sequences: 1, outputs: 1 };
//!     let plan = Plan::compile(&ops, &[&table, &head], None, bounds)?;
//!     let found = plan.run(&Batch {
//!         tokens: vec![token],
//!         sequences: vec![RunSequence { tokens: 1, start: 0, pages: Vec::new() }],
//!         outputs: vec![OutputWant { row: 0, want: Want::Top(TopWant { count: 1, temperature: 1.0 }) }],
//!     })?;
//!     Ok(found.into_iter().find_map(|output| match output {
//!         Output::Top(top) => top.indices.first().copied(),
//!         Output::Row(_) => None,
//!     }))
//! }
//! ```
//!
//! The plugin `llama` in the repository is the one that is used.

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
