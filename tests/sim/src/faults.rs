//! What goes wrong, and when.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use rand::RngExt;
use skep_core::NodeId;

use crate::log::Told;
use crate::plan::QUIET;
use crate::world::{Happening, World};

/// One thing that goes wrong, or right again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Choose one.
    Next,
    /// From here on nothing fails; whatever is down starts.
    Quiet,
    /// All links work again.
    Mend,
    /// The process ends.
    Crash(usize),
    /// One node learns that another is dismissed.
    Told(usize, NodeId),
    /// One node finds the new address of another, as by mDNS: once a link carries it.
    Found(usize, usize),
}

pub(crate) fn begin(world: &mut World) {
    let first = Duration::from_secs(world.chance.random_range(2..20));
    world.after(first, Happening::Fault(Fault::Next));
    let quiet = world.plan.length.saturating_sub(QUIET);
    world.after(quiet, Happening::Fault(Fault::Quiet));
}

pub(crate) fn strike(world: &mut World, fault: Fault) -> Result<(), String> {
    match fault {
        Fault::Next => next(world),
        Fault::Quiet => {
            world.network.mend(world.plan.loss_permille);
            for place in 0..world.nodes.len() {
                world.after(Duration::ZERO, Happening::Start(place));
            }
            Ok(())
        }
        Fault::Mend => {
            world.network.mend(world.plan.loss_permille);
            Ok(())
        }
        Fault::Crash(place) => crash(world, place),
        Fault::Told(place, gone) => {
            if let Some(node) = world.node(place) {
                node.dismissed.insert(gone);
            }
            world.tell(place, Told::Dismiss(gone))
        }
        Fault::Found(place, moved) => found(world, place, moved),
    }
}

fn next(world: &mut World) -> Result<(), String> {
    if world.is_quiet() {
        return Ok(());
    }
    let wait = Duration::from_millis(world.chance.random_range(200..15_000));
    world.after(wait, Happening::Fault(Fault::Next));
    let place = world.chance.random_range(0..world.nodes.len());
    match world.chance.random_range(0..10) {
        0 | 1 => crash(world, place),
        2 | 3 => {
            pause(world, place);
            Ok(())
        }
        4..=6 => {
            part(world);
            Ok(())
        }
        7 => {
            world.network.loss_permille = world.chance.random_range(0..300);
            world.network.double_permille = world.chance.random_range(0..100);
            let slowest = world.chance.random_range(1..200);
            world.network.delay[1] = Duration::from_millis(slowest);
            mend_later(world);
            Ok(())
        }
        8 => go(world, place),
        _ => dismiss_or_move(world, place),
    }
}

fn crash(world: &mut World, place: usize) -> Result<(), String> {
    let back = Duration::from_millis(world.chance.random_range(300..30_000));
    world.after(back, Happening::Start(place));
    world.stop(place)
}

/// No processor time for a while.
fn pause(world: &mut World, place: usize) {
    let length = Duration::from_millis(world.chance.random_range(50..12_000));
    let until = world.now + length;
    if let Some(node) = world.node(place)
        && node.core.is_some()
        && node.paused.is_none()
    {
        node.paused = Some(until);
        world.after(length, Happening::Resume(place));
    }
}

/// Links that carry nothing: between two halves, one way only, all but a ring, or all but a bridge.
fn part(world: &mut World) {
    let count = world.nodes.len();
    let left: Vec<bool> = (0..count).map(|_| world.chance.random()).collect();
    let bridge = world.chance.random_range(0..count);
    let kind = world.chance.random_range(0..4);
    for from in 0..count {
        for to in (0..count).filter(|to| *to != from) {
            let side = |place: usize| left.get(place).copied().unwrap_or_default();
            let cut = match kind {
                0 => side(from) != side(to),
                1 => side(from) && !side(to),
                2 => (from + 1) % count != to && (to + 1) % count != from,
                _ => from != bridge && to != bridge && side(from) != side(to),
            };
            if cut {
                world.network.cut(from, to);
            }
        }
    }
    mend_later(world);
}

fn mend_later(world: &mut World) {
    let mended = Duration::from_millis(world.chance.random_range(500..40_000));
    world.after(mended, Happening::Fault(Fault::Mend));
}

/// A good-bye, and soon after it the end.
fn go(world: &mut World, place: usize) -> Result<(), String> {
    let Some(node) = world.node(place) else {
        return Ok(());
    };
    if node.core.is_none() || node.left {
        return Ok(());
    }
    node.left = true;
    world.after(
        Duration::from_millis(300),
        Happening::Fault(Fault::Crash(place)),
    );
    world.tell(place, Told::Leave)
}

/// The cluster gives a member up for good, or a member changes its address.
fn dismiss_or_move(world: &mut World, place: usize) -> Result<(), String> {
    let Some(node) = world.node(place) else {
        return Ok(());
    };
    let peer = node.peer.clone();
    if world.chance.random_range(0..3) == 0 && world.dismissed.len() + 2 < world.nodes.len() {
        world.dismissed.insert(peer.node);
        for other in (0..world.nodes.len()).filter(|other| *other != place) {
            let hears = Duration::from_millis(world.chance.random_range(0..3_000));
            world.after(hears, Happening::Fault(Fault::Told(other, peer.node)));
        }
        return Ok(());
    }
    let host = world.chance.random_range(1..250);
    let address = SocketAddr::from((Ipv4Addr::new(10, 1, place as u8, host), 7420));
    if let Some(node) = world.node(place)
        && node.core.is_some()
        && node.paused.is_none()
        && !node.left
    {
        node.peer.address = address;
        for other in (0..world.nodes.len()).filter(|other| *other != place) {
            let finds = Duration::from_millis(world.chance.random_range(0..5_000));
            world.after(finds, Happening::Fault(Fault::Found(other, place)));
        }
        return world.tell(place, Told::Move(address));
    }
    Ok(())
}

fn found(world: &mut World, place: usize, moved: usize) -> Result<(), String> {
    if world.network.is_cut(moved, place) {
        let again = Happening::Fault(Fault::Found(place, moved));
        world.after(Duration::from_secs(1), again);
        return Ok(());
    }
    let Some(peer) = world.node(moved).map(|node| node.peer.clone()) else {
        return Ok(());
    };
    if world.dismissed.contains(&peer.node) {
        return Ok(());
    }
    world.tell(place, Told::Admit(peer))
}
