//! Notices within half a second when a node's process dies and its machine lives.
//!
//! Each node watches the two that follow it in the order of identities: it sends an empty-handed datagram
//! to their port every so often, from a socket of its own that is connected there, so that the kernel
//! hands on what their machine answers (ICMP, port unreachable; udp(7), ip(7)). A node that lives ignores it.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use skep_core::NodeId;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::swim::{Seen, SwimHandle};
use crate::limits::{CANARY_PERIOD, CANARY_WATCHED};

/// Runs until membership ends.
pub async fn watch(mut seen: watch::Receiver<Arc<Seen>>, swim: SwimHandle) {
    let mut watched: BTreeMap<NodeId, (SocketAddr, UdpSocket)> = BTreeMap::new();
    let mut tick = interval(CANARY_PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            changed = seen.changed() => {
                if changed.is_err() {
                    return;
                }
                let now = seen.borrow_and_update().clone();
                follow(&mut watched, &now).await;
            }
            _ = tick.tick(), if !watched.is_empty() => {
                for (node, (_, socket)) in &watched {
                    if is_refused(socket) {
                        swim.refused(*node).await;
                    }
                }
            }
        }
    }
}

async fn follow(watched: &mut BTreeMap<NodeId, (SocketAddr, UdpSocket)>, seen: &Seen) {
    let Some(me) = &seen.me else {
        return;
    };
    let after = seen.up.range(me.node..).chain(seen.up.range(..me.node));
    let wanted: BTreeMap<NodeId, SocketAddr> = after
        .take(CANARY_WATCHED)
        .map(|(node, peer)| (*node, peer.address))
        .collect();
    watched.retain(|node, (address, _)| wanted.get(node) == Some(address));
    for (node, address) in wanted {
        if watched.contains_key(&node) {
            continue;
        }
        match connect(address).await {
            Ok(socket) => {
                watched.insert(node, (address, socket));
            }
            Err(error) => tracing::debug!(%node, %error, "cannot be watched"),
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

/// Whether the machine answered that nobody listens there: to the datagram before this one, or at once.
fn is_refused(socket: &UdpSocket) -> bool {
    let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    let mut nothing = [0; 1];
    // The error of the datagram before waits on the socket until any call takes it.
    match socket.try_send(&[0]) {
        Err(error) => refused(&error),
        Ok(_) => matches!(socket.try_recv(&mut nothing), Err(error) if refused(&error)),
    }
}
