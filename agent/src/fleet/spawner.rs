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
pub(super) struct Spawner(mpsc::Sender<Order>);

#[derive(Debug)]
enum Order {
    Start(Box<Command>, oneshot::Sender<io::Result<Child>>),
    /// Shows that it turns.
    Answer(oneshot::Sender<()>),
}

impl Spawner {
    /// Must be called within a runtime.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let (orders, inbox) = mpsc::channel();
        std::thread::Builder::new()
            .name("spawner".to_owned())
            .stack_size(128 << 10)
            .spawn(move || {
                let _entered = runtime.enter();
                for order in inbox {
                    match order {
                        // When nobody waits any more the child is dropped, and killed by that.
                        Order::Start(mut command, reply) => drop(reply.send(command.spawn())),
                        Order::Answer(reply) => drop(reply.send(())),
                    }
                }
            })?;
        Ok(Self(orders))
    }

    pub(super) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let gone = || io::Error::other("the thread that starts processes is gone");
        let (reply, child) = oneshot::channel();
        let order = Order::Start(Box::new(command), reply);
        self.0.send(order).map_err(|_| gone())?;
        child.await.map_err(|_| gone())?
    }

    /// Returns once it has answered; never, when it is gone.
    pub(super) async fn answer(&self) {
        let (reply, answer) = oneshot::channel();
        if self.0.send(Order::Answer(reply)).is_err() || answer.await.is_err() {
            std::future::pending().await
        }
    }
}
