//! States and commands as bytes: a version, then `postcard`.
//!
//! Decides which versions are read. What is read from outside is within every bound, or an error.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::command::Command;
use super::{Authority, Cluster, Member, Plugins, Removed, State, Token, Users, text};
use crate::ids::{AuthorityId, NodeId, TokenId};
use crate::limits::{
    AUTHORITIES_MAX, CERTIFICATE_BYTES_MAX, COMMAND_BYTES_MAX, LABELS_MAX, NODES_MAX,
    PUBLIC_KEY_BYTES_MAX, REMOVED_MAX, STATE_BYTES_MAX, TOKENS_MAX,
};

/// The version of an encoded [`State`]. Raised when its meaning changes.
pub const STATE_FORMAT: u8 = 3;

/// The version before there were plugins. Still written while there are none, so that a node that was not
/// updated yet reads it.
const WITHOUT_PLUGINS: u8 = 1;

/// The version before there were users; still written while there are none, for the same reason.
const WITHOUT_USERS: u8 = 2;

/// The version of an encoded [`Command`]. Raised when its meaning changes; a new kind of command at
/// the end of its list is no such change.
pub const COMMAND_FORMAT: u8 = 1;

/// Why bytes are no state or no command. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Written by a newer skep.
    #[error("version {found} of the format is unknown here, which knows {known}; update this node")]
    Version {
        /// What it says.
        found: u8,
        /// What is known.
        known: u8,
    },
    /// More than any can have.
    #[error("{bytes} bytes are more than the {limit} that it can have")]
    Large {
        /// So many.
        bytes: usize,
        /// At most so many.
        limit: usize,
    },
    /// No such thing.
    #[error("the bytes are damaged, or written by a newer skep; update this node")]
    Malformed(#[source] postcard::Error),
    /// It says something that cannot be.
    #[error("{0} is beyond its bounds")]
    Bounds(&'static str),
}

/// The part of a state that was there from the beginning.
#[derive(Serialize, Deserialize)]
struct Base<'a> {
    cluster: Cow<'a, Option<Cluster>>,
    revision: u64,
    authorities: Cow<'a, BTreeMap<AuthorityId, Authority>>,
    members: Cow<'a, BTreeMap<NodeId, Arc<Member>>>,
    removed: Cow<'a, BTreeMap<NodeId, Removed>>,
    tokens: Cow<'a, BTreeMap<TokenId, Token>>,
}

impl State {
    /// The state as bytes.
    ///
    /// # Errors
    /// Only when memory for it cannot be had.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let base = Base {
            cluster: Cow::Borrowed(&self.cluster),
            revision: self.revision,
            authorities: Cow::Borrowed(&self.authorities),
            members: Cow::Borrowed(&self.members),
            removed: Cow::Borrowed(&self.removed),
            tokens: Cow::Borrowed(&self.tokens),
        };
        match (self.plugins.is_empty(), self.users.is_empty()) {
            (true, true) => encode(WITHOUT_PLUGINS, &base, STATE_BYTES_MAX),
            (false, true) => encode(WITHOUT_USERS, &(base, &self.plugins), STATE_BYTES_MAX),
            (_, false) => {
                let all = (base, &self.plugins, &self.users);
                encode(STATE_FORMAT, &all, STATE_BYTES_MAX)
            }
        }
    }

    /// A state from bytes.
    ///
    /// # Errors
    /// When they are none, or one that could not come about.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let (base, plugins, users) = match bytes.first() {
            Some(&WITHOUT_PLUGINS) => {
                let base = decode(WITHOUT_PLUGINS, bytes, STATE_BYTES_MAX)?;
                (base, Plugins::default(), Users::default())
            }
            Some(&WITHOUT_USERS) => {
                let (base, plugins) = decode(WITHOUT_USERS, bytes, STATE_BYTES_MAX)?;
                (base, plugins, Users::default())
            }
            _ => decode(STATE_FORMAT, bytes, STATE_BYTES_MAX)?,
        };
        let base: Base<'_> = base;
        let state = Self {
            cluster: base.cluster.into_owned(),
            revision: base.revision,
            authorities: base.authorities.into_owned(),
            members: base.members.into_owned(),
            removed: base.removed.into_owned(),
            tokens: base.tokens.into_owned(),
            plugins,
            users,
        };
        state.check_bounds()?;
        Ok(state)
    }

    pub(super) fn check_bounds(&self) -> Result<(), FormatError> {
        let bound = |fits: bool, what| fits.then_some(()).ok_or(FormatError::Bounds(what));
        bound(self.members.len() <= NODES_MAX, "the number of nodes")?;
        bound(
            self.removed.len() <= REMOVED_MAX,
            "the number of removed nodes",
        )?;
        bound(self.tokens.len() <= TOKENS_MAX, "the number of tokens")?;
        bound(
            self.authorities.len() <= AUTHORITIES_MAX,
            "the number of authorities",
        )?;
        bound(
            self.cluster.is_some() || self.members.is_empty(),
            "a node without a cluster",
        )?;
        bound(self.plugins.is_within_bounds(), "a plugin")?;
        bound(self.users.is_within_bounds(), "a user")?;
        for authority in self.authorities.values() {
            bound(
                authority.der.len() <= CERTIFICATE_BYTES_MAX,
                "a certificate",
            )?;
        }
        for member in self.members.values() {
            bound(text::check_name(&member.name).is_ok(), "a node's name")?;
            bound(member.public_key.len() <= PUBLIC_KEY_BYTES_MAX, "a key")?;
            bound(member.labels.len() <= LABELS_MAX, "a node's labels")?;
            for (key, value) in &member.labels {
                bound(text::check_label(key, Some(value)).is_ok(), "a label")?;
            }
        }
        Ok(())
    }
}

impl Command {
    /// The command as bytes.
    ///
    /// # Errors
    /// When it is larger than any that is accepted.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        encode(COMMAND_FORMAT, self, COMMAND_BYTES_MAX)
    }

    /// A command from bytes.
    ///
    /// # Errors
    /// When they are none that is known here.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        decode(COMMAND_FORMAT, bytes, COMMAND_BYTES_MAX)
    }
}

fn encode(version: u8, value: &impl Serialize, limit: usize) -> Result<Vec<u8>, FormatError> {
    let bytes = postcard::to_extend(value, vec![version]).map_err(FormatError::Malformed)?;
    bounded(bytes.len(), limit)?;
    Ok(bytes)
}

fn decode<T: DeserializeOwned>(version: u8, bytes: &[u8], limit: usize) -> Result<T, FormatError> {
    bounded(bytes.len(), limit)?;
    let Some((&found, rest)) = bytes.split_first() else {
        return Err(FormatError::Malformed(
            postcard::Error::DeserializeUnexpectedEnd,
        ));
    };
    if found != version {
        return Err(FormatError::Version {
            found,
            known: version,
        });
    }
    let (value, left) = postcard::take_from_bytes(rest).map_err(FormatError::Malformed)?;
    if left.is_empty() {
        return Ok(value);
    }
    Err(FormatError::Bounds("what follows the end"))
}

fn bounded(bytes: usize, limit: usize) -> Result<(), FormatError> {
    if bytes > limit {
        return Err(FormatError::Large { bytes, limit });
    }
    Ok(())
}
