//! What nodes say to each other: one message in `postcard` per frame.
//!
//! Decides the words; refuses to know what they make anyone do. A variant is added at the end and
//! raises [`PROTOCOL`]; a node asks for nothing that the other does not speak.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use skep_core::state::PluginDigest;
use skep_core::{ClusterId, NodeId, TokenId};

use crate::pki::Proof;
use crate::protocol::Work;

/// The version that this binary speaks.
pub const PROTOCOL: u16 = 2;

/// The oldest version that it still speaks: one before its own, from the second on.
pub const PROTOCOL_OLDEST: u16 = 1;

/// The first frame of a stream from one member to another: what is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// Run this on a replica there; answered by events until the last.
    Submit {
        /// The replica, as that node numbers them.
        replica: u64,
        /// What to do.
        work: Arc<Work>,
    },
    /// What of the cluster's log comes after this place, now and from now on.
    Follow {
        /// The last place that the follower has; none: everything anew.
        after: Option<u64>,
    },
    /// Decide this (a command of the cluster's state, encoded).
    Propose(Vec<u8>),
    /// A new certificate for the node that asks; a signing request.
    Renew(Vec<u8>),
    /// What placing work needs to know of that node, now and from now on.
    Facts,
    /// Get a model ready.
    Load(String),
    /// The newest look at the machine, in JSON.
    Readings,
    /// A plugin's component; since version 2.
    Component(PluginDigest),
}

/// What else may be wanted from a node, in one place for its reader.
pub type Request = Ask;

/// In which order streams go when not all can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Files: whenever nothing else goes.
    Chunks,
    /// Prompts and tokens.
    Tokens,
    /// The cluster's own: small, and others wait for it.
    Control,
}

impl Priority {
    pub(super) fn number(self) -> i32 {
        match self {
            Self::Chunks => -1,
            Self::Tokens => 0,
            Self::Control => 1,
        }
    }
}

/// What a machine asks that is no member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinAsk {
    /// It has a token.
    Join {
        /// Which.
        token: TokenId,
        /// That it knows the token's secret, on this connection.
        proof: Proof,
        /// Its signing request.
        request: Vec<u8>,
        /// What it wants to be called.
        name: String,
        /// For messages.
        software: String,
    },
    /// It is a member whose certificate has expired.
    Return {
        /// Its signing request, for the key that the cluster knows.
        request: Vec<u8>,
        /// That key's signature over this connection's exporter.
        signature: Vec<u8>,
    },
}

/// What it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinAnswer {
    /// It is in.
    Welcome(Box<Welcome>),
    /// Another node decides that.
    Elsewhere(SocketAddr),
    /// One sentence for people.
    Refused(String),
}

/// What a new member needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Which cluster.
    pub cluster: ClusterId,
    /// Its certificate.
    pub certificate: Vec<u8>,
    /// The authorities that the cluster trusts; the first signed the certificate.
    pub authorities: Vec<Vec<u8>>,
    /// Who leads the cluster's state.
    pub leader: NodeId,
    /// Where the leader is reached, as it knows itself.
    pub leader_address: SocketAddr,
    /// Where the cluster sees the new member.
    pub seen_as: SocketAddr,
    /// An operator must approve it before it may do anything.
    pub pending: bool,
}
