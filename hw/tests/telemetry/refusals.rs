//! Each function of NVIDIA's library failing alone: which figures that costs, and for how long.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use skep_hw::telemetry::{Snapshot, Telemetry, Verdict};
use tempfile::TempDir;

use crate::fake;
use crate::nvidia::{detect, library};

const TIMEOUT: i32 = 10;
const NOT_SUPPORTED: i32 = 3;
const GPU_IS_LOST: i32 = 15;

/// A function, and the figures that are not told without it.
type Row = (&'static str, &'static [&'static str]);

/// Asked at every sample.
const FAST: &[Row] = &[
    (
        "nvmlDeviceGetUtilizationRates",
        &["/utilisation_percent", "/memory_busy_percent"],
    ),
    ("nvmlDeviceGetEncoderUtilization", &["/encoder_percent"]),
    ("nvmlDeviceGetDecoderUtilization", &["/decoder_percent"]),
    ("nvmlDeviceGetJpgUtilization", &["/jpeg_percent"]),
    ("nvmlDeviceGetOfaUtilization", &["/optical_flow_percent"]),
    ("nvmlGpmSampleGet", &["/activity/*"]),
    ("nvmlGpmMetricsGet", &["/activity/*"]),
    (
        "nvmlDeviceGetMemoryInfo_v2",
        &[
            "/memory/memory_total_bytes",
            "/memory/memory_used_bytes",
            "/memory/memory_free_bytes",
            "/memory/memory_reserved_bytes",
        ],
    ),
    (
        "nvmlDeviceGetBAR1MemoryInfo",
        &["/memory/window_total_bytes", "/memory/window_used_bytes"],
    ),
    ("nvmlDeviceGetPowerUsage", &["/power/power_watts"]),
    ("nvmlDeviceGetEnforcedPowerLimit", &["/power/limit_watts"]),
    (
        "nvmlDeviceGetPowerManagementLimit",
        &["/power/limit_set_watts"],
    ),
    (
        "nvmlDeviceGetPowerManagementDefaultLimit",
        &["/power/limit_default_watts"],
    ),
    (
        "nvmlDeviceGetPowerManagementLimitConstraints",
        &["/power/limit_min_watts", "/power/limit_max_watts"],
    ),
    (
        "nvmlDeviceGetTotalEnergyConsumption",
        &["/power/energy_joules"],
    ),
    ("nvmlDeviceGetTemperature", &["/thermal/chip_celsius"]),
    (
        "nvmlDeviceGetClockInfo",
        &[
            "/clocks/core_mhz",
            "/clocks/graphics_mhz",
            "/clocks/video_mhz",
            "/clocks/memory_mhz",
        ],
    ),
    (
        "nvmlDeviceGetPerformanceState",
        &["/clocks/performance_state"],
    ),
    (
        "nvmlDeviceGetCurrentClocksThrottleReasons",
        &["/clocks/throttles/*"],
    ),
    ("nvmlDeviceGetViolationStatus", &["/held_back/*"]),
    ("nvmlDeviceGetCurrPcieLinkGeneration", &["/pcie/generation"]),
    ("nvmlDeviceGetCurrPcieLinkWidth", &["/pcie/lanes"]),
    ("nvmlDeviceGetPcieReplayCounter", &["/pcie/replays"]),
];

/// Asked every ten seconds.
const SLOW: &[Row] = &[
    (
        "nvmlDeviceGetPcieThroughput",
        &["/pcie/received_bytes_per_s", "/pcie/sent_bytes_per_s"],
    ),
    ("nvmlDeviceGetNvLinkState", &["/links/*"]),
    (
        "nvmlDeviceGetNvLinkVersion",
        &["/links/links/0/generation", "/links/links/1/generation"],
    ),
    (
        "nvmlDeviceGetNvLinkErrorCounter",
        &[
            "/links/links/0/replays",
            "/links/links/0/recoveries",
            "/links/links/0/crc_*",
            "/links/links/1/replays",
            "/links/links/1/recoveries",
            "/links/links/1/crc_*",
            "/links/links/2/replays",
            "/links/links/2/recoveries",
            "/links/links/2/crc_*",
        ],
    ),
    ("nvmlDeviceGetEccMode", &["/faults/ecc_*"]),
    (
        "nvmlDeviceGetTotalEccErrors",
        &[
            "/faults/corrected",
            "/faults/uncorrected",
            "/faults/corrected_lifetime",
            "/faults/uncorrected_lifetime",
        ],
    ),
    ("nvmlDeviceGetComputeMode", &["/modes/compute"]),
    ("nvmlDeviceGetPersistenceMode", &["/modes/persistence"]),
    ("nvmlSystemGetConfComputeState", &["/modes/confidential*"]),
    ("nvmlDeviceGetMigMode", &["/modes/partitioned*"]),
    (
        "nvmlDeviceGetAccountingMode",
        &["/modes/accounting", "/processes/0/accounted/*"],
    ),
    (
        "nvmlDeviceGetAccountingStats",
        &["/processes/0/accounted/*"],
    ),
    (
        "nvmlDeviceGetProcessUtilization",
        &[
            "/processes/0/utilisation_percent",
            "/processes/0/memory_busy_percent",
            "/processes/0/encoder_percent",
            "/processes/0/decoder_percent",
            "/processes/1/utilisation_percent",
            "/processes/1/memory_busy_percent",
            "/processes/1/encoder_percent",
        ],
    ),
];

/// Asked both ways: for the memory's temperature, for links and for rows.
const FIELDS: Row = (
    "nvmlDeviceGetFieldValues",
    &[
        "/thermal/memory_celsius",
        "/links/received_bytes",
        "/links/sent_bytes",
        "/links/links/0/received_bytes",
        "/links/links/0/sent_bytes",
        "/links/links/1/received_bytes",
        "/links/links/1/sent_bytes",
        "/faults/retired",
        "/faults/retirement_pending",
        "/faults/retirement_failed",
    ],
);

/// Asked when the first sample is taken, and when there is none.
const GPM_START: &[Row] = &[
    ("nvmlGpmQueryDeviceSupport", &["/activity/*"]),
    ("nvmlGpmSampleAlloc", &["/activity/*"]),
];

fn all() -> impl Iterator<Item = Row> {
    FAST.iter()
        .chain(SLOW)
        .chain(GPM_START)
        .copied()
        .chain([FIELDS])
}

/// A device that is looked at as the seconds go.
struct Watched {
    // Goes before the folder in which the library writes its calls down.
    telemetry: Telemetry,
    root: TempDir,
    start: Instant,
}

impl Watched {
    fn new() -> Self {
        let (root, telemetry) = detect(&[]);
        Self {
            root,
            telemetry,
            start: Instant::now(),
        }
    }

    fn at(&mut self, s: u64) -> Snapshot {
        self.telemetry.sample(self.start + Duration::from_secs(s))
    }

    /// The first device's figures that are told, by their paths.
    fn figures_at(&mut self, s: u64) -> BTreeMap<String, Value> {
        let reading = serde_json::to_value(&self.at(s).devices[0].reading).unwrap();
        let mut told = BTreeMap::new();
        flatten("", &reading, &mut told);
        told
    }

    fn fail(&self, functions: &[(&str, i32)]) {
        fake::fail(&library(&self.root), functions);
    }

    fn asked(&self, function: &str) -> usize {
        [-1, 0]
            .iter()
            .map(|device| fake::calls(&library(&self.root), function, *device))
            .sum()
    }
}

fn flatten(path: &str, value: &Value, told: &mut BTreeMap<String, Value>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (name, value) in fields {
                flatten(&format!("{path}/{name}"), value, told);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                flatten(&format!("{path}/{index}"), value, told);
            }
        }
        figure => {
            told.insert(path.to_owned(), figure.clone());
        }
    }
}

