//! Why the state is not opened, not changed, or not taken over.

use skep_core::state::{FormatError, Refusal};
use skep_core::{ClusterId, NodeId};

use crate::store::StoreError;

/// Why the state could not be opened. What is on the disk stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The log cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The snapshot is whole but says what this version does not know.
    #[error("the cluster's state cannot be read by this version")]
    State(#[source] FormatError),
    /// A record is whole but says what this version does not know.
    #[error("entry {index} of the cluster's log cannot be read by this version")]
    Entry {
        /// Which.
        index: u64,
        /// Why.
        #[source]
        source: FormatError,
    },
    /// The agent is stopping.
    #[error("the agent is stopping")]
    Stopped,
}

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProposeError {
    /// Somebody else leads; ask there.
    #[error("{}", not_leader(*leader))]
    NotLeader {
        /// Who leads; none when there is no cluster here.
        leader: Option<NodeId>,
    },
    /// The state refuses it. Nothing was logged.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nobody would lead.
    #[error("this node leads the cluster and cannot be removed from it")]
    LeaderStays,
    /// It is too large to be a command.
    #[error("the command cannot be logged: {0}")]
    Unfit(String),
    /// The log takes nothing. Whether the command was kept shows after a restart.
    #[error("the command could not be kept: {0}")]
    Store(String),
    /// The agent is stopping.
    #[error("the agent is stopping")]
    Stopped,
}

/// Why what another node sent was not taken over, or nothing can be sent. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// There is nothing to send yet.
    #[error("there is no cluster here yet; start it with `skep up`")]
    Empty,
    /// Ask for what comes after `have`.
    #[error("entries after {have} are wanted, these begin at {found}")]
    Gap {
        /// The newest entry here.
        have: u64,
        /// The first that was sent.
        found: u64,
    },
    /// Clusters never merge.
    #[error("this is of the cluster {found}, and this node is of {ours}; they never merge")]
    OtherCluster {
        /// Ours.
        ours: ClusterId,
        /// What was sent.
        found: ClusterId,
    },
    /// The same number, another content: one of the two lost something.
    #[error(
        "entry {index} is another one than the leader's; take the leader's state as a whole, or restore \
         the leader from a node that has more"
    )]
    Diverged {
        /// The newest entry that is known to differ.
        index: u64,
    },
    /// The follower has more than the node that it asks.
    #[error("{asked} is beyond the newest entry here, {last}; one of the two logs lost something")]
    Ahead {
        /// What the follower has.
        asked: u64,
        /// What is here.
        last: u64,
    },
    /// The leader follows nobody.
    #[error("this node leads and follows nobody")]
    Leads,
    /// Not a state or an entry that is known here.
    #[error("what the leader sent cannot be read by this version")]
    Format(#[source] FormatError),
    /// The state refuses what the leader did.
    #[error("entry {index} is refused here; update this node to the leader's version")]
    Refused {
        /// Which.
        index: u64,
        /// Why.
        #[source]
        refusal: Refusal,
    },
    /// The log takes or gives nothing.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The agent is stopping.
    #[error("the agent is stopping")]
    Stopped,
}

fn not_leader(leader: Option<NodeId>) -> String {
    leader.map_or_else(
        || "there is no cluster here yet; start it with `skep up`, or join one".to_owned(),
        |leader| format!("the node {leader} leads the cluster; ask there"),
    )
}
