//! Which replica answered a conversation last, so that the next message finds its prefix in the cache.

use alloc::collections::{BTreeMap, VecDeque};

/// Recent conversations, oldest forgotten first.
#[derive(Debug, Default)]
pub struct Affinity {
    replicas: BTreeMap<u64, u64>,
    order: VecDeque<u64>,
}

impl Affinity {
    /// The replica that answered a conversation last.
    #[must_use]
    pub fn find(&self, conversation: u64) -> Option<u64> {
        self.replicas.get(&conversation).copied()
    }

    /// A conversation goes on at this replica. Zero names no conversation and is not kept.
    pub fn remember(&mut self, conversation: u64, replica: u64) {
        if conversation == 0 {
            return;
        }
        if self.replicas.insert(conversation, replica).is_none() {
            self.order.push_back(conversation);
        }
        while self.order.len() > CONVERSATIONS {
            if let Some(oldest) = self.order.pop_front() {
                self.replicas.remove(&oldest);
            }
        }
    }

    /// A replica is gone, and with it all prefixes in its cache.
    pub fn forget(&mut self, replica: u64) {
        self.replicas.retain(|_, known| *known != replica);
        let replicas = &self.replicas;
        self.order
            .retain(|conversation| replicas.contains_key(conversation));
    }
}

/// Far more conversations than any replica's cache holds prefixes of; 64 KiB.
const CONVERSATIONS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_oldest_and_the_gone() {
        let mut affinity = Affinity::default();
        for conversation in 0..=CONVERSATIONS as u64 + 1 {
            affinity.remember(conversation, conversation % 2);
        }
        assert_eq!(affinity.find(0), None);
        assert_eq!(affinity.find(1), None);
        assert_eq!(affinity.find(2), Some(0));
        affinity.forget(0);
        assert_eq!(affinity.find(2), None);
        assert_eq!(affinity.find(3), Some(1));
        assert_eq!(affinity.order.len(), affinity.replicas.len());
    }
}
