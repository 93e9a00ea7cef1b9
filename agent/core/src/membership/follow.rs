//! Takes over what foca wants after each call.
//!
//! Decides how long waits become, and that what foca no longer heeds is not kept.

use foca::{Timer, TimerToken};

use super::effects::News;
use super::{Doing, Event, Membership, Peer, config};
use crate::limits::ASKS;
use crate::time::Time;

impl Membership {
    /// Takes over what foca wants. Its errors are about single datagrams or about timers that came
    /// to nothing, and it goes on after each.
    pub(super) fn settle(&mut self, now: Time, _told: Result<(), foca::Error>) {
        let members = self.up.len();
        while self.take_news() {
            // In a new life foca waits for a sign of the others before it probes them; but they may
            // be gone, too.
            let nothing = std::iter::empty();
            let _ = self.foca.apply_many(nothing, false, &mut self.effects);
        }
        for (to, bytes) in std::mem::take(&mut self.effects.sends) {
            // foca does not know that a node was dismissed.
            if self.admitted.contains_key(&to.node) {
                self.doings.push_back(Doing::Send { to, bytes });
            }
        }
        let factor = self.health.factor();
        for (after, timer) in std::mem::take(&mut self.effects.timers) {
            self.heed(&timer);
            if self.rests(&timer) {
                continue;
            }
            let after = config::wait(&timer, after, self.up.len() + 1);
            let after = match &timer {
                Timer::ChangeSuspectToDown {
                    member_id: suspect,
                    incarnation,
                    ..
                } => {
                    let after = after.saturating_mul(factor);
                    for part in 0..ASKS {
                        let ask = Event::Ask(suspect.clone(), *incarnation);
                        self.at(now.after(after / ASKS * part), ask);
                    }
                    after
                }
                Timer::ProbeRandomMember(_) | Timer::SendIndirectProbe { .. } => {
                    after.saturating_mul(factor)
                }
                Timer::PeriodicAnnounce(_)
                | Timer::PeriodicAnnounceDown(_)
                | Timer::PeriodicGossip(_)
                | Timer::RemoveDown(_) => after,
            };
            self.at(now.after(after), Event::Foca(timer));
        }
        self.wake_gossip(now);
        if members != self.up.len() {
            // Only what may change while foca runs changes here.
            let _ = self.foca.set_config(config::of(self.up.len() + 1));
            self.begin_to_seek(now);
        }
    }

    /// foca gives its timers another token with each new life and ignores those of before; they must not
    /// pile up.
    fn heed(&mut self, newest: &Timer<Peer>) {
        let Some(token) = token_of(newest).filter(|token| *token != self.token) else {
            return;
        };
        self.token = token;
        self.resting = None;
        let timers = &mut self.timers;
        self.events.retain(|key, event| {
            let void = match event {
                Event::Foca(timer) => token_of(timer).is_some_and(|of| of != token),
                // It goes with a suspicion's timer.
                Event::Ask(..) => true,
                Event::Seek | Event::Confirm(..) => false,
            };
            if void {
                timers.clear(key);
            }
            !void
        });
    }

    /// Takes over what changed; tells whether this node is in a new life.
    fn take_news(&mut self) -> bool {
        let mut renewed = false;
        for news in std::mem::take(&mut self.effects.news) {
            match news {
                News::Up(peer) => self.came(peer),
                News::Renamed(peer) => {
                    if self.up.contains_key(&peer.node) {
                        self.came(peer);
                    }
                }
                News::Down(peer) => {
                    if self.up.remove(&peer.node).is_some() {
                        self.doings.push_back(Doing::Down(peer.node));
                    }
                }
                News::Renewed(me) => {
                    renewed = true;
                    self.doings.push_back(Doing::Renewed(me));
                }
            }
        }
        renewed
    }

    fn came(&mut self, peer: Peer) {
        self.known.entry(peer.node).or_insert_with(|| peer.clone());
        self.up.insert(peer.node, peer.clone());
        self.doings.push_back(Doing::Up(peer));
    }

    pub(super) fn at(&mut self, moment: Time, event: Event) {
        let key = self.next_event;
        self.next_event += 1;
        self.events.insert(key, event);
        self.timers.set(key, moment);
    }
}

fn token_of(timer: &Timer<Peer>) -> Option<TimerToken> {
    match timer {
        Timer::ProbeRandomMember(token)
        | Timer::SendIndirectProbe { token, .. }
        | Timer::ChangeSuspectToDown { token, .. }
        | Timer::PeriodicAnnounce(token)
        | Timer::PeriodicAnnounceDown(token)
        | Timer::PeriodicGossip(token) => Some(*token),
        Timer::RemoveDown(_) => None,
    }
}
