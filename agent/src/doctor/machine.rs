//! The machine: instructions, clock, limits, memory, accelerators.

use std::fs;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, getrlimit};
use skep_hw::telemetry::{Host, Places, Snapshot, Telemetry, Verdict};

use super::{Report, Severity};
use crate::wire::{Device, Node};

pub(super) fn look(report: &mut Report, node: Option<&Node>) {
    processor(report);
    clock(report);
    open_files(report);
    let told = node.and_then(|node| node.hardware.clone());
    // Without an agent we look ourselves.
    let snapshot =
        told.unwrap_or_else(|| Telemetry::detect(&Places::default()).sample(Instant::now()));
    limits(report, &snapshot.host);
    match node {
        Some(node) if !node.devices.is_empty() => judged(report, &node.devices),
        _ => unjudged(report, &snapshot),
    }
    if node.is_none_or(|node| node.computes_on == "cpu") {
        accelerators(report, &snapshot);
    }
}

fn processor(report: &mut Report) {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return report.well("the processor has AVX-512");
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
        {
            return report.well("the processor has AVX2 and FMA");
        }
        let title = "the processor lacks AVX2; models will be several times slower";
        let finding = report.find(Severity::Warning, "no_avx2", title);
        finding.mend("in a virtual machine, pass the host's processor through (QEMU: `-cpu host`)");
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("dotprod") {
        report.well("the processor has NEON with dot products");
    } else {
        report.well("the processor has NEON");
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    report.find(
        Severity::Note,
        "generic_kernels",
        "models run with portable code on this kind of processor",
    );
}

fn clock(report: &mut Report) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    if (CLOCK_MIN_UNIX_S..CLOCK_MAX_UNIX_S).contains(&now) {
        report.well("the clock is plausible");
        return kept(report, Path::new("/run/systemd/timesync"));
    }
    let title = "the clock is wrong; certificates and the times of keys depend on it";
    let finding = report.find(Severity::Error, "clock_wrong", title);
    finding.seen(format!("it shows {now} seconds since 1970"));
    finding.mend("sudo timedatectl set-ntp true");
}

/// systemd-timesyncd leaves a file there once it has set the clock; others say nothing where everybody may look.
fn kept(report: &mut Report, timesync: &Path) {
    if !timesync.is_dir() {
        return;
    }
    if timesync.join("synchronized").exists() {
        return report.well("the clock is kept right by systemd-timesyncd");
    }
    let title = "the clock is not in step with a time server yet; certificates depend on it";
    let finding = report.find(Severity::Warning, "clock_unsynchronised", title);
    finding.seen(format!("there is no {}/synchronized", timesync.display()));
    finding.mend("timedatectl timesync-status   (is a server reached? UDP port 123 goes out)");
}

fn open_files(report: &mut Report) {
    let limit = getrlimit(Resource::Nofile).current;
    if let Some(limit) = limit.filter(|limit| *limit < FILES_MIN) {
        let title = "few files may be open at once; connections will be turned away";
        let finding = report.find(Severity::Warning, "few_files", title);
        finding.seen(format!("the limit is {limit}"));
        finding.mend(format!("ulimit -n {FILES_MIN}   (before `skep up`)"));
    }
}

fn limits(report: &mut Report, host: &Host) {
    let mib = |bytes: u64| bytes >> 20;
    if let Some(limit) = host.memory.limit_bytes {
        let severity = if limit < MEMORY_MIN_BYTES {
            Severity::Warning
        } else {
            Severity::Note
        };
        let title = "a control group limits the memory of the agent and its workers";
        let finding = report.find(severity, "memory_limited", title);
        let used = host.memory.limit_used_bytes.map_or(0, mib);
        finding.seen(format!("{} MiB at most, {used} MiB used", mib(limit)));
    }
    let cpu = &host.cpu;
    if let (Some(quota), Some(allowed)) = (cpu.quota_cores, cpu.cores_allowed)
        && f64::from(quota) < f64::from(allowed)
    {
        let title = "a control group limits the processor time; models run with fewer threads";
        let finding = report.find(Severity::Note, "processor_limited", title);
        finding.seen(format!("{quota:.1} of {allowed} cores"));
    }
    let Some(available) = host.memory.usable_bytes.or(host.memory.available_bytes) else {
        return;
    };
    if available < MEMORY_MIN_BYTES {
        let title = "hardly any memory is free";
        let finding = report.find(Severity::Warning, "memory_scarce", title);
        finding.seen(format!("{} MiB can be had", mib(available)));
        finding.mend("skep ps   (then `skep unload` what is not needed)");
    } else {
        report.well(format!("{} MiB of memory can be had", mib(available)));
    }
}

/// What a running agent makes of its devices.
fn judged(report: &mut Report, devices: &[Device]) {
    for device in devices.iter().filter(|device| !device.causes.is_empty()) {
        let name = device.name.as_deref().unwrap_or("an accelerator");
        let severity = match device.health.as_str() {
            "lost" => Severity::Error,
            _ => Severity::Warning,
        };
        let title = format!("{name} ({}) is {}", device.id, device.health);
        let finding = report.find(severity, "device_unwell", title);
        for cause in &device.causes {
            finding.seen(format!("{}: {}", cause.text, cause.evidence));
        }
        finding.mend = device
            .causes
            .iter()
            .find_map(|cause| mend(&cause.code, device));
    }
}

