//! A process that holds a device, and what it uses.
//!
//! Decides names and units; refuses to know whose process it is.

use serde::{Deserialize, Serialize};

/// A process that holds a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Its number, in the driver's namespace: inside a container it may name nothing.
    pub pid: u32,
    /// Device memory it holds.
    pub memory_bytes: Option<u64>,
    /// Whether it computes or draws.
    pub kind: ProcessKind,
    /// The partition's share of memory and units that it runs in.
    pub gpu_instance: Option<u32>,
    /// The share of multiprocessors in that share.
    pub compute_instance: Option<u32>,
    /// Time in which its kernels ran, in the last measuring period.
    pub utilisation_percent: Option<f32>,
    /// Time in which it read or wrote device memory.
    pub memory_busy_percent: Option<f32>,
    /// Its share of the video encoder.
    pub encoder_percent: Option<f32>,
    /// Its share of the video decoder.
    pub decoder_percent: Option<f32>,
    /// What the driver wrote down of it since it started, where accounting is on.
    pub accounted: Option<Accounted>,
}

impl Process {
    /// A process of which nothing but this is known.
    #[must_use]
    pub const fn new(pid: u32, memory_bytes: Option<u64>, kind: ProcessKind) -> Self {
        Self {
            pid,
            memory_bytes,
            kind,
            gpu_instance: None,
            compute_instance: None,
            utilisation_percent: None,
            memory_busy_percent: None,
            encoder_percent: None,
            decoder_percent: None,
            accounted: None,
        }
    }
}

/// What a process used of a device since it started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Accounted {
    /// Time in which its kernels ran.
    pub utilisation_percent: Option<f32>,
    /// Time in which it read or wrote device memory.
    pub memory_busy_percent: Option<f32>,
    /// The most device memory that it held.
    pub memory_peak_bytes: Option<u64>,
    /// When it started to use the device, in seconds since 1970.
    pub started_unix_s: Option<u64>,
}

/// What a process does with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessKind {
    /// It runs kernels.
    Compute,
    /// It draws.
    Graphics,
}
