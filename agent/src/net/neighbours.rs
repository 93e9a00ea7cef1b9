//! Neighbours on the local network: saying that this node is there, and hearing who else is (mDNS, RFC 6762
//! and RFC 6763).
//!
//! Decides what is said: where and what this node is, nothing that lets anybody in. What is heard is anybody's
//! word: bounded here, and believed by nobody.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mdns_sd::{ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo};
use skep_core::{ClusterId, NodeId};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout, timeout_at};

use super::wire::{PROTOCOL, PROTOCOL_OLDEST};
use crate::limits::{NEIGHBOUR_TEXT_BYTES, NEIGHBOURS_MAX};

/// Says that this node is there, until it is dropped.
pub struct Beacon(ServiceDaemon);

/// What a node says of itself.
#[derive(Clone, Debug)]
pub struct Card {
    pub node: NodeId,
    pub cluster: ClusterId,
    pub name: String,
    /// Where it listens.
    pub port: u16,
    pub addresses: Vec<IpAddr>,
    /// Whether it waits to be adopted.
    pub adoptable: bool,
}

/// Somebody who was heard. All of it is only what they say.
#[derive(Clone, Debug)]
pub struct Heard {
    pub name: String,
    pub node: Option<NodeId>,
    pub cluster: Option<ClusterId>,
    pub software: Option<String>,
    /// The oldest and the newest version of the protocol that it speaks.
    pub protocol: Option<(u16, u16)>,
    pub addresses: Vec<SocketAddr>,
    /// Whether it waits to be adopted.
    pub adoptable: bool,
}

impl Beacon {
    /// Begins to answer those who ask.
    ///
    /// # Errors
    /// When multicast cannot be used here.
    pub fn light(card: &Card) -> Result<Self, mdns_sd::Error> {
        let daemon = ServiceDaemon::new()?;
        // Interfaces rarely come and go; looking often would wake an idle node.
        daemon.set_ip_check_interval(INTERFACES_SECONDS)?;
        let beacon = Self(daemon);
        beacon.say(card)?;
        Ok(beacon)
    }

    /// Says this from now on.
    ///
    /// # Errors
    /// When it cannot be said; what was said before stays.
    pub fn say(&self, card: &Card) -> Result<(), mdns_sd::Error> {
        let id: String = card
            .node
            .to_string()
            .chars()
            .take(INSTANCE_DIGITS)
            .collect();
        let mut properties = vec![
            ("node", card.node.to_string()),
            ("cluster", card.cluster.to_string()),
            ("name", card.name.clone()),
            ("software", env!("CARGO_PKG_VERSION").to_owned()),
            ("protocol", format!("{PROTOCOL_OLDEST}-{PROTOCOL}")),
        ];
        if card.adoptable {
            properties.push(("adopt", "yes".to_owned()));
        }
        let host = format!("skep-{id}.local.");
        let service = ServiceInfo::new(
            SERVICE,
            &format!("skep-{id}"),
            &host,
            card.addresses.as_slice(),
            card.port,
            properties.as_slice(),
        )?;
        self.0.register(service)
    }
}

impl Drop for Beacon {
    fn drop(&mut self) {
        // It says good-bye by itself; nobody waits for that.
        let _ = self.0.shutdown();
    }
}

impl std::fmt::Debug for Beacon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Beacon")
    }
}

/// Listens for a while to who is there.
///
/// # Errors
/// When multicast cannot be used here.
pub async fn hear(time: Duration) -> Result<Vec<Heard>, mdns_sd::Error> {
    let daemon = ServiceDaemon::new()?;
    let events = daemon.browse(SERVICE)?;
    let deadline = Instant::now() + time;
    let mut found = BTreeMap::new();
    while let Ok(Ok(event)) = timeout_at(deadline, events.recv_async()).await {
        if let ServiceEvent::ServiceResolved(service) = event
            && (found.len() < NEIGHBOURS_MAX || found.contains_key(service.get_fullname()))
        {
            found.insert(service.get_fullname().to_owned(), read(&service));
        }
    }
    let _ = daemon.shutdown();
    Ok(found.into_values().collect())
}

/// Whether somebody there speaks QUIC: anybody who does answers an unknown version with those that it knows
/// (RFC 9000, section 6), before any secret is spoken of.
pub async fn answers(address: SocketAddr) -> bool {
    let ask = async {
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
            SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(address).await?;
        let mut packet = vec![0; PROBE_BYTES];
        let head = [&[0xc0][..], &UNKNOWN_VERSION, &[8], &[7; 8], &[8], &[9; 8]].concat();
        packet
            .iter_mut()
            .zip(head)
            .for_each(|(to, byte)| *to = byte);
        let mut answer = [0; 64];
        for _ in 0..PROBES {
            socket.send(&packet).await?;
            if let Ok(read) = timeout(PROBE_PATIENCE, socket.recv(&mut answer)).await {
                return read;
            }
        }
        Err(std::io::ErrorKind::TimedOut.into())
    };
    ask.await.is_ok()
}

fn read(service: &ResolvedService) -> Heard {
    let text = |key: &str| word(service.get_property_val_str(key)?);
    let protocol = text("protocol").and_then(|range| {
        let (oldest, newest) = range.split_once('-')?;
        Some((oldest.parse().ok()?, newest.parse().ok()?))
    });
    let port = service.get_port();
    let mut addresses: Vec<SocketAddr> = service
        .get_addresses()
        .iter()
        .map(|scoped| SocketAddr::new(scoped.to_ip_addr(), port))
        .filter(|address| !is_link_local(address.ip()))
        .collect();
    addresses.sort_unstable();
    addresses.truncate(ADDRESSES_MAX);
    Heard {
        name: text("name").unwrap_or_else(|| "unnamed".into()),
        node: text("node").and_then(|id| id.parse().ok()),
        cluster: text("cluster").and_then(|id| id.parse().ok()),
        software: text("software"),
        protocol,
        addresses,
        adoptable: text("adopt").as_deref() == Some("yes"),
    }
}

/// What somebody says of itself in one word, so that it can be shown; none: nothing.
pub(super) fn word(said: &str) -> Option<String> {
    let short: String = said
        .chars()
        .filter(|letter| !letter.is_control())
        .take(NEIGHBOUR_TEXT_BYTES / 4)
        .collect();
    (!short.is_empty()).then_some(short)
}

/// Means nothing without an interface.
fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// The service's type, after RFC 6763, section 7.
const SERVICE: &str = "_skep._udp.local.";

/// Of a node's identity in its instance's name, which has 63 bytes at most.
const INSTANCE_DIGITS: usize = 16;

const INTERFACES_SECONDS: u32 = 60;

/// As many as one machine has interfaces.
const ADDRESSES_MAX: usize = 8;

/// One that is reserved for being unknown (RFC 9000, section 15).
const UNKNOWN_VERSION: [u8; 4] = [0x1a, 0x2a, 0x3a, 0x4a];

/// Shorter ones are not answered (RFC 9000, section 14.1).
const PROBE_BYTES: usize = 1_200;

/// A datagram may be lost.
const PROBES: u32 = 3;

const PROBE_PATIENCE: Duration = Duration::from_millis(300);
