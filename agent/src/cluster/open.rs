//! The open network of a life: its socket, its connections, and the tasks that go with them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::life::lock;
use crate::net::{Beacon, Closed, Links, Seen, Socket, SwimHandle};

/// The network of a life.
#[derive(Clone, Debug)]
pub(super) struct Net {
    pub(super) socket: Socket,
    pub(super) links: Links,
    pub(super) swim: SwimHandle,
    pub(super) seen: watch::Receiver<Arc<Seen>>,
    pub(super) beacon: Arc<Option<Beacon>>,
    pub(super) runtime: Handle,
    pub(super) tasks: Arc<Mutex<JoinSet<()>>>,
}

impl Net {
    /// Runs it where everything between nodes runs.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        lock(&self.tasks).spawn_on(task, &self.runtime);
    }

    /// Runs it where the caller does: what others ask for is done where other requests are.
    pub(super) fn spawn_here(&self, task: impl Future<Output = ()> + Send + 'static) {
        lock(&self.tasks).spawn(task);
    }

    /// Says good-bye, and closes.
    pub(super) async fn end(self) {
        self.swim.leave().await;
        // So that the good-bye goes before the connections do.
        tokio::time::sleep(GOOD_BYE).await;
        for link in self.links.all() {
            link.close(Closed::Stopping);
        }
        self.socket.close();
        self.socket.closed().await;
        let mut tasks = std::mem::take(&mut *lock(&self.tasks));
        tasks.shutdown().await;
    }
}

/// A few datagrams go out in much less.
const GOOD_BYE: Duration = Duration::from_millis(50);
