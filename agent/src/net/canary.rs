//! Notices within half a second when a node's process dies and its machine lives.
//!
//! Each node watches the two that follow it in the order of identities: it sends a datagram of one byte
//! to their port every so often, from a socket of its own that is connected there, so that the kernel
//! hands on what their machine answers (ICMP, port unreachable; udp(7), ip(7)). The kernel of a node that
//! lives drops it unseen (`filter.rs`). The second is watched less often: it matters only when the one
//! between dies with it.
//!
//! Each watch is a thread that blocks in the kernel: one wake for each look, where a timer and a socket of
//! the runtime take several.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use skep_core::NodeId;
use tokio::sync::watch;

use super::filter;
use super::swim::{Seen, SwimHandle};
use crate::limits::{CANARY_PERIOD, CANARY_PERIOD_SECOND, CANARY_WATCHED};

/// Runs until membership ends.
pub async fn watch(mut seen: watch::Receiver<Arc<Seen>>, swim: SwimHandle) {
    let mut watching = Watching::default();
    loop {
        let now = seen.borrow_and_update().clone();
        watching.follow(&now, &swim);
        if seen.changed().await.is_err() {
            return;
        }
    }
}

/// Whom this node watches. The thread that does ends soon after its handle here is dropped.
#[derive(Debug, Default)]
struct Watching {
    watched: BTreeMap<NodeId, (SocketAddr, Duration, Arc<SwimHandle>)>,
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
        self.watched
            .retain(|node, (address, period, _)| wanted.get(node) == Some(&(*address, *period)));
        for (node, (address, period)) in wanted {
            if self.watched.contains_key(&node) {
                continue;
            }
            let swim = Arc::new(swim.clone());
            let told = Arc::downgrade(&swim);
            let spawned = std::thread::Builder::new()
                .name("canary".to_owned())
                .stack_size(STACK_BYTES)
                .spawn(move || watch_one(node, address, period, &told));
            match spawned {
                Ok(_) => {
                    self.watched.insert(node, (address, period, swim));
                }
                Err(error) => tracing::warn!(%node, %error, "cannot be watched"),
            }
        }
    }
}

fn watch_one(node: NodeId, address: SocketAddr, period: Duration, swim: &Weak<SwimHandle>) {
    let mut socket = None;
    while swim.strong_count() > 0 {
        let refused = match &socket {
            Some(socket) => is_refused(socket, period),
            None => connect(address).map(|connected| {
                socket = Some(connected);
                false
            }),
        };
        match refused {
            Ok(false) => continue,
            Ok(true) => {
                if let Some(swim) = swim.upgrade() {
                    swim.refused_blocking(node);
                }
            }
            Err(error) => tracing::debug!(%node, %error, "cannot be watched for now"),
        }
        std::thread::park_timeout(period);
    }
}

fn connect(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    filter::nothing(&socket)?;
    socket.connect(address)?;
    Ok(socket)
}

/// Sends a byte; whether the machine answers within the time that nobody listens there. Takes that time
/// unless it does.
fn is_refused(socket: &UdpSocket, within: Duration) -> io::Result<bool> {
    let until = Instant::now() + within;
    // The error of the datagram before may wait on the socket until any call takes it.
    let mut done = socket.send(&[0]).map(drop);
    while done.is_ok() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        socket.set_read_timeout(Some(left))?;
        // Nothing but an error can come.
        done = socket.recv(&mut [0]).map(drop);
    }
    match done {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            ) =>
        {
            Ok(false)
        }
        done => done.map(|()| false),
    }
}

/// It calls the kernel and logs a line.
const STACK_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_port_that_nobody_listens_on_is_noticed_and_one_that_lives_is_not() {
        let lives = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = lives.local_addr().unwrap();
        let watching = connect(address).unwrap();
        for _ in 0..20 {
            assert!(!is_refused(&watching, Duration::from_millis(5)).unwrap());
        }
        drop(lives);
        assert!(is_refused(&watching, Duration::from_secs(5)).unwrap());
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
