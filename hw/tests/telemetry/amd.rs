//! AMD devices through a `/sys` of files and a stand-in for their library.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use skep_hw::telemetry::{
    Device, DeviceId, Fault, Places, SourceKind, SourceState, Telemetry, Throttle, Vendor, Verdict,
};
use tempfile::TempDir;

use crate::fake;

/// A path under a device's folder, and what stands there.
type File = (&'static str, &'static [u8]);

/// As `/sys` shows an Instinct card that works.
const WHOLE: &[File] = &[
    ("vendor", b"0x1002\n"),
    (
        "uevent",
        b"DRIVER=amdgpu\nPCI_CLASS=38000\nPCI_SLOT_NAME=0000:03:00.0\n",
    ),
    ("config", b"\x02\x10\xa1\x74\x07\x04\x10\x00"),
    ("unique_id", b"a1b2c3d4e5f60718\n"),
    ("vbios_version", b"113-M3000100-103\n"),
    ("numa_node", b"0\n"),
    ("local_cpulist", b"0-47,96-143\n"),
    ("product_number", b"102-G36206-00\n"),
    ("vcn_busy_percent", b"17\n"),
    ("power/runtime_status", b"active\n"),
    ("gpu_busy_percent", b"87\n"),
    ("mem_busy_percent", b"43\n"),
    ("mem_info_vram_total", b"206158430208\n"),
    ("mem_info_vram_used", b"103079215104\n"),
    ("mem_info_gtt_total", b"270253621248\n"),
    ("mem_info_gtt_used", b"33554432\n"),
    ("pp_dpm_sclk", b"0: 500Mhz \n1: 2100Mhz *\n"),
    ("pp_dpm_mclk", b"0: 900Mhz \n1: 1300Mhz *\n"),
    ("pp_dpm_vclk", b"0: 29Mhz *\n1: 1750Mhz \n"),
    ("current_link_speed", b"32.0 GT/s PCIe\n"),
    ("max_link_speed", b"32.0 GT/s PCIe\n"),
    ("current_link_width", b"16\n"),
    ("max_link_width", b"16\n"),
    ("pcie_replay_count", b"4\n"),
    ("hwmon/hwmon5/temp1_label", b"junction\n"),
    ("hwmon/hwmon5/temp1_input", b"68000\n"),
    ("hwmon/hwmon5/temp2_label", b"edge\n"),
    ("hwmon/hwmon5/temp2_input", b"55000\n"),
    ("hwmon/hwmon5/temp2_crit", b"100000\n"),
    ("hwmon/hwmon5/power1_input", b"540000000\n"),
    ("hwmon/hwmon5/temp3_label", b"mem\n"),
    ("hwmon/hwmon5/temp3_input", b"61000\n"),
    ("hwmon/hwmon5/temp3_crit", b"105000\n"),
    ("hwmon/hwmon5/power1_cap", b"750000000\n"),
    ("hwmon/hwmon5/power1_cap_default", b"740000000\n"),
    ("hwmon/hwmon5/power1_cap_min", b"0\n"),
    ("hwmon/hwmon5/power1_cap_max", b"760000000\n"),
    ("hwmon/hwmon5/in0_input", b"812\n"),
    ("ras/umc_err_count", b"ue: 0\nce: 12\n"),
    ("ras/gfx_err_count", b"ue: 0\nce: 1\n"),
    (
        "ras/gpu_vram_bad_pages",
        b"0x027f5d43 : 0x00001000 : R\n0x027f5d4b : 0x00001000 : R\n",
    ),
];

