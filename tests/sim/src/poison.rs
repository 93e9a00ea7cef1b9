//! A member that lies.
//!
//! Decides which datagrams it makes up: noise, true ones with bytes changed, and well-formed ones with
//! extreme values about itself and others.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use foca::{Header, Member, Message, State};
use rand::RngExt;
use skep_core::NodeId;
use skep_core::limits::DATAGRAM_BYTES_MAX;
use skep_core::membership::Peer;

use crate::plan::{Plan, QUIET};
use crate::world::{Broken, Happening, World};

/// Lets the last node of a calm cluster send `lies` datagrams to the others, beside what it says in
/// truth; afterwards all must agree again.
///
/// # Errors
/// What must hold did not.
pub fn poison(plan: Plan, lies: usize) -> Result<(), Box<Broken>> {
    let begin = Duration::from_secs(20);
    let nodes = plan.nodes;
    let mut world = World::new(Plan {
        length: begin + LYING + QUIET,
        ..plan
    });
    world.run_until(begin)?;
    let liar = nodes.saturating_sub(1);
    world.liar = world.node(liar).map(|node| node.peer.node);
    for _ in 0..lies {
        let to = world.chance.random_range(0..liar.max(1));
        let after = world.chance.random_range(Duration::ZERO..LYING);
        world.after(after, Happening::Lie { liar, to });
    }
    world.run()
}

/// How long it lies.
const LYING: Duration = Duration::from_secs(30);

/// One lie, made up as things are now.
pub(crate) fn lie(world: &mut World, liar: usize, to: usize) -> Vec<u8> {
    let kind = world.chance.random_range(0..4);
    if kind == 0 {
        let length = world.chance.random_range(0..DATAGRAM_BYTES_MAX + 200);
        return (0..length).map(|_| world.chance.random()).collect();
    }
    let mut bytes = claim(world, liar, to);
    if kind == 1 {
        for _ in 0..world.chance.random_range(1..4) {
            let at = world.chance.random_range(0..bytes.len().max(1));
            let bit = world.chance.random_range(0..8);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
    }
    if kind == 2 {
        bytes.truncate(world.chance.random_range(0..=bytes.len()));
    }
    bytes
}

/// A well-formed datagram that claims anything.
fn claim(world: &mut World, liar: usize, to: usize) -> Vec<u8> {
    let (src, dst) = (peer(world, liar), peer(world, to));
    let about = any_peer(world);
    let probe_number = world.chance.random();
    let message = match world.chance.random_range(0..11) {
        0 => Message::Ping(probe_number),
        1 => Message::Ack(probe_number),
        2 => Message::PingReq {
            target: about,
            probe_number,
        },
        3 => Message::IndirectPing {
            origin: about,
            probe_number,
        },
        4 => Message::IndirectAck {
            target: about,
            probe_number,
        },
        5 => Message::ForwardedAck {
            origin: about,
            probe_number,
        },
        6 => Message::Announce,
        7 => Message::Feed,
        8 => Message::TurnUndead,
        _ => Message::Gossip,
    };
    let header = Header {
        src,
        src_incarnation: 0,
        dst,
        message,
    };
    let mut bytes = postcard::to_stdvec(&header).unwrap_or_default();
    let count: u16 = match world.chance.random_range(0..8) {
        0 => world.chance.random(),
        _ => world.chance.random_range(0..8),
    };
    bytes.extend(count.to_be_bytes());
    for _ in 0..count.min(30) {
        let state = match world.chance.random_range(0..3) {
            0 => State::Alive,
            1 => State::Suspect,
            _ => State::Down,
        };
        let incarnation = match world.chance.random_range(0..3) {
            0 => u16::MAX,
            1 => world.chance.random(),
            _ => 0,
        };
        let member = Member::new(any_peer(world), incarnation, state);
        bytes.extend(postcard::to_stdvec(&member).unwrap_or_default());
    }
    bytes
}

fn peer(world: &World, place: usize) -> Peer {
    let known = world.nodes.get(place).or_else(|| world.nodes.first());
    known.map_or_else(nobody, |node| node.peer.clone())
}

/// A real node or none, in a life and at a place that may be its own.
fn any_peer(world: &mut World) -> Peer {
    let place = world.chance.random_range(0..world.nodes.len() + 1);
    let mut peer = world
        .nodes
        .get(place)
        .map_or_else(nobody, |node| node.peer.clone());
    if place == world.nodes.len() {
        peer.node = NodeId(world.chance.random());
    }
    peer.generation = match world.chance.random_range(0..6) {
        0 => u64::MAX,
        1 => world.chance.random(),
        2 => 0,
        3 => peer.generation.saturating_add(1 << 20),
        4 => peer.generation.saturating_add(1),
        _ => peer.generation,
    };
    if world.chance.random_range(0..3) == 0 {
        let ip: [u8; 4] = world.chance.random();
        peer.address = SocketAddr::new(IpAddr::from(ip), world.chance.random());
    }
    peer
}

fn nobody() -> Peer {
    Peer {
        node: NodeId([0xee; 16]),
        generation: 0,
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
    }
}
