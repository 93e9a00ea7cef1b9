//! Asking for those who are missing.
//!
//! Decides whom to ask, where and how often. Refuses to decide who is missing.

use super::{Event, Membership, Peer};
use crate::ids::NodeId;
use crate::limits::{SEEK_ALONE, SEEK_OTHERS, SEEK_PEERS};
use crate::time::Time;

impl Membership {
    pub(super) fn begin_to_seek(&mut self, now: Time) {
        if self.is_anybody_missing() && !self.seeking {
            self.seeking = true;
            self.at(now, Event::Seek);
        }
    }

    /// Asks nodes that are not there, some at a time, where they themselves said that they are.
    pub(super) fn seek(&mut self, now: Time) {
        self.seeking = self.is_anybody_missing();
        if !self.seeking {
            return;
        }
        let last = self.sought.unwrap_or(NodeId([0; 16]));
        let missing = |(node, _): &(&NodeId, &Peer)| !self.up.contains_key(node);
        let after = self.known.range(last..).filter(|(node, _)| **node != last);
        let around = after.chain(self.known.range(..=last));
        let asked: Vec<Peer> = around
            .filter(missing)
            .take(SEEK_PEERS)
            .map(|(_, peer)| peer.clone())
            .collect();
        for peer in asked {
            self.sought = Some(peer.node);
            let told = self.foca.announce(peer, &mut self.effects);
            self.settle(now, told);
        }
        let alone = self.up.is_empty();
        let wait = if alone { SEEK_ALONE } else { SEEK_OTHERS };
        self.at(now.after(wait), Event::Seek);
    }

    fn is_anybody_missing(&self) -> bool {
        self.known.keys().any(|node| !self.up.contains_key(node))
    }
}
