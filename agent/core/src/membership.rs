//! Who of the cluster is there.
//!
//! SWIM with suspicion (Das, Gupta, Motivala 2002) by the `foca` crate, and around it what that
//! lacks: a node that lags doubts itself before it doubts others, only admitted nodes are heard and
//! spoken of, and who is missing is asked for where it last said itself that it is.
//!
//! Decides who is believed to be up. Refuses to decide anything that follows from it: membership
//! proposes, the cluster's state disposes.
//!
//! # How to drive it
//!
//! As the [core](crate): hand it what happened, then take every [`Doing`]. When datagrams and a
//! timeout wait at once, hand it the datagrams first: an answer may be among them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;

use foca::{Foca, Incarnation, Member, PostcardCodec, State, Timer, TimerToken};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

use self::effects::{Effects, News};
use self::health::Health;
use crate::ids::NodeId;
use crate::limits::{CORRECT_PERIOD, DATAGRAM_BYTES_MAX, LAG, NODES_MAX};
use crate::time::{Time, TimerTable};

mod config;
mod effects;
mod follow;
mod health;
mod peer;
mod quiet;
mod refused;
mod seek;
mod sieve;

pub use self::peer::Peer;

/// One node's view of the cluster.
pub struct Membership {
    foca: Foca<Peer, PostcardCodec, Xoshiro256PlusPlus, foca::NoCustomBroadcast>,
    effects: Effects,
    health: Health,
    /// Nodes that the cluster has as members, this one aside, and the generation in which each last
    /// spoke to us itself.
    admitted: BTreeMap<NodeId, u64>,
    /// Each admitted node as it last said itself, or as it was when it was admitted.
    known: BTreeMap<NodeId, Peer>,
    up: BTreeMap<NodeId, Peer>,
    /// When each last spoke to us itself.
    heard: BTreeMap<NodeId, Time>,
    /// When each was last told that it is held for something that it is not.
    corrected: BTreeMap<NodeId, Time>,
    timers: TimerTable<u64>,
    events: BTreeMap<u64, Event>,
    next_event: u64,
    /// What foca's timers bear that it still heeds.
    token: TimerToken,
    /// foca's timer for gossip, while there is none.
    resting: Option<Timer<Peer>>,
    /// A [`Event::Seek`] is set.
    seeking: bool,
    /// Who was asked last when nobody was there.
    sought: Option<NodeId>,
    /// It said good-bye.
    left: bool,
    doings: VecDeque<Doing>,
}

/// What a membership wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Send this as one datagram; it may be lost.
    Send {
        /// To whom.
        to: Peer,
        /// What, at most [`DATAGRAM_BYTES_MAX`].
        bytes: Vec<u8>,
    },
    /// The node is up, or it is up elsewhere or in another life than before.
    Up(Peer),
    /// The node is believed to be gone.
    Down(NodeId),
    /// This node is now this: it moved, or the others had given it up. Keep the generation: the next
    /// start must begin above it.
    Renewed(Peer),
}

/// Why a datagram was not heard. Nothing of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Too large, or not to be read to its end.
    #[error("it is not a membership datagram")]
    Malformed,
    /// It says that it comes from another node than the one that sent it.
    #[error("its sender speaks in another's name")]
    Impostor,
    /// It is for somebody else.
    #[error("it is meant for another node")]
    Astray,
    /// It comes from, or concerns, a node that was not admitted.
    #[error("it concerns a node that was not admitted")]
    Stranger,
}

/// What is to happen at a moment.
#[derive(Debug)]
enum Event {
    Foca(Timer<Peer>),
    Seek,
    /// A suspicion is not yet cleared: confront the suspect with it.
    Ask(Peer, Incarnation),
    /// It was asked whether it is there, then: whether it has answered.
    Confirm(Peer, Time),
}

