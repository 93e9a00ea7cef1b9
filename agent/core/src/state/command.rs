//! Everything that can be asked of the state.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::authority::Certificate;
use super::member::Role;
use super::plugins::PluginAction;
use super::users::UserAction;
use crate::ids::{AuthorityId, ClusterId, NodeId, TokenId};

/// What to do, and when it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Seconds since 1970, by the clock of the node that leads.
    pub at: u64,
    /// What to do.
    pub action: Action,
}

/// What to do.
// Variants are only ever added at the end: their numbers are on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Begin the cluster. The first command of every log, and only the first.
    Found(Founding),
    /// Let somebody join.
    IssueToken(Issue),
    /// Let nobody join by this token any more.
    RevokeToken(TokenId),
    /// Become a member, or come back as one, by a token. That the joiner knows the token's secret and
    /// holds the key has been checked.
    Join(Joining),
    /// Let a node that awaits approval be a member.
    Approve(NodeId),
    /// Give a node no new work.
    Drain(NodeId),
    /// Give a node work again.
    Resume(NodeId),
    /// Let a node be a member no more. It comes back only by a token that is issued later.
    Remove(NodeId),
    /// Call a node something else.
    Rename {
        /// Which node.
        node: NodeId,
        /// Its new name.
        name: String,
    },
    /// Set or remove labels of a node; what is not named stays.
    Label {
        /// Which node.
        node: NodeId,
        /// By key; none removes the label.
        labels: BTreeMap<String, Option<String>>,
    },
    /// A node is reached somewhere else.
    Move {
        /// Which node.
        node: NodeId,
        /// Where, UDP.
        address: SocketAddr,
    },
    /// Trust a further authority; it does not sign yet.
    AddAuthority(Certificate),
    /// Let this authority sign from now on; the one before it stays trusted and retires.
    ActivateAuthority(AuthorityId),
    /// Trust an authority no more that does not sign.
    RetireAuthority(AuthorityId),
    /// Change which plugins there are, or what they may touch.
    Plugins(PluginAction),
    /// Change who may sign in, and how.
    Users(UserAction),
}

/// How a cluster begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Founding {
    /// 128 random bits.
    pub cluster: ClusterId,
    /// What people call the cluster.
    pub name: String,
    /// The node that founds it: a voter and a member at once.
    pub founder: NodeId,
    /// What people call that node.
    pub founder_name: String,
    /// Its public key, SPKI in DER.
    pub public_key: Vec<u8>,
    /// Where it listens, UDP; none when it listens everywhere and does not know under which address
    /// others see it.
    pub address: Option<SocketAddr>,
    /// The cluster's first authority; active at once.
    pub authority: Certificate,
}

/// A join token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Random bits.
    pub token: TokenId,
    /// SCRAM's `StoredKey` (RFC 5802): the SHA-256 of a key that follows from the secret.
    pub stored_key: [u8; 32],
    /// What whoever comes with it becomes.
    pub role: Role,
    /// The only name by which one may come with it.
    pub name: Option<String>,
    /// Seconds since 1970; from then on it is worth nothing.
    pub expires_at: u64,
}

/// A node that comes with a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joining {
    /// Which token.
    pub token: TokenId,
    /// The joiner.
    pub node: NodeId,
    /// What it wants to be called.
    pub name: String,
    /// What it wants to be: the token's role.
    pub role: Role,
    /// Its public key, SPKI in DER.
    pub public_key: Vec<u8>,
    /// Where it was seen, UDP.
    pub address: SocketAddr,
}
