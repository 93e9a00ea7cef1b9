//! Figures from calm clusters.

use std::time::Duration;

use rand::RngExt;

use crate::plan::Plan;
use crate::world::{Broken, Happening, World};

/// How long it took until the death of one node was known.
#[derive(Clone, Debug)]
pub struct Detection {
    /// By each of the others.
    pub each: Vec<Duration>,
    /// By the last of them.
    pub all: Duration,
    /// Living nodes that somebody took for dead meanwhile.
    pub wrong: usize,
}

/// One node of a settled cluster falls silent.
///
/// # Errors
/// What must always hold did not; or a node did not hear of it within a minute.
pub fn detection(seed: u64, nodes: usize, loss_permille: u32) -> Result<Detection, Box<Broken>> {
    let mut world = World::new(Plan::calm(
        seed,
        nodes,
        Duration::from_secs(90),
        loss_permille,
    ));
    let killed = Duration::from_millis(20_000 + world.chance.random_range(0..2_000));
    world.run_until(killed)?;
    let mut wrong = world.missing(None);
    let gone = world.nodes.first().map(|node| node.peer.node);
    world.stop(0).map_err(|what| world.broken(what))?;
    let mut each = vec![None; nodes];
    while world.now < killed + Duration::from_secs(60) && each.iter().skip(1).any(Option::is_none) {
        let next = world.now + Duration::from_millis(10);
        world.run_until(next)?;
        wrong += world.missing(Some(0));
        for (node, known) in world.nodes.iter().zip(&mut each).skip(1) {
            let sees = gone.is_some_and(|gone| node.sees.contains_key(&gone));
            if !sees && known.is_none() {
                *known = Some(world.now - killed);
            }
        }
    }
    let each: Vec<Duration> = each.into_iter().skip(1).flatten().collect();
    if each.len() + 1 < nodes {
        return Err(world.broken(String::from("a death was not known to all within a minute")));
    }
    let all = each.iter().copied().max().unwrap_or_default();
    Ok(Detection { each, all, wrong })
}

/// How often a healthy node was taken for dead while some others were starved of processor time, and
/// lost what came meanwhile.
///
/// # Errors
/// What must always hold did not.
pub fn wrongly_dead(
    seed: u64,
    nodes: usize,
    starved: usize,
    loss_permille: u32,
    length: Duration,
) -> Result<usize, Box<Broken>> {
    let mut world = World::new(Plan {
        socket_datagrams: 0,
        ..Plan::calm(seed, nodes, Duration::MAX, loss_permille)
    });
    world.run_until(SETTLED)?;
    // Whoever was never starved.
    let healthy: Vec<_> = world
        .nodes
        .iter()
        .skip(starved)
        .map(|n| n.peer.node)
        .collect();
    let mut taken: Vec<Vec<bool>> = vec![vec![false; healthy.len()]; nodes];
    let mut wrong = 0;
    while world.now < SETTLED + length {
        for place in 0..starved {
            let stop = world.chance.random_range(0..100) == 0;
            let length = Duration::from_millis(world.chance.random_range(50..5_000));
            let until = world.now + length;
            if let Some(node) = world.node(place)
                && stop
                && node.paused.is_none()
            {
                node.paused = Some(until);
                world.after(length, Happening::Resume(place));
            }
        }
        let next = world.now + Duration::from_millis(20);
        world.run_until(next)?;
        for (node, taken) in world.nodes.iter().zip(&mut taken) {
            for (healthy, taken) in healthy.iter().zip(taken) {
                let dead = node.peer.node != *healthy && !node.sees.contains_key(healthy);
                wrong += usize::from(dead && !*taken);
                *taken = dead;
            }
        }
    }
    Ok(wrong)
}

/// Bytes and datagrams that a node of a settled cluster sends in a second.
///
/// # Errors
/// What must always hold did not.
pub fn traffic(seed: u64, nodes: usize) -> Result<[f64; 2], Box<Broken>> {
    let mut world = World::new(Plan::calm(seed, nodes, Duration::MAX, 0));
    world.run_until(SETTLED)?;
    let before = world.sent;
    world.run_until(SETTLED + TRAFFIC)?;
    let per = nodes as f64 * TRAFFIC.as_secs_f64();
    let [bytes, datagrams] = world.sent;
    Ok([
        (bytes - before[0]) as f64 / per,
        (datagrams - before[1]) as f64 / per,
    ])
}

/// By then a calm cluster has found itself.
const SETTLED: Duration = Duration::from_secs(60);

const TRAFFIC: Duration = Duration::from_secs(60);
