//! The system: its name, its kernel, its memory, and what is in charge of services and clock.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Places;
use super::programs::Programs;
use crate::host::installer::System;
use crate::limits::FACTS_FILE_BYTES;

pub(super) fn look(places: &Places, programs: &Programs<'_>) -> System {
    let release = release(places);
    let field = |name: &str| {
        let found = release.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let memory = places.text("/proc/meminfo", FACTS_FILE_BYTES);
    let host_name = match places.line("/proc/sys/kernel/hostname") {
        empty if empty.is_empty() => places.line("/etc/hostname"),
        name => name,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    System {
        os: field("ID"),
        os_version: field("VERSION_ID"),
        os_name: field("PRETTY_NAME"),
        architecture: std::env::consts::ARCH.to_owned(),
        kernel: places.line("/proc/sys/kernel/osrelease"),
        host_name,
        package_manager: package_manager(places).to_owned(),
        systemd: systemd(places, programs),
        container: container(places),
        cores: cores(places),
        memory_bytes: kib(&memory, "MemTotal"),
        memory_free_bytes: kib(&memory, "MemAvailable"),
        swap_bytes: kib(&memory, "SwapTotal"),
        clock_kept: clock_kept(places, programs),
        now_unix_s: now.map_or(0, |since| since.as_secs()),
    }
}

/// `os-release` as pairs; values may be in quotes (os-release(5)).
fn release(places: &Places) -> Vec<(String, String)> {
    let text = match places.text("/etc/os-release", FACTS_FILE_BYTES) {
        empty if empty.is_empty() => places.text("/usr/lib/os-release", FACTS_FILE_BYTES),
        text => text,
    };
    let pairs = text.lines().filter_map(|line| {
        let (name, value) = line.trim().split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']);
        Some((name.to_owned(), value.to_owned()))
    });
    pairs.collect()
}

/// The first of these that is there.
fn package_manager(places: &Places) -> &'static str {
    let known = [
        ("apt", "/usr/bin/apt-get"),
        ("dnf", "/usr/bin/dnf"),
        ("pacman", "/usr/bin/pacman"),
        ("zypper", "/usr/bin/zypper"),
        ("apk", "/sbin/apk"),
    ];
    let found = known.into_iter().find(|(_, path)| places.has(path));
    found.map_or("", |(name, _)| name)
}

/// Its folder is there where it runs (sd_booted(3)). Its version is in the name of its library; 0 where that cannot be told.
fn systemd(places: &Places, programs: &Programs<'_>) -> Option<u32> {
    if !places.has("/run/systemd/system") {
        return None;
    }
    let mut folders = vec!["/usr/lib/systemd".to_owned(), "/lib/systemd".to_owned()];
    for architecture in ["x86_64-linux-gnu", "aarch64-linux-gnu"] {
        folders.push(format!("/usr/lib/{architecture}/systemd"));
    }
    let version = |name: &String| -> Option<u32> {
        let rest = name.strip_prefix("libsystemd-shared-")?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    let found = folders
        .iter()
        .flat_map(|folder| places.names(folder))
        .find_map(|name| version(&name));
    let asked = || {
        let said = programs.ask("systemctl", &["--version"])?;
        said.split_whitespace().nth(1)?.parse().ok()
    };
    Some(found.or_else(asked).unwrap_or(0))
}

fn container(places: &Places) -> Option<String> {
    let told = places.line("/run/systemd/container");
    if !told.is_empty() {
        return Some(told);
    }
    let marks = [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")];
    if let Some((_, kind)) = marks.into_iter().find(|(mark, _)| places.has(mark)) {
        return Some(kind.to_owned());
    }
    let kernel = places.line("/proc/sys/kernel/osrelease").to_lowercase();
    kernel.contains("microsoft").then(|| "wsl".to_owned())
}

fn cores(places: &Places) -> u32 {
    if places.here
        && let Ok(cores) = std::thread::available_parallelism()
    {
        return u32::try_from(cores.get()).unwrap_or(u32::MAX);
    }
    let text = places.text("/proc/cpuinfo", 4 << 20);
    let cores = text.lines().filter(|line| line.starts_with("processor"));
    u32::try_from(cores.count()).unwrap_or(u32::MAX)
}

/// A line of `/proc/meminfo`, in bytes.
fn kib(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| {
        let (known, rest) = line.split_once(':')?;
        (known == name).then(|| rest.split_whitespace().next())?
    });
    let kib: u64 = value.and_then(|kib| kib.parse().ok()).unwrap_or(0);
    kib.saturating_mul(1 << 10)
}

/// What keeps clocks leaves a trace where it runs; where none does, systemd knows.
fn clock_kept(places: &Places, programs: &Programs<'_>) -> Option<bool> {
    let traces = [
        "/run/systemd/timesync/synchronized",
        "/run/chrony/chronyd.pid",
        "/run/chronyd.pid",
        "/run/ntpd.pid",
        "/run/ntpsec/ntpd.pid",
    ];
    if traces.iter().any(|trace| places.has(trace)) {
        return Some(true);
    }
    let said = programs.ask("timedatectl", &["show", "--property=NTPSynchronized"])?;
    match said.trim() {
        "NTPSynchronized=yes" => Some(true),
        "NTPSynchronized=no" => Some(false),
        _ => None,
    }
}
