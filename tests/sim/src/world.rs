//! Nodes, time and what is under way between them.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use skep_core::membership::{Doing, Membership, Peer, Rejected};
use skep_core::{NodeId, Time};

use crate::faults::{self, Fault};
use crate::log::{self, Entry, Log, Told};
use crate::network::Network;
use crate::node::Node;
use crate::plan::{Plan, QUIET};
use crate::poison;

/// A cluster under way.
#[derive(Debug)]
pub struct World {
    pub(crate) plan: Plan,
    pub(crate) now: Duration,
    pub(crate) chance: Xoshiro256PlusPlus,
    pub(crate) network: Network,
    pub(crate) nodes: Vec<Node>,
    /// Nodes that the cluster has no more.
    pub(crate) dismissed: BTreeSet<NodeId>,
    /// A node that lies: what becomes of it is its own affair.
    pub(crate) liar: Option<NodeId>,
    due: BinaryHeap<Reverse<(Duration, u64, Happening)>>,
    happenings: u64,
    /// Bytes and datagrams sent by all.
    pub(crate) sent: [u64; 2],
    log: Log,
}

/// Something due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Happening {
    Arrival {
        to: usize,
        from: NodeId,
        bytes: Vec<u8>,
    },
    /// One node makes something up for another.
    Lie {
        liar: usize,
        to: usize,
    },
    Wake(usize),
    Resume(usize),
    Start(usize),
    Fault(Fault),
    Look,
}

/// What did not hold.
#[derive(Debug)]
pub struct Broken {
    /// The run's seed.
    pub seed: u64,
    /// When it was seen.
    pub at: Duration,
    /// In words.
    pub what: String,
    /// What the cores were told until then, if it was kept.
    pub log: Log,
}

