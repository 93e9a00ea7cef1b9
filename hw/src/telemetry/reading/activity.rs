//! What the units of a device did, and what held them back.
//!
//! Decides names and units; refuses to know how the figures are taken.

use serde::{Deserialize, Serialize};

/// What the units of a device did between two samples: NVIDIA's GPM metrics (Hopper and later).
///
/// Shares are of the time between the samples, averaged over all units of that kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// The time between the samples.
    pub interval_ms: Option<u64>,
    /// Time in which anything computed or drew.
    pub graphics_percent: Option<f32>,
    /// Time in which a multiprocessor had work.
    pub sm_percent: Option<f32>,
    /// Warps that were resident, of those that would fit.
    pub sm_occupancy_percent: Option<f32>,
    /// Time in which any tensor core worked.
    pub tensor_percent: Option<f32>,
    /// The same for products in FP64 (DMMA).
    pub tensor_fp64_percent: Option<f32>,
    /// The same for products in FP16 and BF16 (HMMA).
    pub tensor_half_percent: Option<f32>,
    /// The same for products of integers (IMMA).
    pub tensor_integer_percent: Option<f32>,
    /// Bandwidth of the device's memory that was used.
    pub memory_bandwidth_percent: Option<f32>,
    /// Time in which the pipe for FP64 worked.
    pub fp64_percent: Option<f32>,
    /// Time in which the pipe for FP32 worked.
    pub fp32_percent: Option<f32>,
    /// Time in which the pipe for FP16 worked.
    pub fp16_percent: Option<f32>,
    /// Time in which the pipe for integers worked.
    pub integer_percent: Option<f32>,
    /// Over PCIe towards the device.
    pub pcie_received_bytes_per_s: Option<u64>,
    /// Over PCIe from the device.
    pub pcie_sent_bytes_per_s: Option<u64>,
    /// Over all links to other devices, towards this one.
    pub links_received_bytes_per_s: Option<u64>,
    /// Over all links to other devices, from this one.
    pub links_sent_bytes_per_s: Option<u64>,
}

/// For how long the clocks were lower than asked for, by reason: counters that only grow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeldBack {
    /// The power limit.
    pub power_s: Option<f64>,
    /// Heat.
    pub heat_s: Option<f64>,
    /// Another device in the same group.
    pub group_s: Option<f64>,
    /// A limit of the board.
    pub board_s: Option<f64>,
    /// Too little to do.
    pub idle_s: Option<f64>,
    /// The limit that keeps the board reliable.
    pub reliability_s: Option<f64>,
}
