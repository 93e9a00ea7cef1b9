//! Changing a machine so that it can be changed back: actions, plans, and the journal of what became of them.
//!
//! A plan is carried out one action at a time. Before each, what is to be done and what was there is written to a
//! journal, and after each, what was done; both are durable before anything else happens. So after a crash at any point the
//! journal says what may be half done, and undoing goes backwards through what was.

mod action;
mod journal;
mod record;
mod spelling;
mod valid;
mod words;

pub use self::action::{
    Action, Actor, Command, Firewall, KeyKind, Owner, Plan, Planned, Protocol, Scope,
};
pub use self::journal::{Item, Next, Run, RunState, Stage};
pub use self::record::{Before, Change, Entry, Record, RunId};
pub use self::valid::Nonsense;