impl World {
    /// A cluster whose nodes all know each other's place and start within a second.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let mut world = Self {
            now: Duration::ZERO,
            chance: Xoshiro256PlusPlus::seed_from_u64(plan.seed),
            network: Network::new(plan.loss_permille),
            nodes: (0..plan.nodes).map(Node::at).collect(),
            dismissed: BTreeSet::new(),
            liar: None,
            due: BinaryHeap::new(),
            happenings: 0,
            sent: [0; 2],
            log: Log::default(),
            plan,
        };
        for place in 0..world.nodes.len() {
            let after = world.chance.random_range(0..1_000);
            world.after(Duration::from_millis(after), Happening::Start(place));
        }
        if world.plan.faults {
            faults::begin(&mut world);
        }
        world.after(LOOK, Happening::Look);
        world
    }

    /// Lets the whole plan happen.
    ///
    /// # Errors
    /// The first thing that did not hold.
    pub fn run(mut self) -> Result<(), Box<Broken>> {
        self.run_to_its_end()?;
        self.check_agreement().map_err(|what| self.broken(what))
    }

    /// Lets the whole plan happen and looks at nothing then.
    ///
    /// # Errors
    /// The first thing that did not hold.
    pub fn run_to_its_end(&mut self) -> Result<(), Box<Broken>> {
        self.run_until(self.plan.length)
    }

    /// What the cores were told, if the plan said to keep it.
    #[must_use]
    pub fn into_log(self) -> Log {
        self.log
    }

    pub(crate) fn run_until(&mut self, end: Duration) -> Result<(), Box<Broken>> {
        while let Some(Reverse((at, _, _))) = self.due.peek() {
            if *at > end {
                break;
            }
            let Some(Reverse((at, _, happening))) = self.due.pop() else {
                break;
            };
            self.now = at;
            if let Err(what) = self.happen(happening) {
                return Err(self.broken(what));
            }
        }
        self.now = end;
        Ok(())
    }

    pub(crate) fn broken(&mut self, what: String) -> Box<Broken> {
        Box::new(Broken {
            seed: self.plan.seed,
            at: self.now,
            what,
            log: std::mem::take(&mut self.log),
        })
    }

    pub(crate) fn after(&mut self, wait: Duration, happening: Happening) {
        self.happenings += 1;
        let at = self.now + wait;
        self.due.push(Reverse((at, self.happenings, happening)));
    }

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Arrival { to, from, bytes } => self.arrive(to, from, bytes),
            Happening::Lie { liar, to } => {
                let bytes = poison::lie(self, liar, to);
                match self.node(liar).map(|node| node.peer.node) {
                    Some(from) => self.arrive(to, from, bytes),
                    None => Ok(()),
                }
            }
            Happening::Wake(place) => {
                let now = Some(self.now);
                if self.node(place).is_some_and(|node| node.wakes == now) {
                    self.tell(place, Told::Timeout)
                } else {
                    Ok(())
                }
            }
            Happening::Resume(place) => self.resume(place),
            Happening::Start(place) => self.start(place),
            Happening::Fault(fault) => faults::strike(self, fault),
            Happening::Look => {
                self.after(LOOK, Happening::Look);
                self.check_bounds()
            }
        }
    }

    pub(crate) fn node(&mut self, place: usize) -> Option<&mut Node> {
        self.nodes.get_mut(place)
    }

    fn place_of(&self, node: NodeId) -> Option<usize> {
        self.nodes.iter().position(|n| n.peer.node == node)
    }

    fn start(&mut self, place: usize) -> Result<(), String> {
        let seed = self.chance.random();
        let Some(node) = self.node(place) else {
            return Ok(());
        };
        if node.core.is_some() {
            return Ok(());
        }
        let me = node.peer.clone();
        if self.dismissed.contains(&me.node) {
            return Ok(());
        }
        self.tell(place, Told::Start { me, seed })?;
        let others: Vec<Peer> = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(other, n)| *other != place && !self.dismissed.contains(&n.peer.node))
            .map(|(_, n)| n.peer.clone())
            .collect();
        others
            .into_iter()
            .try_for_each(|peer| self.tell(place, Told::Admit(peer)))
    }

    /// Ends a node without a word; it may start again later, in a later life.
    pub(crate) fn stop(&mut self, place: usize) -> Result<(), String> {
        if let Some(node) = self.node(place) {
            node.peer = node.peer.renewed();
            node.paused = None;
            node.waiting.clear();
            node.wakes = None;
            node.sees.clear();
            node.left = false;
            node.dismissed.clear();
        }
        self.tell(place, Told::Stop)
    }

    fn arrive(&mut self, to: usize, from: NodeId, bytes: Vec<u8>) -> Result<(), String> {
        let room = self.plan.socket_datagrams;
        let Some(node) = self.node(to) else {
            return Ok(());
        };
        if node.paused.is_some() {
            if node.waiting.len() < room {
                node.waiting.push((from, bytes));
            }
            return Ok(());
        }
        self.tell(to, Told::Datagram { from, bytes })
    }

    fn resume(&mut self, place: usize) -> Result<(), String> {
        let now = self.now;
        let Some(node) = self.node(place) else {
            return Ok(());
        };
        if node.paused.is_none_or(|until| until > now) {
            return Ok(());
        }
        node.paused = None;
        for (from, bytes) in std::mem::take(&mut node.waiting) {
            self.tell(place, Told::Datagram { from, bytes })?;
        }
        self.tell(place, Told::Timeout)
    }

    /// Tells a core something, and does what it wants.
    pub(crate) fn tell(&mut self, place: usize, told: Told) -> Result<(), String> {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(place) else {
            return Ok(());
        };
        let asleep = node.paused.is_some_and(|until| until > now);
        let dead = node.core.is_none() && !matches!(told, Told::Start { .. });
        if dead || asleep && matches!(told, Told::Timeout) {
            return Ok(());
        }
        let heard = log::tell(&mut node.core, Time(now), &told);
        if let (Err(why), Told::Datagram { from, .. }) = (heard, &told) {
            // Of those who are dismissed not all have heard; anything else is said by liars alone.
            if why != Rejected::Stranger && self.liar != Some(*from) {
                return Err(format!("node {place} refuses an honest datagram: {why}"));
            }
        }
        if self.plan.keep_log {
            self.log.push(Entry {
                at: now,
                place,
                told,
            });
        }
        self.follow(place)
    }

    /// Does what a core wants, and notes when it wants to be woken.
    fn follow(&mut self, place: usize) -> Result<(), String> {
        while let Some(doing) = self
            .nodes
            .get_mut(place)
            .and_then(|node| node.core.as_mut())
            .and_then(Membership::poll_doing)
        {
            self.check_doing(place, &doing)?;
            let Some(node) = self.nodes.get_mut(place) else {
                break;
            };
            match doing {
                Doing::Send { to, bytes } => self.send(place, &to, &bytes),
                Doing::Up(peer) => {
                    node.sees.insert(peer.node, peer);
                }
                Doing::Down(gone) => {
                    node.sees.remove(&gone);
                }
                Doing::Renewed(me) => node.peer = me,
            }
        }
        let Some(node) = self.nodes.get_mut(place) else {
            return Ok(());
        };
        let next = node.core.as_ref().and_then(Membership::poll_timeout);
        // Nothing happens twice at one moment without end: a wish for the past is one for now.
        let next = next.map(|Time(at)| at.max(self.now));
        if next != node.wakes {
            node.wakes = next;
            if let Some(at) = next {
                self.after(at - self.now, Happening::Wake(place));
            }
        }
        Ok(())
    }

    fn send(&mut self, place: usize, to: &Peer, bytes: &[u8]) {
        self.sent[0] += bytes.len() as u64;
        self.sent[1] += 1;
        let Some(from) = self.nodes.get(place).map(|node| node.peer.node) else {
            return;
        };
        let Some(target) = self.place_of(to.node) else {
            return;
        };
        // An old address leads nowhere.
        if self
            .nodes
            .get(target)
            .is_none_or(|node| node.peer.address != to.address)
        {
            return;
        }
        let arrivals: Vec<Duration> = self
            .network
            .arrivals(place, target, &mut self.chance)
            .collect();
        for after in arrivals {
            let bytes = bytes.to_vec();
            self.after(
                after,
                Happening::Arrival {
                    to: target,
                    from,
                    bytes,
                },
            );
        }
    }

    /// How many living nodes the others, but for `dead`, do not see.
    pub(crate) fn missing(&self, dead: Option<usize>) -> usize {
        let lives = |place: &usize| Some(*place) != dead;
        let missing = |node: &Node| {
            let others = (0..self.nodes.len()).filter(lives);
            others
                .filter_map(|place| self.nodes.get(place))
                .filter(|other| other.peer.node != node.peer.node)
                .filter(|other| !node.sees.contains_key(&other.peer.node))
                .count()
        };
        let living = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(place, _)| lives(place));
        living.map(|(_, node)| missing(node)).sum()
    }

    /// Whether faults are over.
    pub(crate) fn is_quiet(&self) -> bool {
        self.now + QUIET >= self.plan.length
    }
}

/// How often bounds are looked at.
const LOOK: Duration = Duration::from_secs(1);