/// As a card may show itself after a bad day: files missing, empty, huge, not text.
const BROKEN: &[File] = &[
    ("vendor", b"0x1002\n"),
    ("uevent", b"DRIVER=amdgpu\nPCI_SLOT_NAME=0000:c3:00.0\n"),
    ("unique_id", b"0000000000000000\n"),
    ("product_name", b"\xff\xfe\x00broken"),
    ("gpu_busy_percent", b"65535\n"),
    ("mem_info_vram_total", b"17163091968\n"),
    ("mem_info_vram_used", b"18446744073709551615\n"),
    ("mem_info_gtt_total", b"99999999999999999999999\n"),
    ("pp_dpm_sclk", b""),
    ("pp_dpm_mclk", b"rubbish\n\xf0\x28\x8c\x28"),
    ("current_link_speed", b"Unknown\n"),
    ("current_link_width", b"-1\n"),
    ("numa_node", b"-1\n"),
    ("hwmon/hwmon0/temp1_input", b"9223372036854775807\n"),
    ("hwmon/hwmon0/power1_average", b"18446744073709551615\n"),
    ("hwmon/hwmon0/fan1_input", b"4294967296\n"),
    ("hwmon/hwmon0/pwm1", b"300\n"),
    ("hwmon/hwmon0/in0_input", b"4294967295\n"),
    ("vcn_busy_percent", b"101\n"),
    ("gpu_metrics", b"\x78\x00\x01\x03"),
    ("ras/umc_err_count", b"ue: many\n"),
];

fn card(sysfs: &Path, number: u32, files: &[File]) {
    // As in a real `/sys`, the class folder has links to where the device is on its bus.
    let device = sysfs.join(format!("devices/pci{number}"));
    let class = sysfs.join(format!("class/drm/card{number}"));
    fs::create_dir_all(&device).unwrap();
    fs::create_dir_all(&class).unwrap();
    symlink(&device, class.join("device")).unwrap();
    for (path, content) in files {
        write(&device.join(path), content);
    }
}

fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn machine(cards: &[(u32, &[File])]) -> (TempDir, Places) {
    let root = tempfile::tempdir().unwrap();
    let places = fake::nowhere(&root);
    for (number, files) in cards {
        card(&places.sysfs, *number, files);
    }
    (root, places)
}

fn only_device(places: &Places) -> Device {
    let mut snapshot = Telemetry::detect(places).sample(Instant::now());
    assert_eq!(snapshot.devices.len(), 1);
    snapshot.devices.remove(0)
}

#[test]
fn a_working_card_is_read_from_files_alone() {
    let (_root, places) = machine(&[(1, WHOLE)]);
    let node = places.sysfs.join("class/kfd/kfd/topology/nodes");
    write(
        &node.join("0/properties"),
        b"location_id 0\ngfx_target_version 0\n",
    );
    write(
        &node.join("1/properties"),
        b"location_id 768\ndomain 0\ngfx_target_version 90402\n",
    );
    let device = only_device(&places);
    let identity = &device.identity;
    assert_eq!(identity.id, DeviceId("amd-a1b2c3d4e5f60718".into()));
    assert_eq!(identity.vendor, Vendor::Amd);
    assert_eq!(identity.pci_bus_id.as_deref(), Some("0000:03:00.0"));
    assert_eq!(identity.architecture.as_deref(), Some("gfx942"));
    assert_eq!(identity.vbios_version.as_deref(), Some("113-M3000100-103"));
    assert_eq!(identity.numa_node, Some(0));
    assert_eq!(identity.minor_number, Some(1));
    assert_eq!(identity.part_number.as_deref(), Some("102-G36206-00"));
    assert_eq!(identity.cpus.as_deref(), Some("0-47,96-143"));

    let reading = &device.reading;
    assert_eq!(reading.utilisation_percent, Some(87.0));
    assert_eq!(reading.memory_busy_percent, Some(43.0));
    assert_eq!(reading.memory.memory_total_bytes, Some(206_158_430_208));
    assert_eq!(reading.memory.memory_free_bytes, Some(103_079_215_104));
    assert_eq!(reading.memory.shared_used_bytes, Some(33_554_432));
    assert_eq!(reading.power.power_watts, Some(540.0));
    assert_eq!(reading.power.limit_watts, Some(750.0));
    assert_eq!(reading.power.limit_default_watts, Some(740.0));
    assert_eq!(reading.power.limit_min_watts, Some(0.0));
    assert_eq!(reading.power.limit_max_watts, Some(760.0));
    assert_eq!(reading.power.voltage_volts, Some(0.812));
    assert_eq!(reading.video_percent, Some(17.0));
    assert_eq!(reading.thermal.memory_celsius, Some(61.0));
    assert_eq!(reading.thermal.memory_max_celsius, Some(105.0));
    assert_eq!(reading.clocks.video_mhz, Some(29));
    assert_eq!(reading.clocks.video_max_mhz, Some(1750));
    assert_eq!(reading.thermal.chip_celsius, Some(55.0));
    assert_eq!(reading.thermal.hotspot_celsius, Some(68.0));
    assert_eq!(reading.thermal.slowdown_celsius, Some(100.0));
    assert_eq!(reading.clocks.core_mhz, Some(2100));
    assert_eq!(reading.clocks.memory_max_mhz, Some(1300));
    assert_eq!(reading.pcie.generation, Some(5));
    assert_eq!(reading.pcie.lanes, Some(16));
    assert_eq!(reading.pcie.replays, Some(4));
    assert_eq!(reading.faults.corrected, Some(13));
    assert_eq!(reading.faults.uncorrected, Some(0));
    assert_eq!(reading.faults.retired, Some(2));
    assert_eq!(reading.faults.retirement_pending, Some(false));
    assert_eq!(device.verdict, Verdict::Healthy);
}

