//! Ours and the peer's in turns, so that both meet the same minutes. It decides who goes first, and the ratio.

use anyhow::{Context, Result};

use super::report::{Cell, Samples};

/// One figure of both.
#[derive(Default)]
pub(super) struct Pair {
    ours: Samples,
    peers: Samples,
    ratio: Samples,
}

impl Pair {
    pub(super) fn push(&mut self, ours: f64, peers: f64) {
        self.ours.push(ours);
        self.peers.push(peers);
        self.ratio.push(ours / peers);
    }

    /// Ours, the peer's and the ratio.
    pub(super) fn cells(self, decimals: usize) -> [Cell; 3] {
        [
            Cell::Samples(self.ours, decimals),
            Cell::Samples(self.peers, decimals),
            Cell::Samples(self.ratio, 2),
        ]
    }
}

/// Both, `pairs` times; every second turn the peer goes first. Each is told the turn, from 1 on.
pub(super) fn take<T>(
    pairs: u64,
    mut ours: impl FnMut(u64) -> Result<T>,
    mut peers: impl FnMut(u64) -> Result<T>,
    mut seen: impl FnMut(T, T),
) -> Result<()> {
    for turn in 1..=pairs {
        let mut ours = || ours(turn).with_context(|| format!("ours failed in turn {turn}"));
        let mut peers = || peers(turn).with_context(|| format!("the peer failed in turn {turn}"));
        if turn % 2 == 1 {
            let first = ours()?;
            seen(first, peers()?);
        } else {
            let first = peers()?;
            seen(ours()?, first);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use anyhow::bail;

    use super::*;

    #[test]
    fn every_second_turn_the_peer_goes_first() {
        let order = RefCell::new(String::new());
        let step = |name: char| {
            let order = &order;
            move |turn| {
                order.borrow_mut().push(name);
                Ok(turn)
            }
        };
        let mut both = Vec::new();
        take(3, step('o'), step('p'), |ours, peers| {
            both.push((ours, peers));
        })
        .unwrap();
        assert_eq!(order.into_inner(), "oppoop");
        assert_eq!(both, [(1, 1), (2, 2), (3, 3)]);
    }

    #[test]
    fn a_failure_says_whose_it_is() {
        let failed = take(2, Ok, |_| bail!("gone"), |_, _| {}).unwrap_err();
        assert_eq!(format!("{failed:#}"), "the peer failed in turn 1: gone");
    }

    #[test]
    fn the_ratio_is_of_each_turn() {
        let mut pair = Pair::default();
        for (ours, peers) in [(2.0, 1.0), (9.0, 3.0), (4.0, 8.0)] {
            pair.push(ours, peers);
        }
        assert_eq!(pair.ratio.median(), Some(2.0));
    }
}
