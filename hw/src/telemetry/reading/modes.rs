//! How a device is set up, and the partitions that it is cut into.
//!
//! Decides names; refuses to know how a mode is changed.

use serde::{Deserialize, Serialize};

/// How a device is set up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modes {
    /// Who may compute on it.
    pub compute: Option<ComputeMode>,
    /// Whether the driver stays loaded while nobody uses the device.
    pub persistence: Option<bool>,
    /// Whether the driver keeps account of finished processes.
    pub accounting: Option<bool>,
    /// Whether the machine computes confidentially on its devices.
    pub confidential: Option<bool>,
    /// Whether it does so in the mode for developers, which keeps nothing secret.
    pub confidential_debug: Option<bool>,
    /// Whether the device is cut into partitions (MIG).
    pub partitioned: Option<bool>,
    /// Whether it will be after the next reset.
    pub partitioned_pending: Option<bool>,
}

/// Who may compute on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComputeMode {
    /// Any number of processes.
    Shared,
    /// One thread of one process.
    ExclusiveThread,
    /// One process.
    ExclusiveProcess,
    /// Nobody.
    Prohibited,
}

/// One partition of a device, with units and memory of its own (NVIDIA's MIG).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Its number on the device.
    pub index: u32,
    /// The vendor's unique identifier.
    pub uuid: Option<String>,
    /// The number of its share of memory and units.
    pub gpu_instance: Option<u32>,
    /// The number of its share of that share's multiprocessors.
    pub compute_instance: Option<u32>,
    /// Slices of the device that its share has, of seven.
    pub gpu_slices: Option<u32>,
    /// Multiprocessors.
    pub multiprocessors: Option<u32>,
    /// Memory, all of it.
    pub memory_total_bytes: Option<u64>,
    /// Memory in use.
    pub memory_used_bytes: Option<u64>,
}