/// `whole` without what `gone` names; a star stands for any ending.
fn without(whole: &BTreeMap<String, Value>, gone: &[&str]) -> BTreeMap<String, Value> {
    let is_gone = |path: &str| {
        gone.iter().any(|gone| match gone.strip_suffix('*') {
            Some(beginning) => path.starts_with(beginning),
            None => path == *gone,
        })
    };
    let mut left = whole.clone();
    left.retain(|path, _| !is_gone(path));
    left
}

#[test]
fn what_is_refused_costs_its_figures_alone_and_is_not_asked_again_for_a_while() {
    let whole = {
        let mut watched = Watched::new();
        watched.at(0);
        watched.figures_at(10)
    };
    for (function, gone) in all() {
        let expect = without(&whole, gone);
        assert!(expect.len() < whole.len(), "{function}");
        let mut watched = Watched::new();
        watched.fail(&[(function, NOT_SUPPORTED)]);
        watched.at(0);
        let first = watched.figures_at(10);
        assert_eq!(first, expect, "{function}");
        let asked = watched.asked(function);
        assert!(asked > 0, "{function}");
        watched.at(20);
        watched.at(599);
        assert_eq!(watched.asked(function), asked, "{function}");
        // By then somebody may have changed what made it refuse.
        watched.fail(&[]);
        watched.at(600);
        watched.at(610);
        assert!(watched.asked(function) > asked, "{function}");
        let mut last = watched.figures_at(620);
        // Ten seconds later than the others: nobody used the device since.
        let mut expect = without(
            &whole,
            &["/processes/0/", "/processes/1/", "/activity/interval_ms"],
        );
        last.retain(|path, _| expect.contains_key(path));
        expect.retain(|path, _| !path.starts_with("/processes"));
        last.retain(|path, _| !path.starts_with("/processes"));
        assert_eq!(last, expect, "{function}");
    }
}

