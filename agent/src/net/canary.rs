//! Notices within half a second when a node's process dies and its machine lives.
//!
//! Each node watches the two that follow it in the order of identities: it sends an empty-handed datagram
//! to their port every so often, from a socket of its own that is connected there, so that the kernel
//! hands on what their machine answers (ICMP, port unreachable; udp(7), ip(7)). A node that lives ignores it.
//! The second is watched less often: it matters only when the one between dies with it.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use skep_core::NodeId;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::swim::{Seen, SwimHandle};
use crate::limits::{CANARY_PERIOD, CANARY_PERIOD_SECOND, CANARY_WATCHED};

/// Runs until membership ends.
pub async fn watch(mut seen: watch::Receiver<Arc<Seen>>, swim: SwimHandle) {
    let mut watching = Watching::default();
    loop {
        let now = seen.borrow_and_update().clone();
        watching.follow(&now, &swim);
        tokio::select! {
            changed = seen.changed() => if changed.is_err() {
                return;
            },
            Some(_) = watching.tasks.join_next(), if !watching.tasks.is_empty() => {}
        }
    }
}

/// Whom this node watches, with a task for each; they end with it.
#[derive(Debug, Default)]
struct Watching {
    watched: BTreeMap<NodeId, (SocketAddr, Duration, AbortHandle)>,
    tasks: JoinSet<()>,
}

impl Watching {
    fn follow(&mut self, seen: &Seen, swim: &SwimHandle) {
        let Some(me) = &seen.me else {
            return;
        };
        let after = seen.up.range(me.node..).chain(seen.up.range(..me.node));
        let periods = std::iter::once(CANARY_PERIOD).chain(std::iter::repeat(CANARY_PERIOD_SECOND));
        let wanted: BTreeMap<NodeId, (SocketAddr, Duration)> = after
            .zip(periods)
            .take(CANARY_WATCHED)
            .map(|((node, peer), period)| (*node, (peer.address, period)))
            .collect();
        self.watched.retain(|node, (address, period, task)| {
            let stays = wanted.get(node) == Some(&(*address, *period));
            if !stays {
                task.abort();
            }
            stays
        });
        for (node, (address, period)) in wanted {
            if !self.watched.contains_key(&node) {
                let task = self
                    .tasks
                    .spawn(watch_one(node, address, period, swim.clone()));
                self.watched.insert(node, (address, period, task));
            }
        }
    }
}

async fn watch_one(node: NodeId, address: SocketAddr, period: Duration, swim: SwimHandle) {
    let socket = match connect(address).await {
        Ok(socket) => socket,
        Err(error) => {
            tracing::debug!(%node, %error, "cannot be watched");
            return;
        }
    };
    loop {
        if is_refused(&socket, period).await {
            swim.refused(node).await;
            sleep(period).await;
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    Ok(socket)
}

/// Sends an empty-handed datagram; whether the machine answers within the time that nobody listens there.
async fn is_refused(socket: &UdpSocket, within: Duration) -> bool {
    let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    // The error of the datagram before may wait on the socket until any call takes it.
    if let Err(error) = socket.send(&[0]).await {
        if !refused(&error) {
            sleep(within).await;
        }
        return refused(&error);
    }
    match timeout(within, error_of(socket)).await {
        Ok(Ok(error)) if refused(&error) => true,
        // Something else is wrong, and would be at once again.
        Ok(_) => {
            sleep(within).await;
            false
        }
        Err(_) => false,
    }
}

/// Waits for the error that an answer to an earlier datagram leaves on the socket.
async fn error_of(socket: &UdpSocket) -> io::Result<io::Error> {
    loop {
        socket.ready(Interest::ERROR).await?;
        let taken = socket.try_io(Interest::ERROR, || {
            let error = socket.take_error()?;
            error.ok_or_else(|| io::ErrorKind::WouldBlock.into())
        });
        match taken {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            taken => return taken,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_port_that_nobody_listens_on_is_noticed_and_one_that_lives_is_not() {
        let lives = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = lives.local_addr().unwrap();
        let watching = connect(address).await.unwrap();
        for _ in 0..20 {
            assert!(!is_refused(&watching, Duration::from_millis(5)).await);
        }
        drop(lives);
        assert!(is_refused(&watching, Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn each_node_watches_the_next_two() {
        let peer = |number: u8| skep_core::membership::Peer {
            node: NodeId([number; 16]),
            generation: 1,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1_000 + u16::from(number))),
        };
        let (_swim, handle, _seen) = super::super::swim::Swim::new(peer(5), 1);
        let mut watching = Watching::default();
        let seen = |up: &[u8]| Seen {
            me: Some(peer(5)),
            up: up.iter().map(|n| (NodeId([*n; 16]), peer(*n))).collect(),
        };
        let mut watches = |up: &[u8]| {
            watching.follow(&seen(up), &handle);
            let watched = watching.watched.iter();
            watched
                .map(|(node, (_, period, _))| (node.0[0], *period))
                .collect::<Vec<_>>()
        };
        let (first, second) = (CANARY_PERIOD, CANARY_PERIOD_SECOND);
        assert_eq!(watches(&[1, 2, 6, 9]), [(6, first), (9, second)]);
        // After the last comes the first.
        assert_eq!(watches(&[1, 2, 9]), [(1, second), (9, first)]);
        assert_eq!(watches(&[]), []);
    }
}
