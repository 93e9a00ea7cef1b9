//! SWIM's own waits and counts.

use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

use foca::{Config, PeriodicParams};

use crate::limits::DATAGRAM_BYTES_MAX;

/// For a cluster of `nodes`.
pub(super) fn of(nodes: usize) -> Config {
    // The number of decimal digits grows like the logarithm of the size, as dissemination does.
    let digits = nodes.max(1).ilog10() + 1;
    Config {
        probe_period: PROBE_PERIOD,
        probe_rtt: PROBE_ANSWER,
        num_indirect_probes: count(3),
        max_transmissions: NonZeroU8::new(8 * u8::try_from(digits).unwrap_or(8) + 4)
            .unwrap_or(NonZeroU8::MIN),
        suspect_to_down_after: SUSPICION,
        // As many are remembered as were ever admitted, which is bounded; so nothing is forgotten.
        remove_down_after: None,
        max_packet_size: count(DATAGRAM_BYTES_MAX),
        // We tell them ourselves, and not at the speed of the network.
        notify_down_members: false,
        periodic_announce: Some(every(Duration::from_secs(30), 1)),
        // We ask for them ourselves.
        periodic_announce_to_down_members: None,
        periodic_gossip: Some(every(Duration::from_millis(200), 3)),
    }
}

/// Each node probes one other in this time.
const PROBE_PERIOD: Duration = Duration::from_millis(600);

/// After it, others are asked to probe as well: well above the round trip of a local network.
const PROBE_ANSWER: Duration = Duration::from_millis(200);

/// How long a suspected node has to speak up: seven rounds of gossip.
const SUSPICION: Duration = Duration::from_millis(1_400);

fn every(frequency: Duration, members: usize) -> PeriodicParams {
    PeriodicParams {
        frequency,
        num_members: count(members),
    }
}

fn count(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN)
}
