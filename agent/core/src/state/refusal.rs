//! Why a command changes nothing.

use crate::ids::{AuthorityId, NodeId, TokenId};
use crate::limits::{
    AUTHORITIES_MAX, CERTIFICATE_BYTES_MAX, LABEL_KEY_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_MAX,
    NAME_BYTES_MAX, NODES_MAX, PUBLIC_KEY_BYTES_MAX, TOKEN_TTL_S_MAX, TOKENS_MAX, VOTERS_MAX,
};

use super::member::Role;
use super::plugins::PluginRefusal;
use super::users::UserRefusal;

/// Why a command is refused. The state is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Only the first command founds.
    #[error("this is a cluster already; nodes join it with `skep join TOKEN`")]
    AlreadyFounded,
    /// Nothing can be done to a cluster that is not there.
    #[error("there is no cluster here yet; start it with `skep up`, or join one with `skep join`")]
    NotFounded,
    /// A name that cannot be one.
    #[error(
        "`{name}` cannot be a name: give 1 to {NAME_BYTES_MAX} bytes of printable characters, no space at \
         its ends, and not 32 hexadecimal digits, which name an id"
    )]
    Name {
        /// With everything unprintable escaped, and cut.
        name: String,
    },
    /// Names are unique, however their letters are cased.
    #[error("the name `{name}` is taken by the node {node}; choose another")]
    NameTaken {
        /// The name.
        name: String,
        /// Whose it is.
        node: NodeId,
    },
    /// A key or certificate of no possible length.
    #[error(
        "{what} has {bytes} bytes; it has at least 1 and at most {PUBLIC_KEY_BYTES_MAX} (key) or \
         {CERTIFICATE_BYTES_MAX} (certificate)"
    )]
    Length {
        /// Which of them.
        what: &'static str,
        /// So many.
        bytes: usize,
    },
    /// An address at which no single node can listen.
    #[error("`{0}` is no address of one node; give an IP address and a port other than 0")]
    Address(std::net::SocketAddr),
    /// No such node.
    #[error("there is no node {0}; `skep nodes` lists them")]
    UnknownNode(NodeId),
    /// It was removed, and nothing from before brings it back.
    #[error("the node {node} was removed; it can come back with a new token (`skep token new`)")]
    RemovedNode {
        /// Which.
        node: NodeId,
        /// Seconds since 1970.
        at: u64,
    },
    /// The same id with another key.
    #[error("the node {0} has another public key; remove it first if its key was replaced")]
    OtherKey(NodeId),
    /// No such token, or forgotten.
    #[error("there is no join token {0}; make one with `skep token new`")]
    UnknownToken(TokenId),
    /// The id is in use.
    #[error("there is a join token {0} already; make another")]
    TokenExists(TokenId),
    /// It is too late.
    #[error("the join token {token} has expired; make a new one with `skep token new`")]
    TokenExpired {
        /// Which.
        token: TokenId,
        /// Seconds since 1970.
        at: u64,
    },
    /// One use each.
    #[error(
        "the join token {token} was used by the node {by}; make a new one with `skep token new`"
    )]
    TokenUsed {
        /// Which.
        token: TokenId,
        /// By whom.
        by: NodeId,
    },
    /// The token makes nodes of another role.
    #[error("the join token is for a {expected}, not a {found}")]
    WrongRole {
        /// The token's.
        expected: Role,
        /// What was asked.
        found: Role,
    },
    /// The token is bound to another name.
    #[error("the join token is for a node of another name than `{found}`")]
    WrongName {
        /// What was asked. What was expected is not told to those who do not know it.
        found: String,
    },
    /// A lifetime that makes no sense.
    #[error("a join token is valid for at least 1 second and at most {TOKEN_TTL_S_MAX} seconds")]
    Lifetime,
    /// Too many.
    #[error("there are {TOKENS_MAX} join tokens; revoke some with `skep token revoke`")]
    TooManyTokens,
    /// Too many.
    #[error("the cluster has {NODES_MAX} nodes, which is as many as it can have")]
    TooManyNodes,
    /// Too many.
    #[error("the cluster has {VOTERS_MAX} voters; let the node join as a worker")]
    TooManyVoters,
    /// Nothing awaits approval.
    #[error("the node {0} awaits no approval")]
    NotPending(NodeId),
    /// It is no member yet.
    #[error("the node {0} awaits approval; approve it first (`skep node approve`)")]
    Pending(NodeId),
    /// It is already so.
    #[error("the node {0} gets no new work already")]
    AlreadyDraining(NodeId),
    /// It is already so.
    #[error("the node {0} was not drained")]
    NotDraining(NodeId),
    /// The cluster could decide nothing any more.
    #[error("the node {0} is the only voter; let another voter join and approve it first")]
    LastVoter(NodeId),
    /// A label that cannot be one.
    #[error(
        "a label is a key of 1 to {LABEL_KEY_BYTES_MAX} letters, digits and `-_./`, and a value of at \
         most {LABEL_VALUE_BYTES_MAX} bytes without control characters"
    )]
    Label,
    /// Too many.
    #[error("a node has at most {LABELS_MAX} labels; remove some")]
    TooManyLabels,
    /// A certificate that is never valid, or not valid any more.
    #[error("the certificate is not valid at any time from now on; look at the clock")]
    Validity,
    /// The id is in use.
    #[error("the authority {0} is trusted already")]
    AuthorityExists(AuthorityId),
    /// No such authority.
    #[error("there is no authority {0}; `skep ca` lists them")]
    UnknownAuthority(AuthorityId),
    /// Somebody has to sign.
    #[error("the authority {0} signs; activate another before it retires")]
    AuthorityActive(AuthorityId),
    /// Too many.
    #[error("{AUTHORITIES_MAX} authorities are trusted; retire one (`skep ca`)")]
    TooManyAuthorities,
    /// It is about plugins.
    #[error(transparent)]
    Plugins(PluginRefusal),
    /// It is about people.
    #[error(transparent)]
    Users(UserRefusal),
}
