//! Why a node is not adopted.

use std::net::SocketAddr;

use crate::limits::ADOPT_AT_ONCE;
use crate::net::AdoptError;

/// Why a node is not adopted. Nothing was given away.
#[derive(Debug, thiserror::Error)]
pub enum AdoptionError {
    /// There is no such adoption.
    #[error("there is no adoption `{0}`")]
    Unknown(String),
    /// Nothing more comes of it.
    #[error("that adoption is over: {0}")]
    Over(String),
    /// The node that was to wait has others.
    #[error(
        "only a node that is alone can be adopted; this one has others, or is in another's cluster. `skep join TOKEN --leave` leaves it"
    )]
    NotAlone,
    /// Nobody is meant.
    #[error(
        "nobody called `{0}` waits to be adopted: `skep join --wait` there, `skep discover` here shows who does"
    )]
    NobodyWaits(String),
    /// More than one is meant.
    #[error("several nodes called `{name}` wait to be adopted; name the one that you mean by its address: {}", list(.addresses))]
    Several {
        /// What was asked for.
        name: String,
        /// Where they are.
        addresses: Vec<SocketAddr>,
    },
    /// It is no address.
    #[error(
        "`{place}` is no place to look: {why}; give a name as `skep discover` shows it, or `HOST:PORT`"
    )]
    NoPlace {
        /// What was asked for.
        place: String,
        /// In words.
        why: String,
    },
    /// The local network is not heard.
    #[error("cannot hear neighbours: {0}; name the node by `HOST:PORT`")]
    Deaf(String),
    /// This node's word does not count.
    #[error("a worker does not let anybody in: run this on `{0}`, or on another voter")]
    Worker(String),
    /// It was tried a moment ago, or too often.
    #[error("digits were asked for too often; try again in {0} s")]
    TooSoon(u64),
    /// It is a member already.
    #[error("`{0}` is a member of this cluster already")]
    Member(String),
    /// Others are under way.
    #[error("{ADOPT_AT_ONCE} adoptions are under way; confirm or refuse one of them first")]
    Busy,
    /// The two nodes got no digits to compare.
    #[error(transparent)]
    Exchange(#[from] AdoptError),
}

fn list(addresses: &[SocketAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
