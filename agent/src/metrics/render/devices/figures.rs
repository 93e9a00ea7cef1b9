//! The figures of accelerators that are metrics.
//!
//! Decides names and units: base units, as Prometheus wants them; help texts name the field of
//! NVIDIA's DCGM exporter that tells the same. Names are kept from version to version.

use skep_hw::telemetry::{Activity, Device, Link};

/// A name, a help text, and where the figure is.
pub(super) type Figure = (&'static str, &'static str, fn(&Device) -> Option<f64>);
/// The same of a counter.
pub(super) type Count = (&'static str, &'static str, fn(&Device) -> Option<u64>);
/// The same of one link.
pub(super) type LinkCount = (&'static str, &'static str, fn(&Link) -> Option<u64>);

fn ratio(percent: Option<f32>) -> Option<f64> {
    percent.map(|percent| f64::from(percent) / 100.0)
}

fn hertz(mhz: Option<u32>) -> Option<f64> {
    mhz.map(|mhz| f64::from(mhz) * 1e6)
}

fn bytes(bytes: Option<u64>) -> Option<f64> {
    bytes.map(|bytes| bytes as f64)
}

fn unit(device: &Device, read: fn(&Activity) -> Option<f32>) -> Option<f64> {
    ratio(device.reading.activity.as_ref().and_then(read))
}

