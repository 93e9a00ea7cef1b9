//! NVIDIA devices through a stand-in for their library.

use std::fs;
use std::time::{Duration, Instant};

use skep_hw::telemetry::{
    DeviceId, Fault, Process, ProcessKind, SourceKind, SourceState, Telemetry, Throttle, Vendor,
    Verdict,
};
use tempfile::TempDir;

use crate::fake;

fn detect(defines: &[&str]) -> (TempDir, Telemetry) {
    let root = tempfile::tempdir().unwrap();
    let places = fake::nowhere(&root);
    fake::compile("nvml.c", defines, &places.nvml[0]);
    let pci = places.sysfs.join("bus/pci/devices/0000:3b:00.0");
    fs::create_dir_all(&pci).unwrap();
    fs::write(pci.join("numa_node"), "1\n").unwrap();
    let telemetry = Telemetry::detect(&places);
    (root, telemetry)
}

#[test]
fn a_data_centre_card_is_read_whole() {
    let (_root, mut telemetry) = detect(&[]);
    let snapshot = telemetry.sample(Instant::now());
    let present = SourceState::Present(Some("13.580.95.05".into()));
    assert_eq!(*fake::state(&snapshot, SourceKind::Nvml), present);
    assert_eq!(snapshot.devices.len(), 2);

    let card = &snapshot.devices[0];
    let identity = &card.identity;
    assert_eq!(
        identity.id,
        DeviceId("GPU-0aa1b2c3-0000-1111-2222-333344445555".into())
    );
    assert_eq!(identity.vendor, Vendor::Nvidia);
    assert_eq!(identity.name.as_deref(), Some("NVIDIA H100 80GB HBM3"));
    assert_eq!(identity.pci_bus_id.as_deref(), Some("0000:3b:00.0"));
    assert_eq!(identity.serial.as_deref(), Some("1652823004711"));
    assert_eq!(identity.driver_version.as_deref(), Some("580.95.05"));
    assert_eq!(identity.cuda_version.as_deref(), Some("13.0"));
    assert_eq!(identity.compute_capability, Some((9, 0)));
    assert_eq!(identity.architecture.as_deref(), Some("Hopper"));
    assert_eq!(identity.cores, Some(16896));
    assert_eq!(identity.memory_bus_bits, Some(5120));
    assert_eq!(identity.numa_node, Some(1));

    let reading = &card.reading;
    assert_eq!(reading.utilisation_percent, Some(97.0));
    assert_eq!(reading.memory_busy_percent, Some(61.0));
    assert_eq!(reading.encoder_percent, None);
    let memory = &reading.memory;
    assert_eq!(memory.memory_total_bytes, Some(85_520_809_984));
    assert_eq!(memory.memory_used_bytes, Some((40 << 30) + (500 << 20)));
    assert_eq!(
        memory.memory_free_bytes,
        Some(85_520_809_984 - (40 << 30) - (500 << 20))
    );
    assert_eq!(memory.window_used_bytes, Some(4 << 20));
    assert_eq!(reading.power.power_watts, Some(683.214));
    assert_eq!(reading.power.limit_watts, Some(700.0));
    assert_eq!(reading.power.energy_joules, Some(9_876_543.21));
    assert_eq!(reading.thermal.chip_celsius, Some(64.0));
    assert_eq!(reading.thermal.memory_celsius, Some(77.0));
    assert_eq!(reading.thermal.shutdown_celsius, Some(95.0));
    assert_eq!(reading.thermal.fan_percent, None);
    assert_eq!(reading.clocks.core_mhz, Some(1755));
    assert_eq!(reading.clocks.memory_max_mhz, Some(2619));
    assert_eq!(reading.clocks.performance_state, Some(0));
    assert_eq!(reading.clocks.throttles, Some(vec![Throttle::PowerLimit]));
    assert_eq!(reading.pcie.generation, Some(5));
    assert_eq!(reading.pcie.lanes_max, Some(16));
    assert_eq!(reading.pcie.received_bytes_per_s, Some(52_000_000));
    assert_eq!(reading.pcie.sent_bytes_per_s, Some(1_200_000));
    assert_eq!(reading.pcie.replays, Some(3));
    assert_eq!(reading.faults.ecc_enabled, Some(true));
    assert_eq!(reading.faults.corrected, Some(7));
    assert_eq!(reading.faults.corrected_lifetime, Some(8));
    assert_eq!(reading.faults.uncorrected, Some(0));
    assert_eq!(reading.faults.retired, Some(2));
    assert_eq!(reading.faults.retirement_pending, Some(false));
    let only = Process {
        pid: 1001,
        memory_bytes: Some(39 << 30),
        kind: ProcessKind::Compute,
    };
    assert_eq!(reading.processes, Some(vec![only]));
    assert_eq!(card.verdict, Verdict::Healthy);
}