#[test]
fn nonsense_is_not_told_and_spoils_nothing_else() {
    let (_root, places) = machine(&[(0, BROKEN), (12, WHOLE)]);
    let snapshot = Telemetry::detect(&places).sample(Instant::now());
    assert_eq!(snapshot.devices.len(), 2);
    let device = &snapshot.devices[0];
    assert_eq!(device.identity.id, DeviceId("0000:c3:00.0".into()));
    assert_eq!(device.identity.name, None);
    assert_eq!(device.identity.uuid, None);
    assert_eq!(device.identity.numa_node, None);
    let reading = &device.reading;
    assert_eq!(reading.utilisation_percent, None);
    assert_eq!(reading.memory.memory_total_bytes, Some(17_163_091_968));
    assert_eq!(reading.memory.memory_free_bytes, None);
    assert_eq!(reading.memory.shared_total_bytes, None);
    assert_eq!(reading.video_percent, None);
    assert_eq!(reading.power, Default::default());
    assert_eq!(reading.thermal, Default::default());
    assert_eq!(reading.clocks, Default::default());
    assert_eq!(reading.pcie, Default::default());
    assert_eq!(reading.faults, Default::default());
    assert_eq!(device.verdict, Verdict::Healthy);
    assert_eq!(snapshot.devices[1].identity.index, 1);
    assert_eq!(snapshot.devices[1].reading.utilisation_percent, Some(87.0));
}

#[test]
fn only_cards_of_the_amdgpu_driver_count() {
    let other: &[File] = &[("vendor", b"0x10de"), ("uevent", b"DRIVER=nouveau")];
    let old: &[File] = &[("vendor", b"0x1002"), ("uevent", b"DRIVER=radeon")];
    let bound_elsewhere: &[File] = &[("vendor", b"0x1002"), ("uevent", b"DRIVER=vfio-pci")];
    let (_root, places) = machine(&[(0, other), (1, old), (2, bound_elsewhere)]);
    fs::create_dir_all(places.sysfs.join("class/drm/card1-DP-1")).unwrap();
    fs::create_dir_all(places.sysfs.join("class/drm/renderD128/device")).unwrap();
    // The library is there, but must not be started, since it would print: see `host`.
    fake::compile("rocm_smi.c", &["INIT=8"], &places.rocm_smi[0]);
    let snapshot = Telemetry::detect(&places).sample(Instant::now());
    assert!(snapshot.devices.is_empty());
    for kind in [SourceKind::AmdgpuSysfs, SourceKind::RocmSmi] {
        assert!(matches!(
            fake::state(&snapshot, kind),
            SourceState::Absent(_)
        ));
    }
}

