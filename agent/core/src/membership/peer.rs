//! Who a member is to the others.
//!
//! Decides which of two claims to be the same node holds: the later one.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::ids::NodeId;

/// A node, which of its lives it is in, and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Peer {
    /// Which node.
    pub node: NodeId,
    /// Goes up with each start, and whenever the cluster had given the node up.
    pub generation: u64,
    /// Where it listens, UDP.
    pub address: SocketAddr,
}

impl Peer {
    /// The same node's next life.
    #[must_use]
    pub fn renewed(&self) -> Self {
        self.at_generation(self.generation.saturating_add(1))
    }

    pub(super) fn at_generation(&self, generation: u64) -> Self {
        Self {
            generation,
            ..self.clone()
        }
    }

    /// Whether this claim is later than `other`, which is about the same node.
    pub(super) fn is_later_than(&self, other: &Self) -> bool {
        (self.generation, self.address) > (other.generation, other.address)
    }

    /// Whether one node can listen there at all: a gossiped address must not make us send to many.
    pub(crate) fn is_reachable(&self) -> bool {
        let ip = self.address.ip().to_canonical();
        let many = match ip {
            IpAddr::V4(v4) => v4.is_broadcast(),
            IpAddr::V6(_) => false,
        };
        self.address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !many
    }
}

impl foca::Identity for Peer {
    type Addr = NodeId;

    fn renew(&self) -> Option<Self> {
        Some(self.renewed())
    }

    fn addr(&self) -> NodeId {
        self.node
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.is_later_than(adversary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(generation: u64, address: &str) -> Peer {
        Peer {
            node: NodeId([7; 16]),
            generation,
            address: address.parse().unwrap(),
        }
    }

    #[test]
    fn of_two_lives_the_later_counts() {
        let first = peer(5, "10.0.0.1:7420");
        assert!(first.renewed().is_later_than(&first));
        assert!(!first.is_later_than(&first.renewed()));
        assert!(!first.is_later_than(&first));
        let moved = peer(5, "10.0.0.2:7420");
        assert_ne!(first.is_later_than(&moved), moved.is_later_than(&first));
    }

    #[test]
    fn addresses_of_many_are_no_address() {
        for bad in [
            "0.0.0.0:1",
            "10.0.0.1:0",
            "224.0.0.1:7420",
            "255.255.255.255:7420",
            "[::]:7420",
            "[ff02::1]:7420",
            "[::ffff:224.0.0.1]:7420",
        ] {
            assert!(!peer(0, bad).is_reachable(), "{bad}");
        }
        for good in ["10.0.0.1:7420", "127.0.0.1:1", "[fd00::1]:7420"] {
            assert!(peer(0, good).is_reachable(), "{good}");
        }
    }
}
