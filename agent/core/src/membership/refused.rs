//! A process that died while its machine lives: the machine itself says so (ICMP, port unreachable).
//!
//! Anybody on the way can say that too. So the node is asked once more, and only its silence ends it;
//! that takes a tenth of a second, where suspicion takes seconds.

use foca::{Member, State};

use super::{Doing, Event, Membership, Peer, sieve};
use crate::ids::NodeId;
use crate::limits::{CONFIRM, TOLD_MAX};
use crate::time::Time;

impl Membership {
    /// The machine of a node says that nobody listens where the node should be.
    pub fn handle_refused(&mut self, now: Time, node: NodeId) {
        self.catch_up(now);
        let Some(peer) = self.up.get(&node).cloned() else {
            return;
        };
        let asked = self
            .events
            .values()
            .any(|event| matches!(event, Event::Confirm(of, _) if *of == peer));
        if asked || self.left {
            return;
        }
        if let Some(held) = self.held(node) {
            self.confront(peer.clone(), &held);
        }
        // A node that doubts itself may hear the answer late.
        let wait = CONFIRM.saturating_mul(self.health.factor());
        self.at(now.after(wait), Event::Confirm(peer, now));
    }

    /// It had time to answer: what it did not say since `asked`, it cannot say any more.
    pub(super) fn confirm(&mut self, now: Time, peer: &Peer, asked: Time) {
        let heard = self.heard.get(&peer.node).is_some_and(|at| *at >= asked);
        if heard || self.up.get(&peer.node) != Some(peer) {
            return;
        }
        let Some(held) = self.held(peer.node) else {
            return;
        };
        let gone = Member::new(peer.clone(), held.incarnation(), State::Down);
        let news = std::iter::once(gone.clone());
        let told = self.foca.apply_many(news, true, &mut self.effects);
        self.settle(now, told);
        let others: Vec<Peer> = self.up.values().take(TOLD_MAX).cloned().collect();
        for to in others {
            let bytes = sieve::confront(self.me().clone(), to.clone(), &gone);
            if let Some(bytes) = bytes {
                self.doings.push_back(Doing::Send { to, bytes });
            }
        }
    }
}