#[test]
fn what_does_not_work_once_is_asked_again() {
    for (function, gone) in all() {
        let mut watched = Watched::new();
        watched.at(0);
        let whole = watched.figures_at(10);
        watched.fail(&[(function, TIMEOUT)]);
        let during = watched.figures_at(20);
        // The samples of GPM were taken once, and only later ones fail.
        if !GPM_START.iter().any(|(start, _)| *start == function) {
            assert_eq!(during, without(&whole, gone), "{function}");
        }
        watched.fail(&[]);
        watched.at(30);
        let after = watched.figures_at(40);
        let lacking: Vec<_> = whole
            .keys()
            .filter(|path| !after.contains_key(*path))
            // Nobody used the device for the last of these samples.
            .filter(|path| !(path.starts_with("/processes") && path.ends_with("_percent")))
            .collect();
        assert!(lacking.is_empty(), "{function}: {lacking:?}");
    }
}

#[test]
fn a_card_that_is_lost_at_any_call_is_lost_whole() {
    for (function, _) in all() {
        // These are called once.
        if function == "nvmlGpmSampleAlloc" || function == "nvmlGpmQueryDeviceSupport" {
            continue;
        }
        let mut watched = Watched::new();
        watched.at(0);
        watched.fail(&[(function, GPU_IS_LOST)]);
        let snapshot = watched.at(10);
        let card = &snapshot.devices[0];
        assert!(matches!(card.verdict, Verdict::Lost(_)), "{function}");
        let lost = card.reading.lost.clone();
        assert!(lost.is_some(), "{function}");
        let nothing = skep_hw::telemetry::Reading {
            lost,
            ..Default::default()
        };
        assert_eq!(card.reading, nothing, "{function}");
        // What the machine is asked fails for both.
        if function != "nvmlSystemGetConfComputeState" {
            assert_eq!(snapshot.devices[1].verdict, Verdict::Healthy, "{function}");
        }
        // It is asked nothing more once it is known to be gone, and is whole when it is back.
        watched.fail(&[]);
        let back = watched.at(11);
        assert_eq!(back.devices[0].verdict, Verdict::Healthy, "{function}");
        assert_eq!(back.devices[0].reading.utilisation_percent, Some(97.0));
    }
}

