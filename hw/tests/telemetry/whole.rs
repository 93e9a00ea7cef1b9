//! Every figure of an NVIDIA device by its value: one that stands for another is found out.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skep_hw::telemetry::{Device, Verdict};

use crate::nvidia::detect;

/// The first device at its second look, ten seconds after the first.
fn second_look(defines: &[&str]) -> Device {
    let (_root, mut telemetry) = detect(defines);
    let start = Instant::now();
    telemetry.sample(start);
    telemetry
        .sample(start + Duration::from_secs(10))
        .devices
        .remove(0)
}

fn told(device: &Device) -> Value {
    serde_json::to_value(&device.reading).unwrap()
}

#[test]
fn an_identity_is_told_whole() {
    let identity = second_look(&[]).identity;
    let expect = json!({
        "id": "GPU-0aa1b2c3-0000-1111-2222-333344445555",
        "vendor": "nvidia",
        "index": 0,
        "name": "NVIDIA H100 80GB HBM3",
        "uuid": "GPU-0aa1b2c3-0000-1111-2222-333344445555",
        "serial": "1652823004711",
        "part_number": "900-21010-0000-000",
        "minor_number": 3,
        "pci_bus_id": "0000:3b:00.0",
        "driver_version": "580.95.05",
        "library_version": "13.580.95.05",
        "cuda_version": "13.0",
        "compute_capability": [9, 0],
        "architecture": "Hopper",
        "vbios_version": "96.00.99.00.01",
        "gsp_firmware_version": "580.95.05-gsp",
        "cores": 16896,
        "memory_bus_bits": 5120,
        "numa_node": 1,
        "memory_numa_node": 2,
        "cpus": "1-2,4-15",
    });
    assert_eq!(serde_json::to_value(&identity).unwrap(), expect);
}

