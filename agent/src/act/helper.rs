//! The privileged helper: root's hands behind a Unix socket of one user.
//!
//! Decides that a client is who the socket is for, that every action passes the helper's own policy before it is even looked at, that a
//! person at the helper's terminal agreed to a run, and that the helper keeps its own journal of it. Refuses to believe its client
//! in anything: a message is a few typed values, and what is no such message ends the connection.

use std::collections::HashMap;

use skep_core::install::{Actor, Plan, RunId};

mod client;
mod policy;
mod serve;
mod wire;

pub use self::client::Client;
pub use self::policy::Policy;
pub use self::serve::{Person, Serving, converse, serve};

use super::{Drift, Executor, Preview, session};

/// Where helpers listen, below the root: one socket for each user.
pub const SOCKETS: &str = "run/skep-helper";

/// A run that somebody is to agree to.
#[derive(Debug)]
pub struct Offer<'a> {
    /// Its name.
    pub run: &'a RunId,
    /// What it is a part of.
    pub part: &'a str,
    /// For whom.
    pub by: &'a str,
    /// What will be done.
    pub previews: &'a [Preview],
    /// What else its step says.
    pub notes: &'a [String],
}

/// The previews of what the helper would carry out, by their place in the plan; none where no helper answers or it does not want to.
pub(super) fn previews(executor: &Executor, plan: &Plan) -> HashMap<usize, Preview> {
    let Some(path) = executor
        .helper
        .as_deref()
        .filter(|_| !executor.place.is_root())
    else {
        return HashMap::new();
    };
    let part = session::root_part(executor, plan);
    let shown = Client::connect(path).and_then(|mut client| client.preview(&part));
    let places = plan.actions.iter().enumerate();
    let places = places.filter(|(_, planned)| executor.actor(&planned.action) == Actor::Root);
    let shown = shown.unwrap_or_default();
    places
        .zip(shown)
        .map(|((index, _), preview)| (index, Preview { index, ..preview }))
        .collect()
}

/// What the helper finds changed; nothing where none answers.
pub(super) fn drift(executor: &Executor) -> Vec<Drift> {
    let path = executor
        .helper
        .as_deref()
        .filter(|_| !executor.place.is_root());
    let found = path.map(|path| Client::connect(path).and_then(|mut client| client.drift()));
    found.and_then(Result::ok).unwrap_or_default()
}

#[cfg(test)]
mod tests;
