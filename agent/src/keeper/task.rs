//! The one task that changes the state: applies, logs, publishes, in this order.

use std::sync::Arc;

use skep_core::state::{Action, Command, Event, State};
use skep_core::{ClusterId, NodeId};
use tokio::sync::{mpsc, oneshot, watch};

use super::error::{FollowError, KeeperError, ProposeError};
use super::feed::{Entries, Feed, Snapshot};
use crate::limits::{
    KEEPER_ENTRIES_KEPT, KEEPER_GROUP, KEEPER_REPLAY_BYTES, KEEPER_SNAPSHOT_ENTRIES,
};
use crate::store::{Base, Digest, Recovered, Store, StoreError};

/// What the task is asked.
#[derive(Debug)]
pub(super) enum Order {
    Propose(Command, Proposed),
    Follow(Feed, oneshot::Sender<Result<u64, FollowError>>),
    Snapshot(oneshot::Sender<Result<Snapshot, FollowError>>),
    Replace(Snapshot, oneshot::Sender<Result<u64, FollowError>>),
    Close(oneshot::Sender<()>),
}

type Proposed = oneshot::Sender<Result<Vec<Event>, ProposeError>>;

pub(super) struct Task {
    node: NodeId,
    store: Store,
    /// After entry `index`, which is durable.
    state: Arc<State>,
    index: u64,
    /// Of that entry.
    digest: Digest,
    /// The newest entry in the snapshot.
    snapshot: u64,
    /// Entries were lost, and others may still have them.
    behind: bool,
    view: watch::Sender<Arc<State>>,
    changes: watch::Sender<u64>,
}

/// Who leads, by the state.
// With Raft this is who the voters elected.
pub(super) fn leader(state: &State) -> Option<NodeId> {
    state.cluster().map(|cluster| cluster.founder)
}

impl Task {
    /// Brings the state to where the log ends.
    pub(super) async fn restore(
        store: Store,
        node: NodeId,
        recovered: &Recovered,
    ) -> Result<(Self, watch::Receiver<Arc<State>>, watch::Receiver<u64>), KeeperError> {
        let base = store.snapshot().await?;
        let (mut state, snapshot) = match &base {
            Some(base) => (
                State::decode(&base.content).map_err(KeeperError::State)?,
                base.index,
            ),
            None => (State::default(), 0),
        };
        let mut index = snapshot;
        while index < recovered.last {
            let records = store.read(index + 1, KEEPER_REPLAY_BYTES).await?;
            for payload in &records.payloads {
                index += 1;
                let command = Command::decode(payload)
                    .map_err(|source| KeeperError::Entry { index, source })?;
                if let Err(refusal) = state.accept(&command) {
                    tracing::warn!(index, %refusal, "the state refuses an entry of its own log");
                }
            }
        }
        let digest = store.digest(index).await?;
        let state = Arc::new(state);
        let (view, seen) = watch::channel(state.clone());
        let (changes, numbers) = watch::channel(index);
        let task = Self {
            node,
            store,
            state,
            index,
            digest,
            snapshot,
            behind: recovered.damage.is_some(),
            view,
            changes,
        };
        Ok((task, seen, numbers))
    }

