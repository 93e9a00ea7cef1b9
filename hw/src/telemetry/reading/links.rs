//! The links between devices: NVIDIA's NVLink, AMD's xGMI.
//!
//! Decides names and units; refuses to know which device is at the other end.

use serde::{Deserialize, Serialize};

/// All links of a device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Links {
    /// The links that the device has, by number.
    pub links: Vec<Link>,
    /// Received over all of them since the driver was loaded.
    pub received_bytes: Option<u64>,
    /// Sent over all of them since the driver was loaded.
    pub sent_bytes: Option<u64>,
}

/// One link. Its counters grow until the device is reset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Its number on the device.
    pub number: u32,
    /// Whether it works. One that leads nowhere never does, and that is no fault.
    pub active: Option<bool>,
    /// Whether it worked at an earlier sample and does not now.
    pub went_down: bool,
    /// The generation that it runs.
    pub generation: Option<u32>,
    /// Received over it since the driver was loaded.
    pub received_bytes: Option<u64>,
    /// Sent over it since the driver was loaded.
    pub sent_bytes: Option<u64>,
    /// Checksums of flow control that were wrong.
    pub crc_flit_errors: Option<u64>,
    /// Checksums of data that were wrong.
    pub crc_data_errors: Option<u64>,
    /// How fast both together grow.
    pub crc_errors_per_s: Option<f32>,
    /// Packets sent again.
    pub replays: Option<u64>,
    /// Times that it was trained anew.
    pub recoveries: Option<u64>,
}