#[test]
fn a_desktop_card_tells_less_and_is_not_asked_in_vain() {
    let (_root, mut telemetry) = detect(&[]);
    let start = Instant::now();
    let mut last = telemetry.sample(start);
    for second in 1..5 {
        last = telemetry.sample(start + Duration::from_secs(second));
    }
    let reading = &last.devices[1].reading;
    assert_eq!(reading.thermal.fan_percent, Some(30.0));
    assert_eq!(reading.thermal.memory_celsius, None);
    assert_eq!(reading.faults.ecc_enabled, None);
    assert_eq!(reading.faults.uncorrected, None);
    assert_eq!(reading.processes, Some(vec![]));
    assert_eq!(last.devices[1].identity.numa_node, None);
    // The stand-in's energy: the memory's temperature was asked for once, the fan four times
    // before the power of the fifth sample was read.
    assert_eq!(reading.power.energy_joules, Some(1004.0));
}

#[test]
fn processes_are_listed_every_ten_seconds_at_most() {
    let (_root, mut telemetry) = detect(&[]);
    let start = Instant::now();
    let mut pid_at = |s| {
        let snapshot = telemetry.sample(start + Duration::from_secs(s));
        snapshot.devices[0].reading.processes.as_ref().unwrap()[0].pid
    };
    assert_eq!([0, 1, 5, 9].map(&mut pid_at), [1001; 4]);
    assert_eq!([10, 11, 19].map(&mut pid_at), [1002; 3]);
    assert_eq!(pid_at(20), 1003);
}

#[test]
fn a_card_that_falls_off_the_bus_is_lost_and_the_other_is_not() {
    let (_root, mut telemetry) = detect(&["LOST_AFTER=3"]);
    let start = Instant::now();
    for second in 0..2 {
        let snapshot = telemetry.sample(start + Duration::from_secs(second));
        assert_eq!(snapshot.devices[0].verdict, Verdict::Healthy);
    }
    // It goes in the middle of the third sample; half a reading must not be told.
    for second in 2..4 {
        let snapshot = telemetry.sample(start + Duration::from_secs(second));
        let card = &snapshot.devices[0];
        assert!(
            matches!(card.verdict, Verdict::Lost(_)),
            "{:?}",
            card.verdict
        );
        assert_eq!(card.identity.name.as_deref(), Some("NVIDIA H100 80GB HBM3"));
        assert_eq!(card.reading.memory.memory_total_bytes, None);
        assert_eq!(card.reading.processes, None);
        assert_eq!(snapshot.devices[1].verdict, Verdict::Healthy);
    }
}

#[test]
fn a_card_that_was_lost_from_the_start_is_known_once_it_answers() {
    let (_root, mut telemetry) = detect(&["LOST_FIRST=2"]);
    let start = Instant::now();
    for second in 0..2 {
        let card = telemetry
            .sample(start + Duration::from_secs(second))
            .devices
            .remove(0);
        assert!(
            matches!(card.verdict, Verdict::Lost(_)),
            "{:?}",
            card.verdict
        );
        assert_eq!(card.identity.id, DeviceId("nvidia-0".into()));
    }
    let card = telemetry
        .sample(start + Duration::from_secs(2))
        .devices
        .remove(0);
    assert_eq!(card.verdict, Verdict::Healthy);
    assert_eq!(card.identity.name.as_deref(), Some("NVIDIA H100 80GB HBM3"));
    assert_eq!(card.reading.pcie.lanes_max, Some(16));
}

#[test]
fn faults_are_told() {
    fn check(defines: &[&str], expect: &[Fault]) {
        let (_root, mut telemetry) = detect(defines);
        let snapshot = telemetry.sample(Instant::now());
        let verdict = &snapshot.devices[0].verdict;
        assert_eq!(*verdict, Verdict::Degraded(expect.to_vec()), "{defines:?}");
    }
    check(&["THROTTLE=0x48"], &[Fault::Heat]);
    check(&["THROTTLE=0x88"], &[Fault::PowerBrake]);
    check(&["UNCORRECTED=2"], &[Fault::UncorrectedErrors { count: 2 }]);
    check(&["ROW_PENDING=1"], &[Fault::RetirementPending]);
}

#[test]
fn a_library_without_its_driver_is_absent_with_a_reason() {
    fn check(define: &str, reason: &str) {
        let (_root, mut telemetry) = detect(&[define]);
        let snapshot = telemetry.sample(Instant::now());
        assert!(snapshot.devices.is_empty());
        let absent = SourceState::Absent(reason.into());
        assert_eq!(*fake::state(&snapshot, SourceKind::Nvml), absent);
    }
    check("INIT=9", "NVIDIA driver is not loaded");
    check("INIT=18", "RM detects a driver/library version mismatch");
    check("INIT=999", "an internal driver error occurred");
}

#[test]
fn a_file_that_is_no_library_is_absent() {
    let root = tempfile::tempdir().unwrap();
    let places = fake::nowhere(&root);
    fs::write(&places.nvml[0], b"\x7fELF and then nothing").unwrap();
    let snapshot = Telemetry::detect(&places).sample(Instant::now());
    assert!(matches!(
        fake::state(&snapshot, SourceKind::Nvml),
        SourceState::Absent(_)
    ));
}
