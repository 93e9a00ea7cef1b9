//! Everything a node can want done.

use std::sync::Arc;
use std::time::Duration;

use crate::ids::{NodeId, ReplicaId, RequestId};
use crate::registry::{Node, Replica};

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// The request has a slot and its model is ready: ask the scheduler where, and start it.
    Admit(RequestId),
    /// Answer the request with this; it is over and holds nothing.
    Refuse(RequestId, Refusal),
    /// The request's time is up: cut it, then settle it.
    Expire(RequestId),
    /// Start loading the model.
    Load(Arc<str>),
    /// Have one of these nodes load the model: this one does not have its files.
    LoadAt {
        /// Which model.
        model: Arc<str>,
        /// Where its files are; never empty.
        nodes: Vec<NodeId>,
    },
    /// Let the replica finish what it runs, then end it.
    Unload(ReplicaId),
    /// The replica's device went bad: let it finish what it can within the grace, then end it. It is
    /// loaded again, wherever the scheduler then says, once it is gone.
    Evacuate {
        /// Which replica.
        replica: ReplicaId,
        /// For so long.
        grace: Duration,
        /// One sentence for people.
        why: String,
    },
    /// Tell the scheduler.
    Observe(Change),
}

/// What a scheduler is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A node is new or different.
    Node(Node),
    /// A node left.
    NodeGone(NodeId),
    /// A replica is new or different.
    Replica(Replica),
    /// A replica is no more.
    ReplicaGone(ReplicaId),
}

/// Why a request is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No file and no replica has that name.
    UnknownModel,
    /// The key has as many requests as it may.
    KeyBusy {
        /// That many.
        limit: u32,
        /// When to try again.
        retry: Duration,
    },
    /// Slots and queue are full.
    Busy {
        /// When to try again.
        retry: Duration,
    },
    /// The model is on its way, but did not come within the time that a request waits.
    Loading {
        /// For so long already.
        elapsed: Duration,
        /// When to try again.
        retry: Duration,
    },
    /// The model could not be loaded.
    LoadFailed {
        /// One sentence for people.
        why: String,
        /// When it will be tried again.
        retry: Duration,
    },
    /// As many models are loaded as may be, and all are in use.
    NoRoom {
        /// That many.
        limit: usize,
        /// When to try again.
        retry: Duration,
    },
    /// Waiting for a slot took as long as a request may last.
    TimedOut,
    /// The node is stopping.
    Draining,
}
