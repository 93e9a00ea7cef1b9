//! What must always hold, and what must hold once nothing fails any more.

use std::collections::BTreeMap;

use skep_core::NodeId;
use skep_core::limits::DATAGRAM_BYTES_MAX;
use skep_core::membership::{Doing, Peer};

use crate::node::Node;
use crate::world::World;

impl World {
    /// Of one thing that the core at `place` wants.
    pub(crate) fn check_doing(&self, place: usize, doing: &Doing) -> Result<(), String> {
        let Some(node) = self.nodes.get(place) else {
            return Ok(());
        };
        match doing {
            Doing::Send { to, bytes } if bytes.len() > DATAGRAM_BYTES_MAX => Err(format!(
                "node {place} sends {} bytes at once to {}",
                bytes.len(),
                to.node
            )),
            Doing::Send { to, .. } if node.dismissed.contains(&to.node) => Err(format!(
                "node {place} sends to {}, which it was told is dismissed",
                to.node
            )),
            Doing::Up(peer) if node.dismissed.contains(&peer.node) => Err(format!(
                "node {place} takes {} for up, which it was told is dismissed",
                peer.node
            )),
            Doing::Up(peer) if peer.node == node.peer.node => {
                Err(format!("node {place} takes itself for another"))
            }
            Doing::Up(_) | Doing::Down(_) | Doing::Send { .. } | Doing::Renewed(_) => Ok(()),
        }
    }

    /// Nothing grows beyond what the number of nodes allows.
    pub(crate) fn check_bounds(&self) -> Result<(), String> {
        let bound = KEPT_PER_NODE * self.nodes.len() + KEPT_ALWAYS;
        for (place, node) in self.nodes.iter().enumerate() {
            let kept = node.core.as_ref().map_or(0, |core| core.kept());
            if kept > bound {
                return Err(format!(
                    "node {place} keeps {kept} things, more than {bound}"
                ));
            }
        }
        Ok(())
    }

    /// Every living member sees every other one, as it is, and nobody else; liars aside.
    pub(crate) fn check_agreement(&self) -> Result<(), String> {
        let lives = |node: &&Node| {
            let apart =
                self.dismissed.contains(&node.peer.node) || self.liar == Some(node.peer.node);
            node.core.is_some() && !node.left && !apart
        };
        let living: BTreeMap<NodeId, &Peer> = self
            .nodes
            .iter()
            .filter(lives)
            .map(|node| (node.peer.node, &node.peer))
            .collect();
        for node in self.nodes.iter().filter(lives) {
            let mut expected = living.clone();
            expected.remove(&node.peer.node);
            let seen: BTreeMap<NodeId, &Peer> = node
                .sees
                .iter()
                .filter(|(id, _)| self.liar != Some(**id))
                .map(|(id, peer)| (*id, peer))
                .collect();
            if seen != expected {
                return Err(format!(
                    "{:?} sees {seen:?} and should see {expected:?}",
                    node.peer
                ));
            }
        }
        Ok(())
    }
}

/// Per node of the cluster: what is known of it, its suspicion, and an update about it that is passed
/// on; suspicions may overlap.
const KEPT_PER_NODE: usize = 8;

/// Timers of a core that depend on nothing.
const KEPT_ALWAYS: usize = 16;
