//! Accelerators that go bad, seen from outside: a real agent over libraries that stand in for the
//! vendors', told by a script what to show.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use skep_tests::agent::{Agent, binary};
use skep_tests::raw;
use tempfile::TempDir;

/// An agent and what its drivers show.
pub(super) struct Rig {
    pub(super) agent: Agent,
    folder: TempDir,
}

pub(super) const FOUR: &str = "devices 4\n";

/// What is told within so long is in time.
pub(super) const IN_TIME: Duration = Duration::from_secs(3);

/// A cause is believed for five seconds after it was last seen, and what seldom changes is read each ten.
const OVER: Duration = Duration::from_secs(20);

impl Rig {
    pub(super) fn start(script: &str, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shims = binary().parent().unwrap().join("libskep_shims.so");
        assert!(shims.is_file(), "build them: cargo build -p skep-shims");
        for name in ["libnvidia-ml.so.1", "librocm_smi64.so.7"] {
            symlink(&shims, folder.path().join(name)).unwrap();
        }
        let path = |name: &str| folder.path().join(name).display().to_string();
        write(&folder, script);
        amd_card(&folder.path().join("sys"));
        let (libraries, text, sysfs) = (path(""), path("script"), path("sys"));
        let mut all = vec![
            ("LD_LIBRARY_PATH", libraries.as_str()),
            ("SKEP_SHIM_SCRIPT", text.as_str()),
            ("SKEP_TELEMETRY_SYSFS", sysfs.as_str()),
            ("SKEP_MODELS_DEFAULT", ""),
        ];
        all.extend(settings);
        let agent = Agent::start(&all).unwrap();
        Self { agent, folder }
    }

    pub(super) fn script(&self, text: &str) {
        write(&self.folder, &format!("{FOUR}{text}"));
    }

    fn get(&self, path: &str) -> String {
        let (status, body) = raw::request(self.agent.address(), "GET", path, "", "").unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    fn top(&self) -> Value {
        serde_json::from_str(&self.get("/api/v1/top")).unwrap()
    }

    /// Waits until `is_so`; how long that took.
    pub(super) fn until(
        &self,
        limit: Duration,
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Duration {
        let start = Instant::now();
        loop {
            let top = self.top();
            if is_so(&top) {
                return start.elapsed();
            }
            assert!(
                start.elapsed() < limit,
                "not within {limit:?}: {what}: {top:#}"
            );
            pause(Duration::from_millis(50));
        }
    }

    fn skep(&self, arguments: &[&str]) -> String {
        let output = Command::new(binary())
            .args(arguments)
            .env("SKEP_HOME", self.agent.home())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn pause(long: Duration) {
    // Waits for what never comes.
    let (_sender, receiver) = std::sync::mpsc::channel::<()>();
    let _ = receiver.recv_timeout(long);
}

/// In one go, so that no reader sees half a script.
fn write(folder: &TempDir, text: &str) {
    let new = folder.path().join("script.new");
    fs::write(&new, text).unwrap();
    fs::rename(new, folder.path().join("script")).unwrap();
}

/// As `/sys` shows a card that works.
fn amd_card(sysfs: &Path) {
    let device = sysfs.join("class/drm/card0/device");
    fs::create_dir_all(device.join("ras")).unwrap();
    for (name, text) in [
        ("vendor", "0x1002\n"),
        ("uevent", "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:03:00.0\n"),
        ("unique_id", "a1b2c3d4e5f60718\n"),
        ("gpu_busy_percent", "7\n"),
        ("mem_info_vram_total", "206158430208\n"),
        ("mem_info_vram_used", "1024\n"),
        ("ras/umc_err_count", "ue: 0\nce: 12\n"),
    ] {
        fs::write(device.join(name), text).unwrap();
    }
}

/// The node's devices of a kind.
pub(super) fn devices<'a>(top: &'a Value, kind: &str) -> Vec<&'a Value> {
    let all = top["nodes"][0]["devices"].as_array();
    all.into_iter()
        .flatten()
        .filter(|device| device["kind"] == kind)
        .collect()
}

/// The cause of that code, of a device in that state.
pub(super) fn cause<'a>(device: &'a Value, health: &str, code: &str) -> Option<&'a Value> {
    let causes = device["causes"].as_array()?;
    let cause = causes.iter().find(|cause| cause["code"] == code)?;
    (device["health"] == health).then_some(cause)
}

fn all_healthy(top: &Value, count: usize) -> bool {
    let cards = devices(top, "nvidia");
    cards.len() == count && cards.iter().all(|card| card["health"] == "healthy")
}

