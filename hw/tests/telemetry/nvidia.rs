//! NVIDIA devices through a stand-in for their library.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use skep_hw::telemetry::{DeviceId, Fault, SourceKind, SourceState, Telemetry, Verdict};
use tempfile::TempDir;

use crate::fake;

pub(crate) fn detect(defines: &[&str]) -> (TempDir, Telemetry) {
    let root = tempfile::tempdir().unwrap();
    let places = fake::nowhere(&root);
    fake::compile("nvml.c", defines, &places.nvml[0]);
    let pci = places.sysfs.join("bus/pci/devices/0000:3b:00.0");
    fs::create_dir_all(&pci).unwrap();
    fs::write(pci.join("numa_node"), "1\n").unwrap();
    let telemetry = Telemetry::detect(&places);
    (root, telemetry)
}

pub(crate) fn library(root: &TempDir) -> PathBuf {
    root.path().join("libnvidia-ml.so.1")
}

#[test]
fn cards_are_found_with_the_library_that_told() {
    let (_root, mut telemetry) = detect(&[]);
    let snapshot = telemetry.sample(Instant::now());
    let present = SourceState::Present(Some("13.580.95.05".into()));
    assert_eq!(*fake::state(&snapshot, SourceKind::Nvml), present);
    assert_eq!(snapshot.devices.len(), 2);
    for device in &snapshot.devices {
        assert_eq!(device.verdict, Verdict::Healthy);
    }
}

#[test]
fn a_desktop_card_tells_less_and_is_not_asked_in_vain() {
    let (root, mut telemetry) = detect(&[]);
    let start = Instant::now();
    let mut last = telemetry.sample(start);
    for second in 1..5 {
        last = telemetry.sample(start + Duration::from_secs(second));
    }
    let reading = &last.devices[1].reading;
    assert_eq!(reading.thermal.fan_percent, Some(30.0));
    assert_eq!(reading.thermal.fan_rpm, Some(1450));
    assert_eq!(reading.thermal.memory_celsius, None);
    assert_eq!(reading.faults.ecc_enabled, None);
    assert_eq!(reading.faults.uncorrected, None);
    assert_eq!(reading.faults.retired, Some(5));
    assert_eq!(reading.faults.retirement_pending, Some(false));
    assert_eq!(reading.processes, Some(vec![]));
    assert_eq!(reading.activity, None);
    assert_eq!(reading.links, None);
    assert_eq!(reading.partitions, None);
    assert_eq!(last.devices[1].identity.numa_node, None);
    let asked = |function| fake::calls(&library(&root), function, 1);
    assert_eq!(asked("nvmlDeviceGetFanSpeed_v2"), 5);
    // The memory's temperature, the number of links and the rows, once each.
    assert_eq!(asked("nvmlDeviceGetFieldValues"), 3);
    assert_eq!(asked("nvmlGpmQueryDeviceSupport"), 1);
    assert_eq!(asked("nvmlDeviceGetNvLinkState"), 18);
}

#[test]
fn what_is_costly_is_read_every_ten_seconds_at_most() {
    let (root, mut telemetry) = detect(&[]);
    let start = Instant::now();
    let mut asked_at = |s| {
        telemetry.sample(start + Duration::from_secs(s));
        let asked = |function| fake::calls(&library(&root), function, 0);
        [
            asked("nvmlDeviceGetComputeRunningProcesses_v3"),
            asked("nvmlDeviceGetPcieThroughput") / 2,
            asked("nvmlDeviceGetEccMode"),
            asked("nvmlDeviceGetComputeMode"),
        ]
    };
    assert_eq!([0, 1, 5, 9].map(&mut asked_at), [[1; 4]; 4]);
    assert_eq!([10, 11, 19].map(&mut asked_at), [[2; 4]; 3]);
    assert_eq!(asked_at(20), [3; 4]);
}

#[test]
fn links_that_go_down_or_err_are_faults_and_others_are_not() {
    fn check(define: &str, at_start: &Verdict, later: &Verdict) {
        let (_root, mut telemetry) = detect(&[define]);
        let start = Instant::now();
        let mut verdict = |s| {
            telemetry
                .sample(start + Duration::from_secs(s))
                .devices
                .remove(0)
                .verdict
        };
        assert_eq!(verdict(0), *at_start, "{define}");
        assert_eq!(verdict(10), *later, "{define}");
    }
    let healthy = Verdict::Healthy;
    let degraded = |faults: &[Fault]| Verdict::Degraded(faults.to_vec());
    check(
        "LINK_DOWN_AFTER=2",
        &healthy,
        &degraded(&[Fault::LinkDown { link: 1 }]),
    );
    // It was down all the time: as far as anybody knows, it leads nowhere.
    check("LINK_DOWN_AFTER=1", &healthy, &healthy);
    // Six counters of three links, each time each n more than the one before: 12 n in all.
    let all = [0, 1, 2].map(|link| Fault::LinkErrors { link });
    check("CRC_GROWS=84", &healthy, &degraded(&all));
    check("CRC_GROWS=83", &healthy, &healthy);
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