impl Membership {
    /// A view that has nobody in it. `seed` decides whom it probes in which order.
    #[must_use]
    pub fn new(me: Peer, seed: u64) -> Self {
        let rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self {
            foca: Foca::new(me, config::of(1), rng, PostcardCodec),
            effects: Effects::default(),
            health: Health::default(),
            admitted: BTreeMap::new(),
            known: BTreeMap::new(),
            up: BTreeMap::new(),
            heard: BTreeMap::new(),
            corrected: BTreeMap::new(),
            timers: TimerTable::default(),
            events: BTreeMap::new(),
            next_event: 0,
            token: TimerToken::default(),
            resting: None,
            seeking: false,
            sought: None,
            left: false,
            doings: VecDeque::new(),
        }
    }

    /// This node, as the others know it.
    #[must_use]
    pub fn me(&self) -> &Peer {
        self.foca.identity()
    }

    /// The nodes believed to be up, this one aside.
    pub fn up(&self) -> impl Iterator<Item = &Peer> {
        self.up.values()
    }

    /// Of these, the ones that somebody suspects.
    pub fn suspects(&self) -> impl Iterator<Item = &Peer> {
        self.foca
            .iter_members()
            .filter(|member| member.state() == State::Suspect)
            .map(Member::id)
    }

    /// By how much this node slows down because it doubts itself; 1 when it does not.
    #[must_use]
    pub fn doubt(&self) -> u32 {
        self.health.factor()
    }

