//! What came of a command.

use crate::ids::{AuthorityId, ClusterId, NodeId, TokenId};

use super::member::Standing;
use super::plugins::PluginEvent;
use super::refusal::Refusal;
use super::users::UserEvent;

/// Something that changed, or why nothing did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The cluster began.
    Founded(ClusterId),
    /// Somebody may join.
    TokenIssued(TokenId),
    /// Nobody may join by this token any more.
    TokenRevoked(TokenId),
    /// An expired token was forgotten.
    TokenForgotten(TokenId),
    /// A node came with a token.
    Joined {
        /// Which node.
        node: NodeId,
        /// Whether it is a member at once.
        standing: Standing,
        /// It was a member already.
        again: bool,
    },
    /// A node was approved.
    Approved(NodeId),
    /// A node gets no new work.
    Drained(NodeId),
    /// A node gets work again.
    Resumed(NodeId),
    /// A node is a member no more.
    Removed(NodeId),
    /// A node has another name.
    Renamed {
        /// Which node.
        node: NodeId,
        /// What it was called.
        from: String,
        /// What it is called.
        to: String,
    },
    /// A node has other labels.
    Labelled(NodeId),
    /// A node is reached somewhere else.
    Moved(NodeId),
    /// A further authority is trusted.
    AuthorityAdded(AuthorityId),
    /// Another authority signs.
    AuthorityActivated(AuthorityId),
    /// An authority is trusted no more.
    AuthorityRetired(AuthorityId),
    /// Something about plugins.
    Plugins(PluginEvent),
    /// Something about people.
    Users(UserEvent),
    /// Nothing changed, for this reason.
    Refused(Refusal),
}
