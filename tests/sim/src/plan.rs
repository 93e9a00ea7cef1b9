//! What a run is made from.

use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// A run; with the seed, everything that happens in it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Where all chance comes from.
    pub seed: u64,
    /// How many nodes.
    pub nodes: usize,
    /// How long in virtual time. Faults end a minute before it.
    pub length: Duration,
    /// Whether nodes and links fail.
    pub faults: bool,
    /// Of a thousand datagrams, how many are lost even without a fault.
    pub loss_permille: u32,
    /// How many datagrams wait for a node that gets no processor time; the others are lost.
    pub socket_datagrams: usize,
    /// Whether to keep what each core is told.
    pub keep_log: bool,
}

/// The last part of a run, in which nothing fails and all must come to agree.
pub(crate) const QUIET: Duration = Duration::from_secs(60);

impl Plan {
    /// A run of five virtual minutes of a cluster of 2 to 9 nodes in which everything fails.
    #[must_use]
    pub fn hostile(seed: u64) -> Self {
        let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x5eed);
        Self {
            seed,
            nodes: chance.random_range(2..10),
            length: Duration::from_secs(300),
            faults: true,
            loss_permille: 0,
            socket_datagrams: 256,
            keep_log: false,
        }
    }

    /// A run of five nodes in which nothing fails; one of them is to lie.
    #[must_use]
    pub fn honest(seed: u64) -> Self {
        Self::calm(seed, 5, Duration::ZERO, 0)
    }

    /// A run in which nothing fails but, maybe, datagrams.
    #[must_use]
    pub fn calm(seed: u64, nodes: usize, length: Duration, loss_permille: u32) -> Self {
        Self {
            seed,
            nodes,
            length,
            faults: false,
            loss_permille,
            socket_datagrams: 256,
            keep_log: false,
        }
    }
}
