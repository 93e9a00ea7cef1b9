//! The thread that starts processes.
//!
//! A worker asks the kernel to be killed when its parent dies, and by that the kernel means the *thread* that
//! started it. A runtime's threads come and go; this one stays as long as the fleet.

use std::io;
use std::sync::mpsc;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

#[derive(Clone, Debug)]
pub(super) struct Spawner(mpsc::Sender<(Command, oneshot::Sender<io::Result<Child>>)>);

impl Spawner {
    /// Must be called within a runtime.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let (orders, inbox) = mpsc::channel::<(Command, oneshot::Sender<io::Result<Child>>)>();
        std::thread::Builder::new()
            .name("spawner".to_owned())
            .stack_size(128 << 10)
            .spawn(move || {
                let _entered = runtime.enter();
                for (mut command, reply) in inbox {
                    // When nobody waits any more the child is dropped, and killed by that.
                    drop(reply.send(command.spawn()));
                }
            })?;
        Ok(Self(orders))
    }

    pub(super) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let gone = || io::Error::other("the thread that starts processes is gone");
        let (reply, child) = oneshot::channel();
        self.0.send((command, reply)).map_err(|_| gone())?;
        child.await.map_err(|_| gone())?
    }
}