#[test]
fn every_fault_is_told_in_time_with_its_cause_and_goes_again() {
    let rig = Rig::start(FOUR, &[]);
    rig.until(IN_TIME, "four healthy cards", |top| all_healthy(top, 4));
    assert_eq!(rig.top()["nodes"][0]["health"], "healthy");

    let mut script = String::new();
    for (card, lines, health, code, evidence) in [
        (
            1,
            "1 temperature 93\n1 clock 345\n1 throttle 0x48\n",
            "degraded",
            "heat",
            "the chip is at 93 °C, slows itself from 87 °C on, and runs at 345 MHz",
        ),
        (
            2,
            "2 uncorrected 3\n",
            "degraded",
            "uncorrected_errors",
            "3 now",
        ),
        (3, "3 xid 48\n", "degraded", "xid_48", "Xid 48 at "),
        (0, "0 lost 1\n", "lost", "lost", "the driver says: "),
    ] {
        script.push_str(lines);
        rig.script(&script);
        let took = rig.until(IN_TIME, code, |top| {
            devices(top, "nvidia").get(card).is_some_and(|device| {
                cause(device, health, code)
                    .is_some_and(|cause| cause["evidence"].as_str().unwrap().contains(evidence))
            })
        });
        assert!(took < IN_TIME, "{code}: {took:?}");
        eprintln!("{code}: told after {} ms", took.as_millis());
    }
    // One card was enough for its own verdict; only all of them are the node's.
    let top = rig.top();
    assert_eq!(top["nodes"][0]["health"], "healthy", "the AMD card is well");
    for (health, figure) in [("GPU-0aa1b2c3", 2), ("GPU-1aa1b2c3", 1)] {
        let line = format!(
            "skep_device_health{{device=\"{health}-0000-1111-2222-333344445555\"}} {figure}"
        );
        assert!(
            rig.get("/metrics").contains(&line),
            "{}",
            rig.get("/metrics")
        );
    }
    let found: Value = serde_json::from_str(&rig.skep(&["doctor", "--offline", "--json"])).unwrap();
    let findings = found["findings"].as_array().unwrap().iter();
    let unwell = findings.filter(|finding| finding["code"] == "device_unwell");
    assert_eq!(unwell.count(), 4, "{found:#}");
    let logs = rig.skep(&["logs", "-n", "500"]);
    for part in ["slowed by heat", "Xid 48 at ", "does not answer any more"] {
        assert!(logs.contains(part), "`{part}` is not in: {logs}");
    }
    let picture = rig.skep(&["top", "--once"]);
    assert!(picture.contains("lost: it does not answer"), "{picture}");

    // A reset sets the counter of energy back.
    rig.script("3 energy_mj 5\n");
    rig.until(OVER, "all are well again", |top| all_healthy(top, 4));
}

