//! A node as the cluster agreed on it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::command::Founding;
use super::refusal::Refusal;
use super::text;
use crate::ids::TokenId;
use crate::limits::PUBLIC_KEY_BYTES_MAX;

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// What people call it; unique.
    pub name: String,
    /// What it may decide.
    pub role: Role,
    /// What it may do.
    pub standing: Standing,
    /// SPKI in DER.
    pub public_key: Vec<u8>,
    /// Where it was last known to listen, UDP.
    pub address: Option<SocketAddr>,
    /// What operators say of it, by key.
    pub labels: BTreeMap<String, String>,
    /// When it first joined, seconds since 1970.
    pub joined_at: u64,
    /// The token by which it last came; none for the founder.
    pub token: Option<TokenId>,
}

/// What a node may decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// It takes part in what the cluster agrees on.
    Voter,
    /// It works and follows.
    Worker,
}

/// What a node may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Standing {
    /// Nothing until somebody approves it.
    Pending,
    /// Everything that its role allows.
    Member,
    /// As a member, but it gets no new work.
    Draining,
}

/// What is remembered of a node that was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// What it was called.
    pub name: String,
    /// When, seconds since 1970.
    pub at: u64,
    /// The state's revision then: tokens from before do not bring it back.
    pub(super) revision: u64,
}

impl Member {
    /// Whether it takes part in what the cluster agrees on now.
    #[must_use]
    pub fn votes(&self) -> bool {
        self.role == Role::Voter && self.standing != Standing::Pending
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Voter => "voter",
            Self::Worker => "worker",
        })
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Member => "member",
            Self::Draining => "draining",
        })
    }
}

/// The first node.
pub(super) fn founder(at: u64, founding: &Founding) -> Result<Member, Refusal> {
    text::check_name(&founding.founder_name)?;
    check_key(&founding.public_key)?;
    if let Some(address) = founding.address {
        text::check_address(address)?;
    }
    Ok(Member {
        name: founding.founder_name.clone(),
        role: Role::Voter,
        standing: Standing::Member,
        public_key: founding.public_key.clone(),
        address: founding.address,
        labels: BTreeMap::new(),
        joined_at: at,
        token: None,
    })
}

pub(super) fn check_key(key: &[u8]) -> Result<(), Refusal> {
    if key.is_empty() || key.len() > PUBLIC_KEY_BYTES_MAX {
        return Err(Refusal::Length {
            what: "the public key",
            bytes: key.len(),
        });
    }
    Ok(())
}
