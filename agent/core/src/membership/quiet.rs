//! Timers that would come to nothing, so that a node without news is not woken for them.

use foca::Timer;

use super::{Event, Membership};
use crate::NodeId;
use crate::time::Time;

impl Membership {
    /// Whether gossip rests: it has nothing to tell.
    pub(super) fn rests(&mut self, timer: &Timer<super::Peer>) -> bool {
        let rests = matches!(timer, Timer::PeriodicGossip(_)) && self.foca.updates_backlog() == 0;
        if rests {
            self.resting = Some(timer.clone());
        }
        rests
    }

    /// Gossip begins again as soon as there is something to tell.
    pub(super) fn wake_gossip(&mut self, now: Time) {
        if self.foca.updates_backlog() > 0
            && let Some(timer) = self.resting.take()
        {
            self.at(now, Event::Foca(timer));
        }
    }

    /// Who was probed has answered: there is no need to wait before others are asked to probe it.
    pub(super) fn answered(&mut self, now: Time, from: NodeId) {
        let waiting = self.events.iter().find(|(_, event)| {
            matches!(event, Event::Foca(Timer::SendIndirectProbe { probed_id, .. }) if probed_id.node == from)
        });
        let Some(key) = waiting.map(|(key, _)| *key) else {
            return;
        };
        self.timers.clear(&key);
        if let Some(Event::Foca(timer)) = self.events.remove(&key) {
            // Should the answer be one to an earlier probe, others are asked sooner, and no harm is done.
            let told = self.foca.handle_timer(timer, &mut self.effects);
            self.settle(now, told);
        }
    }
}
