//! The thread on which everything between nodes runs, and the little that an idle agent does besides.
//!
//! A node hears and says something many times a second for as long as it lives. Where several workers hand
//! that on to each other, most of it wakes two of them; and a gateway that is busy on all of those would
//! make this node late for the others.

use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use quinn::{AsyncTimer, AsyncUdpSocket, TokioRuntime};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Ends with its handle here, and everything on it.
#[derive(Debug)]
pub struct NetThread {
    handle: Handle,
    _running: oneshot::Sender<()>,
}

impl NetThread {
    /// Starts it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("net".to_owned())
            .spawn(move || {
                let _ = runtime.block_on(ended);
                // What still blocks is not waited for.
                runtime.shutdown_background();
            })?;
        Ok(Self {
            handle,
            _running: running,
        })
    }

    /// Where tasks for it are given.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

/// QUIC's tasks, timers and sockets on a runtime, whoever calls.
#[derive(Debug)]
pub(super) struct On(pub(super) Handle);

impl quinn::Runtime for On {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        let _there = self.0.enter();
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.0.spawn(task);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let _there = self.0.enter();
        TokioRuntime.wrap_udp_socket(socket)
    }
}
