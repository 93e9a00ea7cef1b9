//! Everything that can happen to a node.

use std::sync::Arc;

use crate::ids::{KeyId, NodeId, ReplicaId, RequestId};
use crate::registry::{Node, Replica};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A client asks for something.
    Arrived(Arrival),
    /// The scheduler chose a replica, and the replica took the request; also when another one was lost.
    Started {
        /// Which request.
        request: RequestId,
        /// Where it runs.
        replica: ReplicaId,
    },
    /// A request is over, however it ended; what it used is counted.
    Settled {
        /// Which request.
        request: RequestId,
        /// How it ended.
        outcome: Outcome,
        /// What it used.
        usage: Usage,
    },
    /// These models, and no others, can be loaded from this node's files.
    Catalogued(Vec<Arc<str>>),
    /// These models, and no others, can be loaded from the files of another node.
    CataloguedAt(NodeId, Vec<Arc<str>>),
    /// Another node wants a model to be loaded here.
    Needed(Arc<str>),
    /// A request of another node begins to run on this model here.
    Serves(Arc<str>),
    /// Such a request is over.
    Served(Arc<str>),
    /// Somebody asked for a model to be loaded and to stay loaded.
    Wanted(Arc<str>),
    /// Somebody asked for a model to be unloaded.
    Unwanted(Arc<str>),
    /// Loading a model failed; nothing of it is left.
    LoadFailed {
        /// Which model.
        model: Arc<str>,
        /// One sentence for people.
        why: String,
    },
    /// A node appeared or changed. The first that a core is told of is its own: it looks after what
    /// runs there, and leaves what runs elsewhere to the cores of those nodes.
    Node(Node),
    /// A node left.
    NodeGone(NodeId),
    /// A replica appeared or changed.
    Replica(Replica),
    /// A replica is no more.
    ReplicaGone(ReplicaId),
    /// The node is to stop: what runs may finish, nothing new begins.
    Drain,
}

/// A request, as far as admission is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// A number of its own.
    pub request: RequestId,
    /// On whose account.
    pub key: KeyId,
    /// The model that it names.
    pub model: Arc<str>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It was answered.
    Answered,
    /// It, or the model, was at fault.
    Failed,
    /// The client went away, or time ran out.
    Cut,
}

/// What a request used, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of the prompt.
    pub prompt_tokens: u64,
    /// Of these, taken from an earlier request's cache.
    pub cached_tokens: u64,
    /// Of the answer.
    pub completion_tokens: u64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        // Saturating: a worker's word is not trusted to be small.
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.cached_tokens = self.cached_tokens.saturating_add(other.cached_tokens);
        self.completion_tokens = self
            .completion_tokens
            .saturating_add(other.completion_tokens);
    }
}
