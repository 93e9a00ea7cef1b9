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
            assert!(!is_refused(&watching));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(lives);
        let noticed = async {
            while !is_refused(&watching) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_millis(500), noticed)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn each_node_watches_the_next_two() {
        let peer = |number: u8| skep_core::membership::Peer {
            node: NodeId([number; 16]),
            generation: 1,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1_000 + u16::from(number))),
        };
        let mut watched = BTreeMap::new();
        let seen = |up: &[u8]| Seen {
            me: Some(peer(5)),
            up: up.iter().map(|n| (NodeId([*n; 16]), peer(*n))).collect(),
        };
        let watches = |watched: &BTreeMap<NodeId, (SocketAddr, UdpSocket)>| {
            watched.keys().map(|node| node.0[0]).collect::<Vec<_>>()
        };
        follow(&mut watched, &seen(&[1, 2, 6, 9])).await;
        assert_eq!(watches(&watched), [6, 9]);
        // After the last comes the first.
        follow(&mut watched, &seen(&[1, 2, 9])).await;
        assert_eq!(watches(&watched), [1, 9]);
        follow(&mut watched, &seen(&[])).await;
        assert!(watched.is_empty());
    }
}
