//! Drives the core's membership: its datagrams go over the links, its time is ours.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use skep_core::membership::{Doing, Membership, Peer};
use skep_core::{NodeId, Time};
use tokio::sync::{mpsc, watch};

use super::links::Links;
use crate::limits::SWIM_WAITING;

/// Who is believed to be up, this node aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// This node, as the others know it; none before it runs.
    pub me: Option<Peer>,
    /// The others.
    pub up: BTreeMap<NodeId, Peer>,
}

/// How membership is told what happens. Copies are one.
#[derive(Clone, Debug)]
pub struct SwimHandle(mpsc::Sender<Told>);

/// The membership of this node, not yet running.
#[derive(Debug)]
pub struct Swim {
    core: Membership,
    told: mpsc::Receiver<Told>,
    seen: watch::Sender<Arc<Seen>>,
    started: Instant,
}

#[derive(Debug)]
enum Told {
    Datagram(NodeId, Bytes),
    Admit(Peer),
    Dismiss(NodeId),
    Refused(NodeId),
    Leave,
}

impl SwimHandle {
    /// The cluster has this node as a member, last known there.
    pub async fn admit(&self, peer: Peer) {
        self.tell(Told::Admit(peer)).await;
    }

    /// The cluster has this node as a member no more.
    pub async fn dismiss(&self, node: NodeId) {
        self.tell(Told::Dismiss(node)).await;
    }

    /// This node stops.
    pub async fn leave(&self) {
        self.tell(Told::Leave).await;
    }

    /// The node's machine says that nobody listens there. Not to be called by a task: it may wait.
    pub(super) fn refused_blocking(&self, node: NodeId) {
        // Fails when this node stops.
        let _ = self.0.blocking_send(Told::Refused(node));
    }

    /// A datagram came; one that comes while too many wait is lost, as datagrams may be.
    pub(super) fn datagram(&self, from: NodeId, bytes: Bytes) {
        let _ = self.0.try_send(Told::Datagram(from, bytes));
    }

    async fn tell(&self, told: Told) {
        // Fails when this node stops.
        let _ = self.0.send(told).await;
    }
}

impl Swim {
    /// A membership that has nobody in it. `seed` decides whom it probes in which order.
    #[must_use]
    pub fn new(me: Peer, seed: u64) -> (Self, SwimHandle, watch::Receiver<Arc<Seen>>) {
        let (sender, told) = mpsc::channel(SWIM_WAITING);
        let seen = Seen {
            me: Some(me.clone()),
            up: BTreeMap::new(),
        };
        let (seen, watched) = watch::channel(Arc::new(seen));
        let swim = Self {
            core: Membership::new(me, seed),
            told,
            seen,
            started: Instant::now(),
        };
        (swim, SwimHandle(sender), watched)
    }

    /// Runs until nobody can tell it anything any more.
    pub async fn run(mut self, links: Links) {
        loop {
            let wake = self.core.poll_timeout().map(|Time(at)| self.started + at);
            let sleep = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // What came first is heard first: an answer may be among it.
                biased;
                told = self.told.recv() => match told {
                    Some(told) => self.hear(told),
                    None => return,
                },
                () = sleep => {
                    let now = self.now();
                    self.core.handle_timeout(now);
                }
            }
            self.act(&links);
        }
    }

    fn hear(&mut self, told: Told) {
        let now = self.now();
        match told {
            Told::Datagram(from, bytes) => {
                if let Err(why) = self.core.handle_datagram(now, from, &bytes) {
                    tracing::debug!(%from, %why, "a datagram was not heard");
                }
            }
            Told::Admit(peer) => self.core.admit(now, peer),
            Told::Dismiss(node) => self.core.dismiss(now, node),
            Told::Refused(node) => self.core.handle_refused(now, node),
            Told::Leave => self.core.leave(now),
        }
    }

    fn act(&mut self, links: &Links) {
        let mut changed = false;
        let mut seen = Seen::clone(&self.seen.borrow());
        while let Some(doing) = self.core.poll_doing() {
            match doing {
                Doing::Send { to, bytes } => links.send(to, bytes),
                Doing::Up(peer) => {
                    changed = true;
                    seen.up.insert(peer.node, peer);
                }
                Doing::Down(node) => {
                    changed = true;
                    seen.up.remove(&node);
                }
                Doing::Renewed(me) => {
                    changed = true;
                    seen.me = Some(me);
                }
            }
        }
        if changed {
            self.seen.send_replace(Arc::new(seen));
        }
    }

    fn now(&self) -> Time {
        Time(self.started.elapsed())
    }
}