pub(super) const FIGURES: [Figure; 33] = [
    (
        "gpu_utilisation_ratio",
        "Share of time in which a kernel ran (DCGM_FI_DEV_GPU_UTIL)",
        |d| ratio(d.reading.utilisation_percent),
    ),
    (
        "gpu_memory_busy_ratio",
        "Share of time in which device memory was read or written (DCGM_FI_DEV_MEM_COPY_UTIL)",
        |d| ratio(d.reading.memory_busy_percent),
    ),
    (
        "gpu_encoder_ratio",
        "Share of time in which the video encoder ran (DCGM_FI_DEV_ENC_UTIL)",
        |d| ratio(d.reading.encoder_percent),
    ),
    (
        "gpu_decoder_ratio",
        "Share of time in which the video decoder ran (DCGM_FI_DEV_DEC_UTIL)",
        |d| ratio(d.reading.decoder_percent),
    ),
    (
        "gpu_video_ratio",
        "Share of time in which the unit for video ran",
        |d| ratio(d.reading.video_percent),
    ),
    (
        "gpu_jpeg_ratio",
        "Share of time in which the JPEG decoder ran",
        |d| ratio(d.reading.jpeg_percent),
    ),
    (
        "gpu_optical_flow_ratio",
        "Share of time in which the optical flow accelerator ran",
        |d| ratio(d.reading.optical_flow_percent),
    ),
    (
        "gpu_memory_bytes",
        "Device memory (DCGM_FI_DEV_FB_TOTAL)",
        |d| bytes(d.reading.memory.memory_total_bytes),
    ),
    (
        "gpu_memory_used_bytes",
        "Device memory in use, what the driver keeps included",
        |d| bytes(d.reading.memory.memory_used_bytes),
    ),
    (
        "gpu_memory_free_bytes",
        "Device memory free to allocate (DCGM_FI_DEV_FB_FREE)",
        |d| bytes(d.reading.memory.memory_free_bytes),
    ),
    (
        "gpu_memory_reserved_bytes",
        "Device memory that the driver keeps for itself (DCGM_FI_DEV_FB_RESERVED)",
        |d| bytes(d.reading.memory.memory_reserved_bytes),
    ),
    (
        "gpu_bar1_bytes",
        "Window through which the host reaches device memory (DCGM_FI_DEV_BAR1_TOTAL)",
        |d| bytes(d.reading.memory.window_total_bytes),
    ),
    (
        "gpu_bar1_used_bytes",
        "The part of that window in use (DCGM_FI_DEV_BAR1_USED)",
        |d| bytes(d.reading.memory.window_used_bytes),
    ),
    (
        "gpu_power_watts",
        "Power drawn by the board (DCGM_FI_DEV_POWER_USAGE)",
        |d| d.reading.power.power_watts.map(f64::from),
    ),
    (
        "gpu_power_limit_watts",
        "The power limit in force (DCGM_FI_DEV_ENFORCED_POWER_LIMIT)",
        |d| d.reading.power.limit_watts.map(f64::from),
    ),
    (
        "gpu_energy_joules",
        "Energy since the driver was loaded (DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION)",
        |d| d.reading.power.energy_joules,
    ),
    ("gpu_voltage_volts", "Voltage of the chip", |d| {
        d.reading.power.voltage_volts.map(f64::from)
    }),
    (
        "gpu_temperature_celsius",
        "Temperature of the chip (DCGM_FI_DEV_GPU_TEMP)",
        |d| d.reading.thermal.chip_celsius.map(f64::from),
    ),
    (
        "gpu_hotspot_temperature_celsius",
        "Temperature of the hottest spot of the chip",
        |d| d.reading.thermal.hotspot_celsius.map(f64::from),
    ),
    (
        "gpu_memory_temperature_celsius",
        "Temperature of the memory (DCGM_FI_DEV_MEMORY_TEMP)",
        |d| d.reading.thermal.memory_celsius.map(f64::from),
    ),
    (
        "gpu_fan_ratio",
        "How hard the fan is driven (DCGM_FI_DEV_FAN_SPEED)",
        |d| ratio(d.reading.thermal.fan_percent),
    ),
    ("gpu_fan_rpm", "How fast the fan turns", |d| {
        d.reading.thermal.fan_rpm.map(f64::from)
    }),
    (
        "gpu_sm_clock_hertz",
        "The shader clock (DCGM_FI_DEV_SM_CLOCK)",
        |d| hertz(d.reading.clocks.core_mhz),
    ),
    (
        "gpu_memory_clock_hertz",
        "The memory clock (DCGM_FI_DEV_MEM_CLOCK)",
        |d| hertz(d.reading.clocks.memory_mhz),
    ),
    (
        "gpu_video_clock_hertz",
        "The clock of the video engines (DCGM_FI_DEV_VIDEO_CLOCK)",
        |d| hertz(d.reading.clocks.video_mhz),
    ),
    (
        "gpu_performance_state",
        "Performance state, 0 the fastest (DCGM_FI_DEV_PSTATE)",
        |d| d.reading.clocks.performance_state.map(f64::from),
    ),
    (
        "gpu_pcie_generation",
        "Generation of the link to the host in use (DCGM_FI_DEV_PCIE_LINK_GEN)",
        |d| d.reading.pcie.generation.map(f64::from),
    ),
    (
        "gpu_pcie_lanes",
        "Lanes of the link to the host in use (DCGM_FI_DEV_PCIE_LINK_WIDTH)",
        |d| d.reading.pcie.lanes.map(f64::from),
    ),
    (
        "gpu_pcie_received_bytes_per_second",
        "Over PCIe towards the device (DCGM_FI_PROF_PCIE_RX_BYTES)",
        |d| bytes(d.reading.pcie.received_bytes_per_s),
    ),
    (
        "gpu_pcie_sent_bytes_per_second",
        "Over PCIe from the device (DCGM_FI_PROF_PCIE_TX_BYTES)",
        |d| bytes(d.reading.pcie.sent_bytes_per_s),
    ),
    (
        "gpu_nvlinks_active",
        "Links to other devices that work",
        |d| {
            let links = d.reading.links.as_ref()?.links.iter();
            let told: Vec<bool> = links.filter_map(|link| link.active).collect();
            let active = told.iter().filter(|active| **active).count();
            (!told.is_empty()).then_some(active as f64)
        },
    ),
    (
        "gpu_retired_pages",
        "Pages taken out of use, or rows replaced (DCGM_FI_DEV_RETIRED_SBE and others)",
        |d| bytes(d.reading.faults.retired),
    ),
    ("gpu_processes", "Processes that hold the device", |d| {
        d.reading.processes.as_ref().map(|all| all.len() as f64)
    }),
];

