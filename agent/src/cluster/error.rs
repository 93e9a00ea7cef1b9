//! Why something about the cluster could not be done.

use std::io;
use std::path::PathBuf;

use crate::net::{DialError, FrameError, JoinError, SocketError};
use crate::pki::AuthorityError;

/// Why something about the cluster could not be done. Nothing of it was, unless said.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A file could not be read or written.
    #[error("could not read or write `{path}`")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is not what it should be; it was left as it is.
    #[error(
        "`{0}` is damaged; restore it from a backup, or move it away and join again with a new token"
    )]
    Damaged(PathBuf),
    /// The cluster's log could not be opened or written.
    #[error("the cluster's log: {0}")]
    Log(String),
    /// The state refused.
    #[error("{0}")]
    Refused(skep_core::state::Refusal),
    /// Certificates.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The network.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// TLS would not take the certificate.
    #[error("the node's certificate cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    /// Joining.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// Adopting.
    #[error(transparent)]
    Adoption(#[from] super::AdoptionError),
    /// The node that leads the cluster's state was not reached; what runs goes on.
    #[error(
        "`{leader}`, which leads the cluster's state, was not reached: {why}; try again when it is back"
    )]
    Leaderless {
        /// Its name.
        leader: String,
        /// In words.
        why: String,
    },
    /// The leader said no.
    #[error("{0}")]
    Denied(String),
    /// There is no such node.
    #[error("the cluster has no node `{0}`; `skep nodes` lists them")]
    UnknownNode(String),
    /// This node has others already.
    #[error(
        "this node is a member of a cluster with others already; add `--leave` to leave that one for good"
    )]
    HasOthers,
    /// It cannot leave those whose state it keeps.
    #[error(
        "this node leads a cluster with others; `skep node remove` them first, or use another `--home`"
    )]
    Leads,
    /// The token is its own.
    #[error("the token was made by this very node; use it on the machine that is to join")]
    Itself,
    /// Nobody can be heard.
    #[error("cannot hear neighbours: {0}; does this network let multicast through (UDP 5353)?")]
    Neighbours(String),
    /// The system gave no randomness.
    #[error("the system gives no random numbers")]
    Random,
    /// No node can be called.
    #[error(
        "cannot tell under which address other machines reach this one; set `cluster.advertise` in the configuration"
    )]
    NoAddress,
}

impl ClusterError {
    pub(super) fn leaderless(leader: &str, why: impl std::fmt::Display) -> Self {
        Self::Leaderless {
            leader: leader.to_owned(),
            why: why.to_string(),
        }
    }
}

impl From<getrandom::Error> for ClusterError {
    fn from(_: getrandom::Error) -> Self {
        Self::Random
    }
}

impl From<DialError> for ClusterError {
    fn from(error: DialError) -> Self {
        Self::leaderless("the other node", error)
    }
}

impl From<FrameError> for ClusterError {
    fn from(error: FrameError) -> Self {
        Self::leaderless("the other node", error)
    }
}
