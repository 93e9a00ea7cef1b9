//! The cluster's state on this node, and the log that it is kept in.
//!
//! Decides who may change the state, when a change counts, and how a node that follows takes changes
//! in. Refuses to know what a command means, and how one node reaches another.
//!
//! # Who leads
//!
//! The node that founded the cluster; the others follow it. Everything outside sees only
//! [`Keeper::propose`], [`Keeper::view`] and [`Keeper::changes`], which stay as they are when voters
//! elect who leads; [`Keeper::entries_after`] and [`Keeper::follow`] are the part that goes then.
//!
//! # How a follower follows
//!
//! It asks the leader for what comes after [`Keeper::index`]; the leader answers with
//! [`Keeper::entries_after`], the follower gives that to [`Keeper::follow`], and asks again. An answer
//! without entries is welcome: it shows that both have the same. A node that leads but lost part of its
//! log to damage may follow the others as well, until it first accepts a command.

mod error;
mod feed;
mod task;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use skep_core::NodeId;
use skep_core::state::{Command, Event, State};
use tokio::sync::{mpsc, oneshot, watch};

pub use self::error::{FollowError, KeeperError, ProposeError};
pub use self::feed::{Entries, Feed, Snapshot};
use self::task::{Order, Task};
use crate::limits::KEEPER_QUEUE;
use crate::store::{EngineKind, Recovered, Store};

/// The cluster's state on this node. Cheap to clone; its log closes with the last clone.
#[derive(Clone, Debug)]
pub struct Keeper {
    node: NodeId,
    inbox: mpsc::Sender<Order>,
    view: watch::Receiver<Arc<State>>,
    index: watch::Receiver<u64>,
    store: Store,
}

impl Keeper {
    /// Opens the log in this folder, or makes one, and brings the state to where the log ends. `node` is
    /// this node. Needs tokio's runtime; the task behind it ends with the last handle.
    ///
    /// # Errors
    /// When the log cannot be opened, or says what this version does not know. Damage is no error:
    /// [`Recovered::damage`] tells what was lost, and the others may still have it.
    pub async fn open(
        folder: &Path,
        engine: EngineKind,
        node: NodeId,
    ) -> Result<(Self, Recovered), KeeperError> {
        let folder = folder.to_owned();
        let opened = tokio::task::spawn_blocking(move || Store::open(&folder, engine));
        let (store, recovered) = opened.await.map_err(|_| KeeperError::Stopped)??;
        let (task, view, index) = Task::restore(store.clone(), node, &recovered).await?;
        let (inbox, orders) = mpsc::channel(KEEPER_QUEUE);
        tokio::spawn(task.run(orders));
        let keeper = Self {
            node,
            inbox,
            view,
            index,
            store,
        };
        Ok((keeper, recovered))
    }

    /// Has a command done. Once this returns `Ok`, it is applied and durable. When the future is dropped
    /// before, it may or may not be done.
    ///
    /// # Errors
    /// When this node does not lead, the state refuses the command (nothing is logged then), or the log
    /// takes nothing more.
    pub async fn propose(&self, command: Command) -> Result<Vec<Event>, ProposeError> {
        self.order(|reply| Order::Propose(command, reply))
            .await
            .unwrap_or(Err(ProposeError::Stopped))
    }

    /// The state after the newest command that is done.
    #[must_use]
    pub fn view(&self) -> Arc<State> {
        self.view.borrow().clone()
    }

    /// The number of the newest command that is done, whenever there is a newer one. [`Keeper::view`] is
    /// at least as new as the number seen here.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.index.clone()
    }

    /// The number of the newest command that is done; 0 before the first.
    #[must_use]
    pub fn index(&self) -> u64 {
        *self.index.borrow()
    }

    /// The node that leads; none before there is a cluster.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        task::leader(&self.view())
    }

    /// Whether this node leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.leader() == Some(self.node)
    }

    /// What a follower that has everything up to `index` is to be sent: some `bytes_max` bytes of
    /// entries, or a snapshot (of up to 16 MiB) where these are no longer kept.
    ///
    /// # Errors
    /// When there is no cluster here, the follower has more than this node, or the log cannot be read.
    pub async fn entries_after(&self, index: u64, bytes_max: usize) -> Result<Feed, FollowError> {
        feed::after(&self.store, &self.view(), index, bytes_max).await
    }

    /// Takes in what the leader sent; durable once this returns, with the number of the newest entry
    /// here. What is here already is skipped.
    ///
    /// # Errors
    /// When it does not fit what is here; nothing was changed then, and each error says what to do.
    pub async fn follow(&self, feed: Feed) -> Result<u64, FollowError> {
        self.order(|reply| Order::Follow(feed, reply))
            .await
            .unwrap_or(Err(FollowError::Stopped))
    }

    /// The whole state as of now, for a follower whose log went another way.
    ///
    /// # Errors
    /// When there is no cluster here, or the log takes nothing more.
    pub async fn snapshot(&self) -> Result<Snapshot, FollowError> {
        self.order(Order::Snapshot)
            .await
            .unwrap_or(Err(FollowError::Stopped))
    }

    /// Takes the leader's state in place of everything that is here, also where that goes further. The
    /// way out of [`FollowError::Diverged`], when the leader is known to be right.
    ///
    /// # Errors
    /// When this node leads, the snapshot is of another cluster or damaged, or the log takes nothing
    /// more.
    pub async fn replace(&self, snapshot: Snapshot) -> Result<u64, FollowError> {
        self.order(|reply| Order::Replace(snapshot, reply))
            .await
            .unwrap_or(Err(FollowError::Stopped))
    }

    /// Does what was asked before, then closes the log and lets go of its files. Other clones find it
    /// closed.
    pub async fn close(self) {
        // None: it was closed already.
        let _ = self.order(Order::Close).await;
        self.store.close().await;
    }

    /// None when the task has ended.
    async fn order<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(order(reply)).await.ok()?;
        answer.await.ok()
    }
}
