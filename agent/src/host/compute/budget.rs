//! How much memory a model's caches, buffers and copied weights take, and how much they may.
//!
//! Mapped weights are counted apart: the system can drop their pages at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::protocol::Error;

/// A worker's memory for one model.
#[derive(Clone, Debug)]
pub(in crate::host) struct Budget(Arc<Counts>);

/// A share of a budget; it goes back when this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    counts: Arc<Counts>,
    bytes: u64,
    mapped_bytes: u64,
}

#[derive(Debug)]
struct Counts {
    limit: u64,
    used: AtomicU64,
    mapped: AtomicU64,
}

impl Budget {
    pub(in crate::host) fn new(limit_bytes: u64) -> Self {
        Self(Arc::new(Counts {
            limit: limit_bytes,
            used: AtomicU64::new(0),
            mapped: AtomicU64::new(0),
        }))
    }

    pub(in crate::host) fn used_bytes(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    pub(in crate::host) fn mapped_bytes(&self) -> u64 {
        self.0.mapped.load(Ordering::Relaxed)
    }

    pub(super) fn free_bytes(&self) -> u64 {
        self.0.limit.saturating_sub(self.used_bytes())
    }

    /// Claims memory before it is taken.
    pub(super) fn claim(&self, bytes: u64, what: &str) -> Result<Arc<Claim>, Error> {
        let free = self.free_bytes();
        if bytes > free {
            return Err(Error::Exhausted(format!(
                "{what} takes {} MiB and {} MiB of the model's memory are free",
                bytes.div_ceil(1 << 20),
                free >> 20
            )));
        }
        // One thread claims; others at most give back, so the check above still holds.
        self.0.used.fetch_add(bytes, Ordering::Relaxed);
        Ok(Arc::new(Claim {
            counts: Arc::clone(&self.0),
            bytes,
            mapped_bytes: 0,
        }))
    }

    /// Counts bytes that are mapped from a file.
    pub(super) fn mapped(&self, bytes: u64) -> Arc<Claim> {
        self.0.mapped.fetch_add(bytes, Ordering::Relaxed);
        Arc::new(Claim {
            counts: Arc::clone(&self.0),
            bytes: 0,
            mapped_bytes: bytes,
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.counts.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.counts
            .mapped
            .fetch_sub(self.mapped_bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_can_be_claimed_again() {
        let budget = Budget::new(10);
        let first = budget.claim(6, "a cache").unwrap();
        assert!(matches!(
            budget.claim(5, "a cache"),
            Err(Error::Exhausted(_))
        ));
        let shared = Arc::clone(&first);
        drop(first);
        assert_eq!(budget.free_bytes(), 4);
        drop(shared);
        assert_eq!(budget.free_bytes(), 10);
        budget.claim(10, "a plan").unwrap();
    }
}
