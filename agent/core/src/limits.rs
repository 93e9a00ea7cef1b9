//! Every bound of the core, with its reason.

use std::time::Duration;

/// Models that may be known at once, in the catalogue or loaded. A disk holds fewer.
pub const MODELS_MAX: usize = 4_096;

/// Nodes that may be known at once: what one scheduler scans in 100 µs.
pub const NODES_MAX: usize = 1_024;

/// Replicas that may be known at once: several on each node.
pub const REPLICAS_MAX: usize = 8_192;

/// Keys whose use is counted apart. Further ones count in the totals alone.
pub const KEYS_COUNTED_MAX: usize = 4_096;

/// After a failed load, how long until the next attempt. Opening a large model keeps a disk busy for
/// minutes, and a damaged file does not mend itself.
pub const LOAD_RETRY: Duration = Duration::from_secs(10);

/// Told to a client whose model is still loading: soon enough to catch most loads, late enough that a
/// thousand waiting clients are no load.
pub const LOADING_RETRY: Duration = Duration::from_secs(5);

/// Told to a client when there is no slot: about one short answer.
pub const BUSY_RETRY: Duration = Duration::from_secs(1);