#[test]
fn a_reading_is_told_whole() {
    let device = second_look(&[]);
    assert_eq!(device.verdict, Verdict::Healthy);
    let mut reading = told(&device);
    let processes = reading["processes"].take();
    let link = |number: u32, active: bool| {
        let worked = |figure: u64| active.then_some(figure);
        json!({
            "number": number,
            "active": active,
            "went_down": false,
            "generation": worked(4 + u64::from(number)),
            "received_bytes": worked((2000 + u64::from(number)) * 1024),
            "sent_bytes": worked((1000 + u64::from(number)) * 1024),
            "replays": 100 + number,
            "recoveries": 200 + number,
            "crc_flit_errors": 300 + number,
            "crc_data_errors": 400 + number,
            "crc_errors_per_s": 0.0,
        })
    };
    let mib = |figure: f64| (figure * 1_048_576.0) as u64;
    let expect = json!({
        "lost": null,
        "utilisation_percent": 97.0,
        "memory_busy_percent": 61.0,
        "encoder_percent": 11.0,
        "decoder_percent": 12.0,
        "video_percent": null,
        "jpeg_percent": 13.0,
        "optical_flow_percent": 14.0,
        "activity": {
            "interval_ms": 10_000,
            "graphics_percent": 1.5,
            "sm_percent": 2.5,
            "sm_occupancy_percent": 3.5,
            "integer_percent": 4.5,
            "tensor_percent": 5.5,
            "tensor_fp64_percent": null,
            "tensor_half_percent": 7.5,
            "tensor_integer_percent": 9.5,
            "memory_bandwidth_percent": 10.5,
            "fp64_percent": 11.5,
            "fp32_percent": 12.5,
            "fp16_percent": 13.5,
            "pcie_sent_bytes_per_s": mib(20.5),
            "pcie_received_bytes_per_s": mib(21.5),
            "links_received_bytes_per_s": mib(60.5),
            "links_sent_bytes_per_s": mib(61.5),
        },
        "memory": {
            "memory_total_bytes": 85_520_809_984_u64,
            "memory_used_bytes": (40_u64 << 30) + (500 << 20),
            "memory_free_bytes": 85_520_809_984_u64 - (40 << 30) - (500 << 20),
            "memory_reserved_bytes": 500 << 20,
            "window_total_bytes": 131_072_u64 << 20,
            "window_used_bytes": 4 << 20,
            "shared_total_bytes": null,
            "shared_used_bytes": null,
        },
        "power": {
            "power_watts": 683.214_f32,
            "limit_watts": 700.0,
            "limit_set_watts": 702.0,
            "limit_default_watts": 703.0,
            "limit_min_watts": 200.0,
            "limit_max_watts": 704.0,
            "energy_joules": 9_876_543.21,
            "voltage_volts": null,
        },
        "thermal": {
            "chip_celsius": 64.0,
            "hotspot_celsius": null,
            "memory_celsius": 77.0,
            "chip_max_celsius": 87.0,
            "memory_max_celsius": 105.0,
            "slowdown_celsius": 92.0,
            "shutdown_celsius": 95.0,
            "fan_percent": null,
            "fan_rpm": null,
        },
        "clocks": {
            "core_mhz": 1755,
            "core_max_mhz": 1980,
            "graphics_mhz": 1740,
            "graphics_max_mhz": 1965,
            "video_mhz": 1545,
            "video_max_mhz": 1770,
            "memory_mhz": 2593,
            "memory_max_mhz": 2619,
            "performance_state": 0,
            "throttles": ["power_limit"],
        },
        "held_back": {
            "power_s": 0.5,
            "heat_s": 1.5,
            "group_s": 2.5,
            "board_s": 3.5,
            "idle_s": 4.5,
            "reliability_s": 5.5,
        },
        "pcie": {
            "generation": 5,
            "generation_max": 6,
            "lanes": 8,
            "lanes_max": 16,
            "received_bytes_per_s": 52_000_000,
            "sent_bytes_per_s": 1_200_000,
            "replays": 3,
        },
        "links": {
            "links": [link(0, true), link(1, true), link(2, false)],
            "received_bytes": 4001 * 1024,
            "sent_bytes": 2001 * 1024,
        },
        "faults": {
            "ecc_enabled": true,
            "ecc_enabled_pending": false,
            "corrected": 7,
            "uncorrected": 0,
            "corrected_lifetime": 8,
            "uncorrected_lifetime": 1,
            "retired": 2,
            "retirement_pending": false,
            "retirement_failed": false,
        },
        "modes": {
            "compute": "exclusive_process",
            "persistence": true,
            "accounting": true,
            "confidential": true,
            "confidential_debug": false,
            "partitioned": false,
            "partitioned_pending": true,
        },
        "partitions": null,
        "processes": null,
        "xids": [],
    });
    assert_eq!(reading, expect);

    let processes = processes.as_array().unwrap();
    assert_eq!(processes.len(), 100);
    let first = json!({
        "pid": 1001,
        "memory_bytes": 39_u64 << 30,
        "kind": "compute",
        "gpu_instance": 5,
        "compute_instance": 6,
        "utilisation_percent": 21.0,
        "memory_busy_percent": 22.0,
        "encoder_percent": 23.0,
        "decoder_percent": 24.0,
        "accounted": {
            "utilisation_percent": 71.0,
            "memory_busy_percent": 72.0,
            "memory_peak_bytes": 73_u64 << 30,
            "started_unix_s": 75,
        },
    });
    assert_eq!(processes[0], first);
    let second = json!({
        "pid": 2098,
        "memory_bytes": 98 << 20,
        "kind": "graphics",
        "gpu_instance": null,
        "compute_instance": null,
        "utilisation_percent": 31.0,
        "memory_busy_percent": 32.0,
        "encoder_percent": 33.0,
        "decoder_percent": null,
        "accounted": null,
    });
    assert_eq!(processes[1], second);
    assert_eq!(processes[99]["memory_bytes"], Value::Null);
}

