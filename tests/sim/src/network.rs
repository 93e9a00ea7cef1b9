//! Links between nodes: what they lose, delay, double and refuse.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

/// The state of all links.
#[derive(Debug)]
pub(crate) struct Network {
    /// Pairs, from and to, that nothing passes.
    cut: BTreeSet<(usize, usize)>,
    pub(crate) loss_permille: u32,
    pub(crate) double_permille: u32,
    /// A datagram takes between the two; so a wide range also changes their order.
    pub(crate) delay: [Duration; 2],
}

impl Network {
    pub(crate) fn new(loss_permille: u32) -> Self {
        Self {
            cut: BTreeSet::new(),
            loss_permille,
            double_permille: 0,
            delay: CALM,
        }
    }

    /// After how long each copy of a datagram arrives; none when it is lost.
    pub(crate) fn arrivals(
        &self,
        from: usize,
        to: usize,
        chance: &mut Xoshiro256PlusPlus,
    ) -> impl Iterator<Item = Duration> {
        let lost = self.cut.contains(&(from, to)) || happens(self.loss_permille, chance);
        let copies = match (lost, happens(self.double_permille, chance)) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        };
        let delays: [Duration; 2] =
            std::array::from_fn(|_| chance.random_range(self.delay[0]..=self.delay[1]));
        delays.into_iter().take(copies)
    }

    /// Nothing passes from `from` to `to`.
    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        self.cut.insert((from, to));
    }

    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut.contains(&(from, to))
    }

    /// Everything passes again, as on a calm day.
    pub(crate) fn mend(&mut self, loss_permille: u32) {
        *self = Self::new(loss_permille);
    }
}

fn happens(permille: u32, chance: &mut Xoshiro256PlusPlus) -> bool {
    chance.random_range(0..1000) < permille
}

/// A wired home network.
const CALM: [Duration; 2] = [Duration::from_micros(150), Duration::from_micros(900)];