/// Of NVIDIA's GPM: what profiling fields of DCGM tell.
pub(super) const UNITS: [Figure; 12] = [
    (
        "gpu_graphics_active_ratio",
        "Share of time in which anything computed or drew (DCGM_FI_PROF_GR_ENGINE_ACTIVE)",
        |d| unit(d, |a| a.graphics_percent),
    ),
    (
        "gpu_sm_active_ratio",
        "Share of time in which a multiprocessor had work (DCGM_FI_PROF_SM_ACTIVE)",
        |d| unit(d, |a| a.sm_percent),
    ),
    (
        "gpu_sm_occupancy_ratio",
        "Resident warps, of those that would fit (DCGM_FI_PROF_SM_OCCUPANCY)",
        |d| unit(d, |a| a.sm_occupancy_percent),
    ),
    (
        "gpu_tensor_active_ratio",
        "Share of time in which tensor cores worked (DCGM_FI_PROF_PIPE_TENSOR_ACTIVE)",
        |d| unit(d, |a| a.tensor_percent),
    ),
    (
        "gpu_tensor_hmma_active_ratio",
        "The same for FP16 and BF16 (DCGM_FI_PROF_PIPE_TENSOR_HMMA_ACTIVE)",
        |d| unit(d, |a| a.tensor_half_percent),
    ),
    (
        "gpu_tensor_imma_active_ratio",
        "The same for integers (DCGM_FI_PROF_PIPE_TENSOR_IMMA_ACTIVE)",
        |d| unit(d, |a| a.tensor_integer_percent),
    ),
    (
        "gpu_tensor_dfma_active_ratio",
        "The same for FP64 (DCGM_FI_PROF_PIPE_TENSOR_DFMA_ACTIVE)",
        |d| unit(d, |a| a.tensor_fp64_percent),
    ),
    (
        "gpu_dram_active_ratio",
        "Bandwidth of device memory that was used (DCGM_FI_PROF_DRAM_ACTIVE)",
        |d| unit(d, |a| a.memory_bandwidth_percent),
    ),
    (
        "gpu_fp64_active_ratio",
        "Share of time in which the pipe for FP64 worked (DCGM_FI_PROF_PIPE_FP64_ACTIVE)",
        |d| unit(d, |a| a.fp64_percent),
    ),
    (
        "gpu_fp32_active_ratio",
        "Share of time in which the pipe for FP32 worked (DCGM_FI_PROF_PIPE_FP32_ACTIVE)",
        |d| unit(d, |a| a.fp32_percent),
    ),
    (
        "gpu_fp16_active_ratio",
        "Share of time in which the pipe for FP16 worked (DCGM_FI_PROF_PIPE_FP16_ACTIVE)",
        |d| unit(d, |a| a.fp16_percent),
    ),
    (
        "gpu_int_active_ratio",
        "Share of time in which the pipe for integers worked (DCGM_FI_PROF_PIPE_INT_ACTIVE)",
        |d| unit(d, |a| a.integer_percent),
    ),
];

pub(super) const COUNTS: [Count; 7] = [
    (
        "gpu_pcie_replays",
        "Packets sent again over PCIe (DCGM_FI_DEV_PCIE_REPLAY_COUNTER)",
        |d| d.reading.pcie.replays,
    ),
    (
        "gpu_nvlink_received_bytes",
        "Received from other devices (DCGM_FI_PROF_NVLINK_RX_BYTES)",
        |d| d.reading.links.as_ref()?.received_bytes,
    ),
    (
        "gpu_nvlink_sent_bytes",
        "Sent to other devices (DCGM_FI_PROF_NVLINK_TX_BYTES)",
        |d| d.reading.links.as_ref()?.sent_bytes,
    ),
    (
        "gpu_ecc_corrected_errors",
        "Memory errors mended since the driver was loaded (DCGM_FI_DEV_ECC_SBE_VOL_TOTAL)",
        |d| d.reading.faults.corrected,
    ),
    (
        "gpu_ecc_uncorrected_errors",
        "Memory errors past mending since the driver was loaded (DCGM_FI_DEV_ECC_DBE_VOL_TOTAL)",
        |d| d.reading.faults.uncorrected,
    ),
    (
        "gpu_ecc_lifetime_corrected_errors",
        "Memory errors mended over the board's life (DCGM_FI_DEV_ECC_SBE_AGG_TOTAL)",
        |d| d.reading.faults.corrected_lifetime,
    ),
    (
        "gpu_ecc_lifetime_uncorrected_errors",
        "Memory errors past mending over the board's life (DCGM_FI_DEV_ECC_DBE_AGG_TOTAL)",
        |d| d.reading.faults.uncorrected_lifetime,
    ),
];

pub(super) const LINK_COUNTS: [LinkCount; 4] = [
    (
        "gpu_nvlink_crc_flit_errors",
        "Wrong checksums of flow control (DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_L0 and others)",
        |link| link.crc_flit_errors,
    ),
    (
        "gpu_nvlink_crc_data_errors",
        "Wrong checksums of data (DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_L0 and others)",
        |link| link.crc_data_errors,
    ),
    (
        "gpu_nvlink_replays",
        "Packets sent again (DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_L0 and others)",
        |link| link.replays,
    ),
    (
        "gpu_nvlink_recoveries",
        "Times that a link was trained anew (DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_L0 and others)",
        |link| link.recoveries,
    ),
];
