//! The host, as it is.

use std::process::Command;
use std::time::Instant;

use skep_hw::telemetry::{Places, Snapshot, SourceKind, SourceState, Telemetry};

use crate::fake;

#[test]
fn this_machine_is_read() {
    let root = tempfile::tempdir().unwrap();
    let mut places = fake::nowhere(&root);
    places.sysfs = "/sys".into();
    let gone = root.path().join("not-there");
    places.disks = vec![root.path().into(), gone];
    let mut telemetry = Telemetry::detect(&places);
    let first = telemetry.sample(Instant::now());
    let host = &first.host;
    assert_eq!(host.architecture, std::env::consts::ARCH);
    assert!(host.kernel.as_ref().is_some_and(|k| !k.is_empty()));
    assert!(host.uptime_s.is_some_and(|s| s > 0));
    let logical = host.cpu.cores_logical.unwrap();
    assert!(
        host.cpu
            .cores_allowed
            .is_some_and(|n| (1..=logical).contains(&n))
    );
    assert!(
        host.cpu
            .cores_usable
            .is_some_and(|n| (1..=logical).contains(&n))
    );
    assert_eq!(host.cpu.utilisation_percent, None);
    let memory = &host.memory;
    assert!(memory.total_bytes.is_some_and(|b| b > 100 << 20));
    assert!(memory.available_bytes <= memory.total_bytes);
    assert!(memory.usable_bytes.is_some() && memory.usable_bytes <= memory.available_bytes);
    assert!(memory.own_resident_bytes.is_some_and(|b| b > 500_000));
    assert_eq!(host.disks.len(), 2);
    assert!(host.disks[0].total_bytes.is_some_and(|b| b > 0));
    assert!(host.disks[0].available_bytes <= host.disks[0].total_bytes);
    assert_eq!(host.disks[1].total_bytes, None);

    // A child that burns processor time until a sample has seen it.
    let mut child = Command::new("sh")
        .args(["-c", "while :; do :; done"])
        .spawn()
        .unwrap();
    let deadline = Instant::now() + std::time::Duration::from_secs(30);
    let seen = loop {
        let now = Instant::now();
        let busy = telemetry.sample(now).host.cpu.utilisation_percent;
        if busy.is_some_and(|b| b > 5.0) || now > deadline {
            break busy;
        }
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(seen.is_some_and(|b| b > 5.0 && b <= 100.0), "{seen:?}");
}

#[test]
fn a_snapshot_survives_being_written_down() {
    let root = tempfile::tempdir().unwrap();
    let places = fake::nowhere(&root);
    fake::compile("nvml.c", &["UNCORRECTED=1"], &places.nvml[0]);
    let snapshot = Telemetry::detect(&places).sample(Instant::now());
    let text = serde_json::to_string(&snapshot).unwrap();
    assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap(), snapshot);
}

#[test]
fn absent_sources_are_facts() {
    let root = tempfile::tempdir().unwrap();
    let snapshot = Telemetry::detect(&fake::nowhere(&root)).sample(Instant::now());
    assert!(snapshot.devices.is_empty());
    assert_eq!(snapshot.sources.len(), 3);
    for source in &snapshot.sources {
        let SourceState::Absent(reason) = &source.state else {
            panic!("{source:?}")
        };
        assert!(!reason.is_empty());
    }
    let kinds: Vec<_> = snapshot.sources.iter().map(|s| s.kind).collect();
    assert_eq!(
        kinds,
        [
            SourceKind::Nvml,
            SourceKind::AmdgpuSysfs,
            SourceKind::RocmSmi
        ]
    );
    assert!(
        Places::default()
            .nvml
            .iter()
            .all(|p| !p.as_os_str().is_empty())
    );
}

#[test]
fn nothing_is_printed_where_nothing_is_found() {
    // What a C library prints goes past the test harness, so the tests above run in a child.
    let quiet = [
        "amd::only_cards_of_the_amdgpu_driver_count",
        "host::absent_sources_are_facts",
    ];
    let output = Command::new(std::env::current_exe().unwrap())
        .args(quiet)
        .args(["--exact", "--nocapture"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("2 passed"), "{told}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
