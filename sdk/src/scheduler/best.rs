//! The few best of many, in order.

use alloc::vec::Vec;

use super::RANKED_MAX;

/// Keeps what has the smallest keys; of equal keys, what was offered first.
#[derive(Debug)]
pub(super) struct Best<K, T> {
    kept: Vec<(K, T)>,
}

impl<K: Ord, T> Best<K, T> {
    pub(super) fn new() -> Self {
        Self {
            kept: Vec::with_capacity(RANKED_MAX + 1),
        }
    }

    pub(super) fn offer(&mut self, key: K, item: T) {
        if self.kept.len() >= RANKED_MAX && self.kept.last().is_some_and(|(worst, _)| *worst <= key)
        {
            return;
        }
        let at = self.kept.partition_point(|(known, _)| *known <= key);
        self.kept.insert(at, (key, item));
        self.kept.truncate(RANKED_MAX);
    }

    /// Best first.
    pub(super) fn into_ranked(self) -> impl Iterator<Item = (K, T)> {
        self.kept.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_smallest_in_order() {
        let mut best = Best::new();
        for number in [5, 3, 9, 1, 7, 2, 8, 6, 4, 0, 3] {
            best.offer(number, number * 10);
        }
        let ranked: Vec<_> = best.into_ranked().map(|(key, _)| key).collect();
        assert_eq!(ranked, [0, 1, 2, 3, 3, 4, 5, 6]);
    }

    #[test]
    fn of_equals_the_first_offered_stands_first() {
        let mut best = Best::new();
        for number in 0..20 {
            best.offer(1, number);
        }
        let ranked: Vec<_> = best.into_ranked().map(|(_, item)| item).collect();
        assert_eq!(ranked, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
