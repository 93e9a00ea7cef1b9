//! SWIM's own waits and counts.

use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

use foca::{Config, PeriodicParams, Timer};

use super::Peer;
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

/// How long foca's timer waits in a cluster of `nodes`, instead of what foca says: it takes no other period
/// once it runs.
pub(super) fn wait(timer: &Timer<Peer>, said: Duration, nodes: usize) -> Duration {
    match timer {
        Timer::ProbeRandomMember(_) if nodes <= FEW => PROBE_PERIOD_FEW,
        Timer::ChangeSuspectToDown { .. } if nodes <= FEW => SUSPICION_FEW,
        _ => said,
    }
}

/// Each node probes one other in this time.
const PROBE_PERIOD: Duration = Duration::from_millis(600);

/// The same among few. There a node is never long without a probe: each has its turn soon. Among many it is
/// chance that decides, and one in a hundred waits for five periods; so many have the shorter one, for the
/// same tail.
const PROBE_PERIOD_FEW: Duration = Duration::from_millis(900);

/// So many are few, this one included.
const FEW: usize = 4;

/// After it, others are asked to probe as well: well above the round trip of a local network.
const PROBE_ANSWER: Duration = Duration::from_millis(200);

/// How long a suspected node has to speak up: seven rounds of gossip.
const SUSPICION: Duration = Duration::from_millis(1_400);

/// The same among few, where one round of gossip reaches everybody.
const SUSPICION_FEW: Duration = Duration::from_millis(1_200);

fn every(frequency: Duration, members: usize) -> PeriodicParams {
    PeriodicParams {
        frequency,
        num_members: count(members),
    }
}

fn count(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN)
}