    /// How much is kept: nodes, timers, updates to pass on. For watching that it stays bounded.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.foca.iter_membership_state().len() + self.events.len() + self.foca.updates_backlog()
    }

    /// The cluster has `peer` as a member; from now on it is heard. Asks it for the others.
    pub fn admit(&mut self, now: Time, peer: Peer) {
        let node = peer.node;
        let full = self.admitted.len() >= NODES_MAX && !self.admitted.contains_key(&node);
        if node == self.me().node || !peer.is_reachable() || full || self.left {
            return;
        }
        self.admitted.entry(node).or_insert(0);
        let before = self.known.get(&node);
        if before.is_none_or(|before| peer.is_later_than(before)) {
            // It was known elsewhere: there it may never answer.
            let moved = before.is_some();
            self.known.insert(node, peer.clone());
            if moved && self.up.get(&node) != Some(&peer) {
                let told = self.foca.announce(peer, &mut self.effects);
                self.settle(now, told);
            }
        }
        self.begin_to_seek(now);
    }

    /// The node is no member any more; it is neither heard nor spoken of again.
    pub fn dismiss(&mut self, now: Time, node: NodeId) {
        self.admitted.remove(&node);
        self.known.remove(&node);
        self.corrected.remove(&node);
        self.heard.remove(&node);
        if let Some(peer) = self.up.get(&node) {
            // Larger than any incarnation that it may have by now.
            let gone = Member::new(peer.clone(), u16::MAX, State::Down);
            let told = self
                .foca
                .apply_many(std::iter::once(gone), true, &mut self.effects);
            self.settle(now, told);
        }
    }

    /// A datagram came from `from`, which the transport vouches for.
    ///
    /// # Errors
    /// [`Rejected`]; nothing of it was heard then.
    pub fn handle_datagram(
        &mut self,
        now: Time,
        from: NodeId,
        bytes: &[u8],
    ) -> Result<(), Rejected> {
        if self.left {
            return Ok(());
        }
        self.catch_up(now);
        if bytes.len() > DATAGRAM_BYTES_MAX {
            return Err(Rejected::Malformed);
        }
        let lives = |node| self.admitted.get(&node).copied();
        let sifted = sieve::sift(bytes, from, self.foca.identity(), lives)?;
        self.health.hear(sifted.answer);
        self.admitted.insert(from, sifted.from.generation);
        self.heard.insert(from, now);
        self.known.insert(from, sifted.from.clone());
        let told = self.foca.handle_data(&sifted.bytes, &mut self.effects);
        self.settle(now, told);
        if sifted.answer {
            self.answered(now, from);
        }
        if let Some(claimed) = sifted.ourselves {
            self.overtake(now, &claimed, sifted.from.clone());
        }
        self.correct(now, sifted.from);
        Ok(())
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Time) {
        self.catch_up(now);
        while let Some(key) = self.timers.expire(now) {
            match self.events.remove(&key) {
                Some(Event::Seek) => self.seek(now),
                Some(Event::Ask(suspect, incarnation)) => self.ask(suspect, incarnation),
                Some(Event::Confirm(peer, asked)) => self.confirm(now, &peer, asked),
                Some(Event::Foca(timer)) => {
                    let probe = matches!(timer, Timer::ProbeRandomMember(_));
                    let told = self.foca.handle_timer(timer, &mut self.effects);
                    self.settle(now, told);
                    if probe {
                        self.health.probe_ends();
                    }
                }
                None => {}
            }
        }
    }

    /// Tells some of the others that this node goes. Afterwards it hears nothing and does nothing.
    pub fn leave(&mut self, now: Time) {
        let told = self.foca.leave_cluster(&mut self.effects);
        self.settle(now, told);
        self.left = true;
        self.timers = TimerTable::default();
        self.events.clear();
        self.resting = None;
    }

    /// This node is reached elsewhere from now on.
    pub fn move_to(&mut self, now: Time, address: SocketAddr) {
        let me = Peer {
            address,
            ..self.me().renewed()
        };
        self.begin_life(now, me);
    }

    /// When [`Membership::handle_timeout`] is next worth calling.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// The next thing to do.
    pub fn poll_doing(&mut self) -> Option<Doing> {
        self.doings.pop_front()
    }

    /// When this node slept past a moment, the wait for others' answers begins anew: time in which
    /// we could not listen says nothing about them.
    fn catch_up(&mut self, now: Time) {
        let Some(due) = self.timers.next() else {
            return;
        };
        let lag = now.since(due);
        if lag <= LAG {
            return;
        }
        self.health.lag(lag);
        self.timers.delay(lag.saturating_add(LAG));
    }

    /// Tells a sender that is held for dead here, or for alive in a later life than it says, so that it
    /// can begin one later still. It was silent, it lost count, or somebody made that life up.
    fn correct(&mut self, now: Time, from: Peer) {
        let Some(held) = self.held(from.node) else {
            return;
        };
        let dead = *held.id() == from && held.state() == State::Down;
        let recently = self
            .corrected
            .get(&from.node)
            .is_some_and(|last| now.since(*last) < CORRECT_PERIOD);
        if recently || !dead && !held.id().is_later_than(&from) {
            return;
        }
        self.corrected.insert(from.node, now);
        self.confront(from, &held);
    }

    /// Tells a suspect that it is one. Its answer clears it sooner, and surer, than rumours that must
    /// find their way there and back (Lifeguard's "buddy system").
    fn ask(&mut self, suspect: Peer, incarnation: Incarnation) {
        if let Some(held) = self.held(suspect.node)
            && held.state() == State::Suspect
            && *held.id() == suspect
            && held.incarnation() == incarnation
        {
            self.confront(suspect, &held);
        }
    }

    fn held(&self, node: NodeId) -> Option<Member<Peer>> {
        let mut known = self.foca.iter_membership_state();
        known.find(|member| member.id().node == node).cloned()
    }

    fn confront(&mut self, to: Peer, held: &Member<Peer>) {
        let bytes = sieve::confront(self.me().clone(), to.clone(), held);
        if let Some(bytes) = bytes {
            self.doings.push_back(Doing::Send { to, bytes });
        }
    }

    /// `by` believes in a life of ours that is over or later than this one: begin one that is later
    /// still, and say so.
    fn overtake(&mut self, now: Time, claimed: &Peer, by: Peer) {
        let generation = claimed.generation.saturating_add(1);
        let me = self.me().at_generation(generation);
        self.begin_life(now, me);
        let told = self.foca.announce(by, &mut self.effects);
        self.settle(now, told);
    }

    fn begin_life(&mut self, now: Time, me: Peer) {
        if self.left {
            return;
        }
        self.effects.news.push(News::Renewed(me.clone()));
        let told = self.foca.change_identity(me, &mut self.effects);
        self.settle(now, told);
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership")
            .field("me", self.me())
            .field("up", &self.up)
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
