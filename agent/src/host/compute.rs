//! `interface compute`: weights, caches and plans, each behind a handle.
//!
//! Decides how much memory they may take together and maps the contract's types to `skep_hw` one to one. Refuses to know
//! shapes: `skep_hw::Graph::check` does.

mod budget;
mod convert;
mod host;
mod run;

use std::sync::Arc;
use std::time::Duration;

use skep_hw::{Cache, Plan, Weight};

pub(super) use self::budget::Budget;
use self::budget::Claim;

/// A weight and the memory that it takes beside the mapped file.
#[allow(unreachable_pub, reason = "the generated bindings export them again")]
pub struct HeldWeight {
    weight: Weight,
    claim: Arc<Claim>,
}

/// A cache and its memory.
#[allow(unreachable_pub, reason = "the generated bindings export them again")]
pub struct HeldCache {
    cache: Cache,
    claim: Arc<Claim>,
}

/// A plan and the memory of its buffers and of everything that it refers to.
#[allow(unreachable_pub, reason = "the generated bindings export them again")]
pub struct HeldPlan {
    plan: Plan,
    /// How many rows one run may ask for.
    outputs_max: u32,
    last_run: Duration,
    _claims: Vec<Arc<Claim>>,
}

macro_rules! opaque {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}
opaque!(HeldWeight, HeldCache, HeldPlan);