#[test]
fn a_partitioned_card_tells_its_partitions() {
    let reading = told(&second_look(&["MIG=1"]));
    assert_eq!(reading["modes"]["partitioned"], json!(true));
    let partition = |index: u32, uuid: &str| {
        let number = index + 10;
        json!({
            "index": index,
            "uuid": uuid,
            "gpu_instance": number - 8,
            "compute_instance": number - 10,
            "gpu_slices": number - 9,
            "multiprocessors": number * 2,
            "memory_total_bytes": u64::from(number) << 30,
            "memory_used_bytes": 3 << 20,
        })
    };
    let expect = json!([
        partition(0, "MIG-0aa1b2c3-0000-1111-2222-333344445555"),
        partition(2, "MIG-2aa1b2c3-0000-1111-2222-333344445555"),
    ]);
    assert_eq!(reading["partitions"], expect);
}

#[test]
fn what_units_did_lies_between_two_samples() {
    let (_root, mut telemetry) = detect(&[]);
    let start = Instant::now();
    let mut interval_at = |ms| {
        let snapshot = telemetry.sample(start + Duration::from_millis(ms));
        let activity = snapshot.devices[0].reading.activity.clone();
        activity.map(|activity| activity.interval_ms.unwrap())
    };
    assert_eq!(interval_at(0), None);
    // Too soon for another sample; then from the first one on.
    assert_eq!(interval_at(999), None);
    assert_eq!(interval_at(1_500), Some(1_500));
    assert_eq!(interval_at(2_000), Some(1_500));
    assert_eq!(interval_at(2_500), Some(1_000));
}

#[test]
fn nonsense_is_not_told() {
    for define in ["GARBAGE=1", "GARBAGE=2"] {
        let device = second_look(&[define, "MIG=1"]);
        assert_eq!(device.reading.lost, None, "{define}");
        let reading = told(&device);
        for nothing in [
            "/utilisation_percent",
            "/memory_busy_percent",
            "/encoder_percent",
            "/jpeg_percent",
            "/activity/graphics_percent",
            "/activity/sm_percent",
            "/activity/sm_occupancy_percent",
            "/activity/integer_percent",
            "/activity/pcie_sent_bytes_per_s",
            "/activity/pcie_received_bytes_per_s",
            "/power/power_watts",
            "/power/limit_set_watts",
            "/thermal/chip_celsius",
            "/thermal/memory_celsius",
            "/links/received_bytes",
            "/links/links/0/sent_bytes",
            "/modes/compute",
        ] {
            assert_eq!(
                reading.pointer(nothing),
                Some(&Value::Null),
                "{define} {nothing}"
            );
        }
        let count = |list: &str| {
            let list = reading.pointer(list).unwrap().as_array();
            list.map(Vec::len)
        };
        assert_eq!(count("/links/links"), Some(36), "{define}");
        assert_eq!(count("/partitions"), Some(16), "{define}");
        // Lists of four thousand million are not read; if they are claimed to be written, what was
        // written to is told.
        let processes = count("/processes");
        assert!(processes.is_none_or(|n| n <= 64), "{define} {processes:?}");
        assert_eq!(processes.is_none(), define == "GARBAGE=1");
        assert_eq!(device.identity.cpus.as_deref(), Some("0-8191"));
        let whole = serde_json::to_vec(&device).unwrap().len();
        assert!(whole < 32 << 10, "{whole} bytes");
    }
}

#[test]
fn texts_that_do_not_end_are_none() {
    let identity = second_look(&["NO_NUL=1"]).identity;
    assert_eq!(identity.name, None);
    assert_eq!(identity.uuid, None);
    assert_eq!(identity.serial, None);
    assert_eq!(identity.part_number, None);
    assert_eq!(identity.vbios_version, None);
    // It was given 64 bytes of a larger room, so that it ends there.
    assert_eq!(identity.gsp_firmware_version.map(|v| v.len()), Some(64));
    assert_eq!(identity.id.0, "0000:3b:00.0");
}