    /// Until the last handle is gone, or one closes it.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut kept = None;
        loop {
            let order = match kept.take() {
                Some(order) => order,
                None => match orders.recv().await {
                    Some(order) => order,
                    None => return,
                },
            };
            // Whoever asked may be gone; what was done is done.
            match order {
                Order::Propose(command, reply) => {
                    kept = self.propose(command, reply, &mut orders).await;
                }
                Order::Follow(feed, reply) => {
                    let _ = reply.send(self.follow(feed).await);
                }
                Order::Snapshot(reply) => {
                    let _ = reply.send(self.whole().await);
                }
                Order::Replace(snapshot, reply) => {
                    let _ = reply.send(self.replace(snapshot).await);
                }
                Order::Close(reply) => {
                    orders.close();
                    let _ = reply.send(());
                    return;
                }
            }
            self.tidy().await;
        }
    }

    /// Does this command and those that wait behind it, with one write; returns the first order of
    /// another kind.
    async fn propose(
        &mut self,
        command: Command,
        reply: Proposed,
        orders: &mut mpsc::Receiver<Order>,
    ) -> Option<Order> {
        let mut ahead = State::clone(&self.state);
        let (mut payloads, mut accepted) = (Vec::new(), Vec::new());
        let (mut next, mut kept) = (Some((command, reply)), None);
        while let Some((command, reply)) = next.take() {
            match self.decide(&mut ahead, &command) {
                Ok((payload, events)) => {
                    payloads.push(payload);
                    accepted.push((events, reply));
                }
                Err(error) => {
                    let _ = reply.send(Err(error));
                }
            }
            if accepted.len() >= KEEPER_GROUP {
                break;
            }
            match orders.try_recv() {
                Ok(Order::Propose(command, reply)) => next = Some((command, reply)),
                Ok(other) => kept = Some(other),
                Err(_) => {}
            }
        }
        if accepted.is_empty() {
            return kept;
        }
        match self.log(ahead, payloads).await {
            Ok(()) => {
                self.behind = false;
                for (events, reply) in accepted {
                    let _ = reply.send(Ok(events));
                }
            }
            Err(error) => {
                for (_, reply) in accepted {
                    let _ = reply.send(Err(ProposeError::Store(error.to_string())));
                }
            }
        }
        kept
    }

    fn decide(
        &self,
        ahead: &mut State,
        command: &Command,
    ) -> Result<(Vec<u8>, Vec<Event>), ProposeError> {
        // The founding itself is proposed by the founder, when nobody leads yet.
        let leads = match (&command.action, leader(ahead)) {
            (Action::Found(founding), None) => founding.founder == self.node,
            (_, leader) => leader == Some(self.node),
        };
        if !leads {
            return Err(ProposeError::NotLeader {
                leader: leader(ahead),
            });
        }
        if command.action == Action::Remove(self.node) {
            return Err(ProposeError::LeaderStays);
        }
        let payload = command
            .encode()
            .map_err(|error| ProposeError::Unfit(error.to_string()))?;
        let events = ahead.accept(command)?;
        Ok((payload, events))
    }

    /// Makes entries durable, then publishes the state after them.
    async fn log(&mut self, ahead: State, payloads: Vec<Vec<u8>>) -> Result<(), StoreError> {
        let (mut last, mut digest) = (self.index, self.digest);
        for payload in &payloads {
            last += 1;
            digest = digest.following(last, payload);
        }
        self.store.append(self.index + 1, payloads).await?;
        self.publish(ahead, last, digest);
        Ok(())
    }

    fn publish(&mut self, state: State, index: u64, digest: Digest) {
        self.state = Arc::new(state);
        (self.index, self.digest) = (index, digest);
        self.view.send_replace(self.state.clone());
        self.changes.send_replace(index);
    }

    async fn follow(&mut self, feed: Feed) -> Result<u64, FollowError> {
        self.check_follows(match &feed {
            Feed::Entries(entries) => entries.cluster,
            Feed::Snapshot(snapshot) => snapshot.cluster,
        })?;
        match feed {
            Feed::Entries(entries) => self.take(entries).await,
            Feed::Snapshot(snapshot) => {
                let base = &snapshot.base;
                if base.index < self.index {
                    return Ok(self.index);
                }
                if base.index > self.index {
                    return self.install(snapshot).await;
                }
                if base.digest != self.digest {
                    return Err(FollowError::Diverged { index: self.index });
                }
                Ok(self.index)
            }
        }
    }

    fn check_follows(&self, found: ClusterId) -> Result<(), FollowError> {
        if leader(&self.state) == Some(self.node) && !self.behind {
            return Err(FollowError::Leads);
        }
        match self.state.cluster() {
            Some(cluster) if cluster.id != found => Err(FollowError::OtherCluster {
                ours: cluster.id,
                found,
            }),
            _ => Ok(()),
        }
    }

    async fn take(&mut self, entries: Entries) -> Result<u64, FollowError> {
        let records = entries.records;
        if records.first == 0 || records.first > self.index + 1 {
            return Err(FollowError::Gap {
                have: self.index,
                found: records.first,
            });
        }
        let (mut index, mut digest) = (records.first - 1, records.previous);
        let mut ahead = State::clone(&self.state);
        let mut new = Vec::new();
        let diverged = |index: u64, digest: Digest| index == self.index && digest != self.digest;
        if diverged(index, digest) {
            return Err(FollowError::Diverged { index });
        }
        for payload in records.payloads {
            index += 1;
            digest = digest.following(index, &payload);
            if diverged(index, digest) {
                return Err(FollowError::Diverged { index });
            }
            if index > self.index {
                let command = Command::decode(&payload).map_err(FollowError::Format)?;
                ahead
                    .accept(&command)
                    .map_err(|refusal| FollowError::Refused { index, refusal })?;
                new.push(payload);
            }
        }
        if let Some(cluster) = ahead
            .cluster()
            .filter(|cluster| cluster.id != entries.cluster)
        {
            return Err(FollowError::OtherCluster {
                ours: entries.cluster,
                found: cluster.id,
            });
        }
        if !new.is_empty() {
            self.log(ahead, new).await?;
        }
        Ok(self.index)
    }

    async fn replace(&mut self, snapshot: Snapshot) -> Result<u64, FollowError> {
        self.check_follows(snapshot.cluster)?;
        tracing::warn!(
            had = self.index,
            takes = snapshot.base.index,
            "the leader's state replaces what was here"
        );
        self.install(snapshot).await
    }

    async fn install(&mut self, snapshot: Snapshot) -> Result<u64, FollowError> {
        let state = State::decode(&snapshot.base.content).map_err(FollowError::Format)?;
        let found = state.cluster().ok_or(FollowError::Empty)?.id;
        if found != snapshot.cluster {
            return Err(FollowError::OtherCluster {
                ours: snapshot.cluster,
                found,
            });
        }
        let (index, digest) = (snapshot.base.index, snapshot.base.digest);
        self.store.install_snapshot(snapshot.base).await?;
        self.snapshot = index;
        self.publish(state, index, digest);
        Ok(index)
    }

    async fn whole(&mut self) -> Result<Snapshot, FollowError> {
        let cluster = self.state.cluster().ok_or(FollowError::Empty)?.id;
        let content = self.state.encode().map_err(FollowError::Format)?;
        let base = Base {
            index: self.index,
            digest: self.digest,
            content,
        };
        Ok(Snapshot { cluster, base })
    }

    /// Keeps the log short: now and then a snapshot, and what it has goes, but for what a follower that
    /// is a little behind will ask for.
    async fn tidy(&mut self) {
        if self.index - self.snapshot < KEEPER_SNAPSHOT_ENTRIES {
            return;
        }
        let saved = match self.state.encode() {
            Ok(content) => self.store.save_snapshot(self.index, content).await,
            Err(error) => {
                tracing::error!(%error, "the state does not fit into a snapshot");
                return;
            }
        };
        let purged = match saved {
            Ok(()) => {
                self.snapshot = self.index;
                let purged = self.index.saturating_sub(KEEPER_ENTRIES_KEPT);
                self.store.purge_up_to(purged).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = purged {
            tracing::error!(%error, "the log could not be shortened");
        }
    }
}
