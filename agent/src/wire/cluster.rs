//! What is told of the cluster: its nodes, join tokens and authorities.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::cluster::{
    AuthorityStatus as Authority, DeviceFacts, Invitation, Joined, Neighbour, NodeState,
    NodeStatus as ClusterNode, TokenStatus as JoinToken,
};

/// `GET /api/v1/cluster/nodes`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClusterNodes {
    /// The cluster's identity.
    pub cluster: String,
    /// The node that answers first, then by name.
    pub nodes: Vec<ClusterNode>,
}

/// `POST /api/v1/cluster/nodes/{node}/rename`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewName {
    pub name: String,
}

/// `POST /api/v1/cluster/nodes/{node}/label`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewLabels {
    /// By key; null removes one.
    pub labels: BTreeMap<String, Option<String>>,
}

/// `GET /api/v1/cluster/tokens`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JoinTokens {
    pub tokens: Vec<JoinToken>,
}

/// `POST /api/v1/cluster/tokens`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewToken {
    /// `worker` (the default) or `voter`.
    pub role: Option<String>,
    /// Only a node of this name may come with it.
    pub name: Option<String>,
    /// How long it is good; a quarter of an hour by default.
    pub ttl_s: Option<u64>,
}

/// `GET /api/v1/cluster/ca`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Authorities {
    pub authorities: Vec<Authority>,
    /// When the certificate of the node that answers ends.
    pub certificate_until_unix_s: Option<u64>,
}

/// `POST /api/v1/cluster/join`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JoinWish {
    pub token: String,
    /// Further places to look for the cluster, `HOST:PORT`, before those that the token names.
    pub at: Vec<String>,
    /// What this node wants to be called.
    pub name: Option<String>,
    /// Whether to leave a cluster with others for it.
    pub leave: bool,
}

/// `GET /api/v1/cluster/neighbours`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Neighbours {
    pub neighbours: Vec<Neighbour>,
}