/// What helps against a cause.
fn mend(code: &str, device: &Device) -> Option<String> {
    let index = device.index.unwrap_or_default();
    let nvidia = device.kind == "nvidia";
    Some(match code {
        "heat" => "look at fans, dust and the air around the machine".to_owned(),
        "power_brake" | "hardware_slowdown" => "look at the power supply and its cables".to_owned(),
        "retirement_failed" => "replace the card".to_owned(),
        "fallback" => "skep logs   (the worker says why it does not use the device)".to_owned(),
        "silent" | "silent_long" => {
            "sudo dmesg | tail   (the driver hangs; restart the machine if it stays so)".to_owned()
        }
        "worker_fault" | "worker_faults" => {
            "sudo dmesg | grep -i -e xid -e amdgpu   (what the driver saw; `node.device = \"cpu\"` does without the card)".to_owned()
        }
        "lost" | "xid_79" => "restart the machine; if it happens again, reseat the card".to_owned(),
        "uncorrected_errors" | "retirement_pending" if nvidia => {
            format!("sudo nvidia-smi --gpu-reset -i {index}   (with nothing running on it)")
        }
        xid if xid.starts_with("xid_") => {
            format!("sudo nvidia-smi --gpu-reset -i {index}   (with nothing running on it)")
        }
        _ => return None,
    })
}

/// What its own look says, without an agent.
fn unjudged(report: &mut Report, snapshot: &Snapshot) {
    for device in &snapshot.devices {
        let name = device.identity.name.as_deref().unwrap_or("an accelerator");
        let severity = match &device.verdict {
            Verdict::Healthy => continue,
            Verdict::Degraded(_) => Severity::Warning,
            Verdict::Lost(_) => Severity::Error,
        };
        let title = format!("{name} is not well");
        let finding = report.find(severity, "device_unwell", title);
        finding.seen(device.verdict.to_string());
        finding
            .evidence
            .extend(device.verdict.evidence(&device.reading));
    }
}

fn accelerators(report: &mut Report, snapshot: &Snapshot) {
    if !snapshot.devices.is_empty() {
        let title =
            "there are accelerators, and they are not used: models compute on the processor";
        let finding = report.find(Severity::Note, "device_unused", title);
        for device in &snapshot.devices {
            let name = device.identity.name.as_deref().unwrap_or("unnamed");
            finding.seen(format!("{} {name}", device.identity.index));
        }
        return;
    }
    let cards = cards(Path::new("/sys/bus/pci/devices"));
    if !cards.is_empty() {
        let title = "there is an accelerator whose driver does not answer";
        let finding = report.find(Severity::Note, "driver_absent", title);
        for card in cards {
            finding.seen(card);
        }
        finding.seen("models compute on the processor, so it would only be watched");
        finding.mend("install the vendor's driver, then try `nvidia-smi` or `rocm-smi`");
    }
}

/// NVIDIA's and AMD's display controllers and accelerators on the PCI bus.
pub(super) fn cards(bus: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(bus) else {
        return Vec::new();
    };
    let mut cards: Vec<String> = entries
        .filter_map(|entry| {
            let place = entry.ok()?.path();
            let read = |name: &str| fs::read_to_string(place.join(name)).ok();
            let (vendor, class) = (read("vendor")?, read("class")?);
            let vendor = match vendor.trim() {
                "0x10de" => "NVIDIA",
                "0x1002" => "AMD",
                _ => return None,
            };
            // PCI Code and ID Assignment: 03 is a display controller, 12 an accelerator.
            let class = class.trim();
            let counts = class.starts_with("0x03") || class.starts_with("0x12");
            let name = place.file_name()?.to_string_lossy().into_owned();
            counts.then(|| format!("{vendor} device at {name}"))
        })
        .collect();
    cards.sort();
    cards
}

/// 2025-01-01: before this version was written.
const CLOCK_MIN_UNIX_S: u64 = 1_735_689_600;

/// 2100-01-01.
const CLOCK_MAX_UNIX_S: u64 = 4_102_444_800;

/// The agent takes 1,024 connections by default, and each worker some files.
const FILES_MIN: u64 = 2048;

/// A worker with a small model and its cache.
const MEMORY_MIN_BYTES: u64 = 512 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_without_a_driver_are_seen() {
        let bus = tempfile::tempdir().unwrap();
        let device = |name: &str, vendor: &str, class: &str| {
            let place = bus.path().join(name);
            fs::create_dir(&place).unwrap();
            fs::write(place.join("vendor"), format!("{vendor}\n")).unwrap();
            fs::write(place.join("class"), format!("{class}\n")).unwrap();
        };
        device("0000:3b:00.0", "0x10de", "0x030200");
        device("0000:3b:00.1", "0x10de", "0x040300");
        device("0000:01:00.0", "0x8086", "0x030000");
        device("0000:02:00.0", "0x1002", "0x120000");
        let expect = [
            "AMD device at 0000:02:00.0",
            "NVIDIA device at 0000:3b:00.0",
        ];
        assert_eq!(cards(bus.path()), expect);
        assert_eq!(cards(&bus.path().join("absent")), [""; 0]);
    }

    #[test]
    fn a_clock_that_nobody_set_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let timesync = folder.path().join("timesync");
        let codes = || {
            let mut report = Report::default();
            kept(&mut report, &timesync);
            (
                report.findings.first().map(|one| one.code),
                report.well.len(),
            )
        };
        assert_eq!(codes(), (None, 0));
        fs::create_dir(&timesync).unwrap();
        assert_eq!(codes(), (Some("clock_unsynchronised"), 0));
        fs::write(timesync.join("synchronized"), "").unwrap();
        assert_eq!(codes(), (None, 1));
    }

    #[test]
    fn this_machine_can_be_looked_at() {
        let mut report = Report::default();
        look(&mut report, None);
        assert!(
            report.well.iter().any(|what| what.contains("clock")),
            "{report:?}"
        );
    }
}
