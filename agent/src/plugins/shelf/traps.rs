//! How often each version of a plugin has trapped lately on this node.
//!
//! Decides when a version is given up. Refuses to know what is done about it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use skep_core::state::PluginDigest;

use crate::limits::{TRAPPING_MAX, TRAPS_MAX, TRAPS_WINDOW};

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Traps {
    counted: BTreeMap<(String, PluginDigest), VecDeque<Instant>>,
}

impl Traps {
    /// Counts one; true when it was one too many. Counting begins anew then.
    pub(super) fn count(&mut self, now: Instant, plugin: &str, digest: PluginDigest) -> bool {
        self.counted.retain(|_, times| {
            times.retain(|at| now.saturating_duration_since(*at) < TRAPS_WINDOW);
            !times.is_empty()
        });
        let key = (plugin.to_owned(), digest);
        if self.counted.len() >= TRAPPING_MAX && !self.counted.contains_key(&key) {
            return false;
        }
        let times = self.counted.entry(key.clone()).or_default();
        times.push_back(now);
        let too_many = times.len() >= TRAPS_MAX;
        if too_many {
            self.counted.remove(&key);
        }
        too_many
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn three_in_ten_minutes_are_too_many() {
        let (mut traps, start) = (Traps::default(), Instant::now());
        let (one, two) = (PluginDigest([1; 32]), PluginDigest([2; 32]));
        let at = |minutes| start + Duration::from_mins(minutes);
        assert!(!traps.count(at(0), "one", one));
        assert!(!traps.count(at(1), "one", one));
        assert!(!traps.count(at(2), "one", two));
        // The first is forgotten by then.
        assert!(!traps.count(at(10), "one", one));
        assert!(traps.count(at(10), "one", one));
        assert!(!traps.count(at(10), "one", one));
    }
}