#[test]
fn a_driver_that_hangs_harms_nobody_else() {
    let rig = Rig::start(FOUR, &[]);
    rig.until(IN_TIME, "four healthy cards", |top| all_healthy(top, 4));
    rig.script("2 hang_ms 10000\n");
    let began = Instant::now();
    rig.until(IN_TIME, "old readings", |top| {
        let cards = devices(top, "nvidia");
        cards
            .iter()
            .all(|card| cause(card, "degraded", "silent").is_some())
    });
    // Everybody else's readings are new, and requests are answered.
    let mut slowest = Duration::ZERO;
    while began.elapsed() < Duration::from_secs(8) {
        let asked = Instant::now();
        let top = rig.top();
        slowest = slowest.max(asked.elapsed());
        let amd = devices(&top, "amd");
        assert_eq!(amd[0]["health"], "healthy", "{top:#}");
        assert!(amd[0]["read_ms_ago"].as_u64().unwrap() < 2_500, "{top:#}");
        let ms_ago = devices(&top, "nvidia")[0]["read_ms_ago"].as_u64().unwrap();
        let hung = u64::try_from(began.elapsed().as_millis()).unwrap();
        assert!(ms_ago + 1_500 >= hung, "{ms_ago} after {hung}");
        pause(Duration::from_millis(200));
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    let left = Duration::from_secs(10).saturating_sub(began.elapsed());
    rig.until(left + OVER, "the driver answers again", |top| {
        all_healthy(top, 4)
    });
}

#[test]
fn a_card_of_amd_is_watched_too() {
    let rig = Rig::start(
        "devices 0\namd_devices 1\namd0 name AMD Instinct MI300X\n",
        &[],
    );
    rig.until(IN_TIME, "one healthy card", |top| {
        let amd = devices(top, "amd");
        amd.len() == 1 && amd[0]["health"] == "healthy" && amd[0]["name"] == "AMD Instinct MI300X"
    });
    let sysfs = rig.folder.path().join("sys");
    let errors = sysfs.join("class/drm/card0/device/ras/umc_err_count");
    fs::write(errors, "ue: 2\nce: 12\n").unwrap();
    rig.until(IN_TIME, "memory errors", |top| {
        cause(devices(top, "amd")[0], "degraded", "uncorrected_errors").is_some()
    });
    assert_eq!(rig.top()["nodes"][0]["health"], "degraded");
    fs::rename(sysfs.join("class"), sysfs.join("gone")).unwrap();
    rig.until(IN_TIME, "the card is gone", |top| {
        cause(devices(top, "amd")[0], "lost", "lost").is_some()
    });
    fs::rename(sysfs.join("gone"), sysfs.join("class")).unwrap();
    rig.until(OVER, "the card is back", |top| {
        devices(top, "amd")[0]["causes"].as_array().unwrap().len() == 1
    });
}

/// The card that models compute on is the watched one of the same number, and nothing is placed elsewhere.
#[test]
fn a_card_in_use_is_the_watched_one() {
    let rig = Rig::start(
        FOUR,
        &[
            ("SKEP_MODELS_DEFAULT", "tiny"),
            ("SKEP_NODE_DEVICE", "cuda:1"),
            ("SKEP_NODE_CUDA_LIBRARY", "/there/is/no/libcuda.so.1"),
        ],
    );
    let id = "GPU-1aa1b2c3-0000-1111-2222-333344445555";
    rig.until(Duration::from_secs(60), "its fault is told", |top| {
        let cards = devices(top, "nvidia");
        let of = |card: &Value| cause(card, "degraded", "worker_fault").is_some();
        cards.len() == 4 && cards.iter().all(|card| of(card) == (card["id"] == id))
    });
    assert_eq!(rig.top()["nodes"][0]["computes_on"], "cuda:1");
    let found = rig.skep(&["doctor", "--offline"]);
    for part in ["is degraded", "/there/is/no/libcuda.so.1", "node.device"] {
        assert!(found.contains(part), "{found}");
    }
}

/// Where models compute on the processor, whatever `models.devices` places on a card falls back to it. That has to show, and what is placed on a card has to leave it when it is lost.
#[test]
fn a_model_that_fell_back_shows_and_one_on_a_lost_card_moves() {
    let id = |card: u32| format!("GPU-{card}aa1b2c3-0000-1111-2222-333344445555");
    let allowed = format!("[\"{}\", \"{}\"]", id(0), id(1));
    let rig = Rig::start(
        FOUR,
        &[
            ("SKEP_MODELS_DEVICES", &allowed),
            ("SKEP_MODELS_DEFAULT", "tiny"),
        ],
    );
    let fell = |top: &Value| {
        let replica = &top["replicas"][0];
        replica["state"] == "ready"
            && cause(replica, "degraded", "fallback").is_some()
            && replica["devices"]
                .as_array()
                .is_some_and(|on| on.len() == 1)
    };
    // Both cards that it may be on were tried, and it stays on one of them.
    rig.until(Duration::from_secs(60), "both cards were tried", |top| {
        let cards = devices(top, "nvidia");
        let tried = |card: usize| cause(cards[card], "degraded", "fallback").is_some();
        fell(top) && tried(0) && tried(1)
    });
    pause(Duration::from_secs(2));
    rig.until(IN_TIME, "it is settled", fell);
    let before = rig.top()["replicas"][0].clone();
    let on = before["devices"][0].as_str().unwrap().to_owned();
    let card = if on == id(0) { 0 } else { 1 };
    assert!(
        rig.skep(&["top", "--once"])
            .contains("computes on the processor")
    );

    rig.script(&format!("{card} lost 1\n"));
    let other = id(1 - card);
    rig.until(Duration::from_secs(15), "it moved", |top| {
        fell(top)
            && top["replicas"][0]["devices"][0] == other.as_str()
            && top["replicas"][0]["id"] != before["id"]
    });
    let logs = rig.skep(&["logs", "-n", "500"]);
    assert!(logs.contains("a model leaves its device"), "{logs}");
    let said = rig.skep(&["run", "tiny", "-n", "4", "The borrow checker"]);
    assert!(!said.trim().is_empty());
}