#[test]
fn the_lists_of_processes_fail_one_by_one() {
    let pids = |watched: &mut Watched| -> Option<(usize, u32)> {
        let reading = watched.at(0).devices.remove(0).reading;
        let processes = reading.processes?;
        Some((processes.len(), processes.first()?.pid))
    };
    let compute = ("nvmlDeviceGetComputeRunningProcesses_v3", NOT_SUPPORTED);
    let graphics = ("nvmlDeviceGetGraphicsRunningProcesses_v3", NOT_SUPPORTED);
    for (failing, expect) in [
        (&[][..], Some((100, 1001))),
        (&[compute][..], Some((100, 1001))),
        (&[graphics], Some((1, 1001))),
        (&[compute, graphics], None),
    ] {
        let mut watched = Watched::new();
        watched.fail(failing);
        assert_eq!(pids(&mut watched), expect, "{failing:?}");
    }
}

#[test]
fn samples_of_what_units_do_are_given_back() {
    let mut watched = Watched::new();
    for s in 0..20 {
        watched.at(s);
    }
    assert_eq!(watched.asked("nvmlGpmSampleAlloc"), 2);
    assert_eq!(watched.asked("nvmlGpmSampleFree"), 0);
    watched.fail(&[("nvmlGpmSampleGet", TIMEOUT)]);
    watched.at(20);
    assert_eq!(watched.asked("nvmlGpmSampleFree"), 2);
    watched.fail(&[]);
    watched.at(21);
    let Watched {
        root, telemetry, ..
    } = watched;
    drop(telemetry);
    assert_eq!(fake::calls(&library(&root), "nvmlGpmSampleAlloc", -1), 4);
    assert_eq!(fake::calls(&library(&root), "nvmlGpmSampleFree", -1), 4);
}

#[test]
fn functions_that_the_library_lacks_cost_their_figures_alone() {
    // All of them at once: what is left is an old driver.
    let lists = [
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetGraphicsRunningProcesses_v3",
        "nvmlDeviceGetRetiredPages",
        "nvmlDeviceGetRetiredPagesPendingStatus",
        "nvmlDeviceGetBoardPartNumber",
        "nvmlDeviceGetGspFirmwareVersion",
        "nvmlDeviceGetCpuAffinity",
        "nvmlDeviceGetPciInfo_v3",
        "nvmlDeviceGetUUID",
        "nvmlDeviceGetNumaNodeId",
    ];
    let functions = all().map(|(function, _)| function).chain(lists);
    let defines: Vec<String> = functions
        .map(|name| format!("{name}={name}_gone"))
        .collect();
    let defines: Vec<&str> = defines.iter().map(String::as_str).collect();
    let (_root, mut telemetry) = detect(&defines);
    let start = Instant::now();
    telemetry.sample(start);
    let card = telemetry
        .sample(start + Duration::from_secs(10))
        .devices
        .remove(0);
    assert_eq!(card.verdict, Verdict::Healthy);
    assert_eq!(card.identity.id.0, "nvidia-0");
    assert_eq!(card.identity.name.as_deref(), Some("NVIDIA H100 80GB HBM3"));
    let mut told = BTreeMap::new();
    let reading = serde_json::to_value(&card.reading).unwrap();
    flatten("", &reading, &mut told);
    let told: Vec<&str> = told.keys().map(String::as_str).collect();
    let limits = [
        "/clocks/core_max_mhz",
        "/clocks/graphics_max_mhz",
        "/clocks/memory_max_mhz",
        "/clocks/video_max_mhz",
        "/pcie/generation_max",
        "/pcie/lanes_max",
        "/thermal/chip_max_celsius",
        "/thermal/memory_max_celsius",
        "/thermal/shutdown_celsius",
        "/thermal/slowdown_celsius",
    ];
    assert_eq!(told, limits);

    // Without the way to give samples back, none are taken.
    let (_root, mut telemetry) = detect(&["nvmlGpmSampleFree=gone"]);
    telemetry.sample(start);
    let second = telemetry.sample(start + Duration::from_secs(10));
    assert_eq!(second.devices[0].reading.activity, None);
}
