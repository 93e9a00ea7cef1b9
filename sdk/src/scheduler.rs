//! The world `scheduler`: where models and requests go.
//!
//! [`Scheduler`] is all that a policy needs. Most policies are no more than an order of what is eligible: for those,
//! [`Cluster`] keeps what the host tells, says what is eligible and why the rest is not, and ranks by a policy's key.
//!
//! This is a whole one. A request goes to the replica with the fewest requests, a model to the device with the most free memory:
//!
//! ```
//! use core::cmp::Reverse;
//!
//! use skep_sdk::scheduler::{
//!     Change, Choice, Cluster, Job, Place, Placement, Refusal, Request, Scheduler, Seat,
//! };
//!
//! #[derive(Default)]
//! struct Fewest {
//!     cluster: Cluster,
//! }
//!
//! impl Scheduler for Fewest {
//!     fn observe(&mut self, change: Change) {
//!         self.cluster.observe(change);
//!     }
//!
//!     fn place(&mut self, job: Job) -> Result<Placement, Refusal> {
//!         let key = |place: &Place<'_>| Reverse(place.left_bytes);
//!         let why = |place: &Place<'_>| format!("{} bytes stay free", place.left_bytes);
//!         self.cluster.rank_places(&job, key, why, why)
//!     }
//!
//!     fn route(&mut self, request: Request) -> Result<Choice, Refusal> {
//!         let key = |seat: &Seat<'_>| (seat.replica.running, seat.replica.id);
//!         let why = |seat: &Seat<'_>| format!("{} running", seat.replica.running);
//!         self.cluster.rank(&request, key, why, why)
//!     }
//! }
//!
//! skep_sdk::scheduler!(Fewest);
//! ```
//!
//! The host sends a request to the first of the ranking that takes it. It checks each answer: one that names what does not exist or
//! cannot serve is nonsense, the built-in rule answers instead, and after three of them the scheduler before takes over. What the
//! policy says of its choice is what `skep explain` shows.

use core::cell::RefCell;
use core::marker::PhantomData;

mod affinity;
mod best;
mod cluster;
mod place;
mod route;

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
        world: "scheduler",
        pub_export_macro: true,
        default_bindings_module: "skep_sdk::scheduler::bindings",
    });
}

pub use bindings::exports::skep::plugin::policy::{
    Candidate, Change, Choice, Job, Placement, Refusal, Request, Spot,
};
pub use bindings::skep::plugin::scheduler_types::{Device, Health, Node, Replica, ReplicaState};

pub use affinity::Affinity;
pub use cluster::Cluster;
pub use place::Place;
pub use route::Seat;

/// How many places or replicas an answer may rank, and how many it may pass over by name.
pub const RANKED_MAX: usize = 8;

/// Chooses places. A pure function of the calls so far: the same calls in the same order must give the same answers.
pub trait Scheduler: Default + 'static {
    /// Learns of a change. A node or replica that is already known is replaced.
    fn observe(&mut self, change: Change);

    /// Ranks nodes and devices for a model that is to be loaded.
    ///
    /// # Errors
    /// A refusal whose text is shown to people.
    fn place(&mut self, job: Job) -> Result<Placement, Refusal>;

    /// Ranks replicas for a request.
    ///
    /// # Errors
    /// A refusal whose text is shown to people.
    fn route(&mut self, request: Request) -> Result<Choice, Refusal>;
}

/// Exports a [`Scheduler`] as the component's only content.
#[macro_export]
macro_rules! scheduler {
    ($scheduler:ty) => {
        #[allow(unsafe_code, reason = "the component's entry points are generated")]
        const _: () = {
            #[cfg(target_arch = "wasm32")]
            type Component = $crate::scheduler::Component<$scheduler>;

            impl $crate::scheduler::Global for $scheduler {
                fn with<R>(use_it: impl FnOnce(&mut Self) -> R) -> R {
                    static STATE: $crate::scheduler::State<$scheduler> = $crate::scheduler::State::new();
                    STATE.with(use_it)
                }
            }

            #[cfg(target_arch = "wasm32")]
            $crate::scheduler::bindings::export!(Component with_types_in $crate::scheduler::bindings);
        };
    };
}

/// The one instance of a scheduler in its component.
#[doc(hidden)]
pub trait Global: Scheduler {
    fn with<R>(use_it: impl FnOnce(&mut Self) -> R) -> R;
}

#[doc(hidden)]
#[derive(Debug)]
pub struct State<S>(RefCell<Option<S>>);

impl<S: Scheduler> State<S> {
    #[must_use]
    #[allow(clippy::new_without_default, reason = "only for a static")]
    pub const fn new() -> Self {
        Self(RefCell::new(None))
    }

    pub fn with<R>(&self, use_it: impl FnOnce(&mut S) -> R) -> R {
        use_it(self.0.borrow_mut().get_or_insert_with(S::default))
    }
}

// SAFETY: a component has one thread, and the host never calls into it twice at once.
#[allow(unsafe_code, reason = "see SAFETY")]
unsafe impl<S> Sync for State<S> {}

#[doc(hidden)]
#[derive(Debug)]
pub struct Component<S>(PhantomData<S>);

impl<S: Global> bindings::exports::skep::plugin::policy::Guest for Component<S> {
    fn observe(change: Change) {
        S::with(|scheduler| scheduler.observe(change));
    }

    fn place(job: Job) -> Result<Placement, Refusal> {
        S::with(|scheduler| scheduler.place(job))
    }

    fn route(request: Request) -> Result<Choice, Refusal> {
        S::with(|scheduler| scheduler.route(request))
    }
}
