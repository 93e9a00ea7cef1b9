//! Which connections are open to each member, and which of several is used.
//!
//! When two nodes call each other at once, both use the connection that the one with the smaller
//! identity made. The other one stays until nothing is under way on it, and no node has more than a few.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use skep_core::NodeId;

use super::link::Link;
use crate::limits::LINKS_OF_MEMBER;

/// Every open connection. The first of a node's is the one that is used.
#[derive(Debug)]
pub(super) struct Kept {
    me: NodeId,
    by_node: Mutex<HashMap<NodeId, Vec<Link>>>,
}

/// What becomes of connections that another one takes the place of.
#[derive(Debug, Default)]
pub(super) struct Losers {
    /// It may end what is under way on it.
    pub(super) later: Option<Link>,
    /// There are too many of that node.
    pub(super) now: Vec<Link>,
}

impl Kept {
    pub(super) fn new(me: NodeId) -> Self {
        Self {
            me,
            by_node: Mutex::default(),
        }
    }

    /// The connection to use to a node.
    pub(super) fn linked(&self, node: NodeId) -> Option<Link> {
        let by_node = self.by_node();
        let mut links = by_node.get(&node)?.iter();
        links.find(|link| !link.is_closed()).cloned()
    }

    /// Every open connection, those that are not used any more included.
    pub(super) fn all(&self) -> Vec<Link> {
        let by_node = self.by_node();
        let links = by_node.values().flatten();
        links.filter(|link| !link.is_closed()).cloned().collect()
    }

    /// Every node that has a connection.
    pub(super) fn nodes(&self) -> Vec<NodeId> {
        self.by_node().keys().copied().collect()
    }

    /// Takes in a new connection.
    pub(super) fn keep(&self, link: &Link) -> Losers {
        let mut by_node = self.by_node();
        let links = by_node.entry(link.node()).or_default();
        links.retain(|old| !old.is_closed());
        let mut losers = Losers::default();
        match links.first().cloned() {
            None => links.push(link.clone()),
            Some(used) if self.outranks(&used, link) => {
                links.insert(1, link.clone());
                losers.later = Some(link.clone());
            }
            Some(used) => {
                links.insert(0, link.clone());
                losers.later = Some(used);
            }
        }
        if links.len() > LINKS_OF_MEMBER {
            losers.now = links.split_off(LINKS_OF_MEMBER);
        }
        losers
    }

    /// A connection is over.
    pub(super) fn remove(&self, link: &Link) {
        let mut by_node = self.by_node();
        if let Some(links) = by_node.get_mut(&link.node()) {
            links.retain(|kept| kept.id() != link.id());
            if links.is_empty() {
                by_node.remove(&link.node());
            }
        }
    }

    /// Gives every connection to a node out of hand.
    pub(super) fn take(&self, node: NodeId) -> Vec<Link> {
        self.by_node().remove(&node).unwrap_or_default()
    }

    /// Whether the old connection is to be used rather than the new one; both ends answer alike.
    fn outranks(&self, old: &Link, new: &Link) -> bool {
        if old.hello().generation != new.hello().generation {
            return old.hello().generation > new.hello().generation;
        }
        let caller = |link: &Link| {
            if link.dialed() { self.me } else { link.node() }
        };
        caller(old) < caller(new)
    }

    fn by_node(&self) -> MutexGuard<'_, HashMap<NodeId, Vec<Link>>> {
        self.by_node.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