#[test]
fn faults_are_told() {
    fn check(path: &str, content: &[u8], expect: Fault) {
        let (_root, places) = machine(&[(0, WHOLE)]);
        write(&places.sysfs.join("devices/pci0").join(path), content);
        let device = only_device(&places);
        assert_eq!(device.verdict, Verdict::Degraded(vec![expect]), "{path}");
    }
    check(
        "ras/gfx_err_count",
        b"ue: 3\nce: 0\n",
        Fault::UncorrectedErrors { count: 3 },
    );
    check(
        "ras/gpu_vram_bad_pages",
        b"0x1 : 0x1000 : P\n",
        Fault::RetirementPending,
    );
    check(
        "ras/gpu_vram_bad_pages",
        b"0x1 : 0x1000 : F\n",
        Fault::RetirementFailed,
    );
    let mut hot = vec![0; 120];
    hot[..4].copy_from_slice(&[120, 0, 1, 3]);
    hot[116] = 1 << 4; // SMU_THROTTLER_TEMP_HOTSPOT_BIT
    check("gpu_metrics", &hot, Fault::Heat);
}

#[test]
fn a_card_that_goes_is_lost_and_may_come_back() {
    let (_root, places) = machine(&[(0, WHOLE)]);
    let device = places.sysfs.join("devices/pci0");
    let away = places.sysfs.join("away");
    let mut telemetry = Telemetry::detect(&places);
    let start = Instant::now();
    let mut verdict = |s| {
        telemetry
            .sample(start + Duration::from_secs(s))
            .devices
            .remove(0)
            .verdict
    };
    assert_eq!(verdict(0), Verdict::Healthy);
    fs::rename(&device, &away).unwrap();
    assert!(matches!(verdict(1), Verdict::Lost(_)));
    fs::rename(&away, &device).unwrap();
    // Loading the driver anew gives the sensors another folder.
    let hwmon = device.join("hwmon");
    fs::rename(hwmon.join("hwmon5"), hwmon.join("hwmon6")).unwrap();
    let back = telemetry
        .sample(start + Duration::from_secs(2))
        .devices
        .remove(0);
    assert_eq!(back.verdict, Verdict::Healthy);
    assert_eq!(back.reading.power.power_watts, Some(540.0));
    let mut verdict = |s| {
        telemetry
            .sample(start + Duration::from_secs(s))
            .devices
            .remove(0)
            .verdict
    };
    write(&device.join("config"), &[0xff; 64]);
    let reason = "the device does not answer on the PCI bus";
    assert_eq!(verdict(3), Verdict::Lost(reason.into()));
}

#[test]
fn a_sleeping_card_is_left_asleep() {
    let (_root, places) = machine(&[(0, WHOLE)]);
    write(
        &places.sysfs.join("devices/pci0/power/runtime_status"),
        b"suspended\n",
    );
    fake::compile("rocm_smi.c", &[], &places.rocm_smi[0]);
    let device = only_device(&places);
    assert_eq!(
        device.reading.memory.memory_total_bytes,
        Some(206_158_430_208)
    );
    assert_eq!(device.reading.utilisation_percent, None);
    assert_eq!(device.reading.power, Default::default());
    assert_eq!(device.reading.thermal, Default::default());
    assert_eq!(device.verdict, Verdict::Healthy);
}

