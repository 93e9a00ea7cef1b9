//! A place in the cluster and who lives there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use skep_core::NodeId;
use skep_core::membership::{Membership, Peer};

/// A place in the cluster and the core that lives there.
#[derive(Debug)]
pub(crate) struct Node {
    /// As it is, or as it will be when it starts again.
    pub(crate) peer: Peer,
    pub(crate) core: Option<Membership>,
    /// Until then it gets no processor time; what comes waits.
    pub(crate) paused: Option<Duration>,
    pub(crate) waiting: Vec<(NodeId, Vec<u8>)>,
    pub(crate) wakes: Option<Duration>,
    /// Who it was told is up.
    pub(crate) sees: BTreeMap<NodeId, Peer>,
    /// It said good-bye.
    pub(crate) left: bool,
    /// Who it was told is no member any more.
    pub(crate) dismissed: BTreeSet<NodeId>,
}

impl Node {
    pub(crate) fn at(place: usize) -> Self {
        let mut id = [0; 16];
        // Large and small in an order of their own, as hashes are.
        let mixed = (place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        id.iter_mut()
            .zip(mixed.to_le_bytes())
            .for_each(|(to, byte)| *to = byte);
        let host = u8::try_from(place % 250).unwrap_or(0) + 1;
        let net = u8::try_from(place / 250).unwrap_or(0);
        Self {
            peer: Peer {
                node: NodeId(id),
                generation: 1,
                address: SocketAddr::from((Ipv4Addr::new(10, 0, net, host), 7420)),
            },
            core: None,
            paused: None,
            waiting: Vec::new(),
            wakes: None,
            sees: BTreeMap::new(),
            left: false,
            dismissed: BTreeSet::new(),
        }
    }
}
