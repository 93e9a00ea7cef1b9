//! Which policy decides where models and requests go, and what happens when it fails.
//!
//! A policy is a scheduler plugin, or the built-in rule. Decides that a policy's answer counts only when it makes sense,
//! that the built-in rule answers in place of one that failed, that a policy which fails thrice is replaced by the one
//! before it, and that a second one may be asked beside it without being heeded. Refuses to know what a good answer is, and
//! what is done with it.

mod builtin;
mod check;
pub(crate) mod conformance;
mod policies;
mod policy;
mod question;
mod shadow;
mod source;

pub use self::builtin::{place as builtin_place, route as builtin_route};
pub use self::check::Nonsense;
pub use self::policies::{Overview, Policies, RolledBack, Standing, Tally};
pub use self::policy::Policy;
pub use self::question::{Chosen, Decision};
pub use self::shadow::{Difference, Kind, ShadowOverview};
pub use self::source::{BUILT_IN, EMBEDDED, Source, SourceError};