#[test]
fn the_library_fills_in_what_the_files_lack() {
    let few: Vec<_> = WHOLE
        .iter()
        .filter(|(path, _)| {
            let lacking = ["ras", "hwmon", "pcie_replay_count", "vbios", "numa_node"];
            !lacking.iter().any(|lacking| path.starts_with(lacking))
        })
        .copied()
        .collect();
    let (_root, places) = machine(&[(0, &few)]);
    fake::compile("rocm_smi.c", &[], &places.rocm_smi[0]);
    let mut telemetry = Telemetry::detect(&places);
    let start = Instant::now();
    let mut snapshot = telemetry.sample(start);
    for second in 1..4 {
        snapshot = telemetry.sample(start + Duration::from_secs(second));
    }
    let present = SourceState::Present(Some("7.8.0".into()));
    assert_eq!(*fake::state(&snapshot, SourceKind::RocmSmi), present);
    let device = &snapshot.devices[0];
    let identity = &device.identity;
    assert_eq!(identity.name.as_deref(), Some("AMD Instinct MI300X"));
    assert_eq!(identity.serial.as_deref(), Some("692251000123"));
    assert_eq!(identity.vbios_version.as_deref(), Some("113-LIBRARY-001"));
    assert_eq!(identity.numa_node, Some(7));
    let reading = &device.reading;
    // The files' word counts where they have one.
    assert_eq!(reading.utilisation_percent, Some(87.0));
    let power = &reading.power;
    assert_eq!(power.power_watts, Some(99.0));
    assert_eq!(power.limit_default_watts, Some(98.0));
    assert_eq!(power.limit_min_watts, Some(10.0));
    assert_eq!(power.limit_max_watts, Some(97.0));
    assert_eq!(power.voltage_volts, Some(0.905));
    let thermal = &reading.thermal;
    assert_eq!(thermal.chip_celsius, Some(51.0));
    assert_eq!(thermal.hotspot_celsius, Some(52.0));
    assert_eq!(thermal.memory_celsius, None);
    assert_eq!(thermal.memory_max_celsius, Some(73.0));
    assert_eq!(thermal.slowdown_celsius, Some(71.0));
    assert_eq!(thermal.shutdown_celsius, Some(81.0));
    assert_eq!(thermal.fan_rpm, Some(2_345));
    assert_eq!(reading.pcie.replays, Some(6));
    assert_eq!(reading.faults.corrected, Some(5));
    assert_eq!(
        device.verdict,
        Verdict::Degraded(vec![Fault::UncorrectedErrors { count: 6 }])
    );
}

#[test]
fn what_the_library_refuses_is_not_asked_again_for_a_while() {
    let few: Vec<_> = WHOLE
        .iter()
        .filter(|(path, _)| !path.starts_with("hwmon"))
        .copied()
        .collect();
    let (_root, places) = machine(&[(0, &few)]);
    fake::compile("rocm_smi.c", &[], &places.rocm_smi[0]);
    let mut telemetry = Telemetry::detect(&places);
    let start = Instant::now();
    // The stand-in's energy: how often it refused, and was busy.
    let mut asked_at = |s| {
        let device = telemetry
            .sample(start + Duration::from_secs(s))
            .devices
            .remove(0);
        device.reading.power.energy_joules
    };
    // The limit, for which it is busy, was asked for at each sample before the energy was.
    assert_eq!(asked_at(0), Some(1_000.0));
    assert_eq!(asked_at(1), Some(2_001.0));
    assert_eq!(asked_at(599), Some(3_001.0));
    assert_eq!(asked_at(600), Some(4_001.0));
    assert_eq!(asked_at(601), Some(5_002.0));
}

#[test]
fn a_library_that_does_not_start_is_absent_and_the_files_still_count() {
    let (_root, places) = machine(&[(0, WHOLE)]);
    fake::compile("rocm_smi.c", &["INIT=8"], &places.rocm_smi[0]);
    let snapshot = Telemetry::detect(&places).sample(Instant::now());
    let absent = SourceState::Absent("`librocm_smi64` did not start: status 8".into());
    assert_eq!(*fake::state(&snapshot, SourceKind::RocmSmi), absent);
    assert_eq!(snapshot.devices[0].reading.utilisation_percent, Some(87.0));
}

#[test]
fn other_reasons_to_slow_down_are_told_without_alarm() {
    let (_root, places) = machine(&[(0, WHOLE)]);
    let mut table = vec![0; 120];
    table[..4].copy_from_slice(&[120, 0, 1, 3]);
    table[112] = 1; // SMU_THROTTLER_PPT0_BIT
    write(&places.sysfs.join("devices/pci0/gpu_metrics"), &table);
    let device = only_device(&places);
    assert_eq!(
        device.reading.clocks.throttles,
        Some(vec![Throttle::PowerLimit])
    );
    assert_eq!(device.verdict, Verdict::Healthy);
}
