//! The support archive: what was found and what it rests on, for somebody who helps.
//!
//! Decides what goes in: a list of documents and files, each within a bound, and each through `redact`. Never: keys, secrets,
//! requests and their answers, traces of requests, models, lines that plugins wrote.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::Report;
use super::redact::Redactor;
use crate::client::Client;
use crate::keys::unix_now_s;
use crate::limits::{BUNDLE_LOG_LINES, BUNDLE_PART_BYTES};
use crate::paths::Paths;
use crate::wire::{ClusterNodes, Logs};

/// Why there is no archive. Nothing of it stays.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("`{0}` is there already; name another file")]
    Exists(PathBuf),
    #[error("could not write `{path}`")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Writes a `.tar.gz` that only its owner may read; returns how many parts it has.
///
/// # Errors
/// When there is such a file already or it cannot be written.
pub fn write(
    file: &Path,
    report: &Report,
    paths: &Paths,
    client: &Client,
) -> Result<usize, BundleError> {
    let mut redactor = Redactor::new(names(client));
    let mut parts = documents(report, client, &mut redactor);
    parts.extend(logs(client, &mut redactor));
    for (name, path) in files(paths) {
        if let Some(text) = beginning(&path) {
            parts.push((name.to_owned(), redactor.text(&text)));
        }
    }
    parts.push(("environment.txt".to_owned(), environment()));
    parts.insert(0, ("README.txt".to_owned(), README.to_owned()));
    let count = parts.len();
    let made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file);
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => BundleError::Exists(file.to_owned()),
        _ => BundleError::Write {
            path: file.to_owned(),
            source,
        },
    };
    let made = made.map_err(failed)?;
    if let Err(source) = archive(made, parts) {
        // Half of one helps nobody.
        let _ = fs::remove_file(file);
        return Err(failed(source));
    }
    Ok(count)
}

fn archive(into: fs::File, parts: Vec<(String, String)>) -> io::Result<()> {
    let mut tar = tar::Builder::new(GzEncoder::new(into, Compression::default()));
    let now = unix_now_s();
    for (name, mut text) in parts {
        text.truncate(text.floor_char_boundary(BUNDLE_PART_BYTES));
        text.push('\n');
        let mut header = tar::Header::new_gnu();
        header.set_mtime(now);
        header.set_mode(0o600);
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, format!("skep-support/{name}"), text.as_bytes())?;
    }
    tar.into_inner()?.finish()?.sync_all()
}

/// Of this machine, its cluster, and who runs this.
fn names(client: &Client) -> Vec<String> {
    let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut names = vec![own.trim().to_owned()];
    names.extend(
        ["USER", "LOGNAME", "SUDO_USER"]
            .iter()
            .filter_map(|name| std::env::var(name).ok()),
    );
    if let Ok(found) = client.get::<ClusterNodes>("/api/v1/cluster/nodes") {
        names.extend(found.nodes.into_iter().map(|node| node.name));
    }
    names
}

/// What was found, and what a running agent tells of itself.
fn documents(report: &Report, client: &Client, redactor: &mut Redactor) -> Vec<(String, String)> {
    let mut documents = vec![
        ("report.json", serde_json::to_value(report).ok()),
        (
            "version.json",
            serde_json::to_value(crate::version::version()).ok(),
        ),
    ];
    for (name, path) in [
        ("node.json", "/api/v1/node"),
        ("models.json", "/api/v1/models"),
        ("replicas.json", "/api/v1/ps"),
        ("nodes.json", "/api/v1/cluster/nodes"),
        ("alerts.json", "/api/v1/alerts"),
        ("scheduler.json", "/api/v1/scheduler"),
        ("plugins.json", "/api/v1/plugins"),
    ] {
        documents.push((name, client.get::<Value>(path).ok()));
    }
    let told = documents.into_iter().filter_map(|(name, value)| {
        let mut value = value?;
        redactor.document(&mut value);
        Some((name.to_owned(), serde_json::to_string_pretty(&value).ok()?))
    });
    told.collect()
}

/// What the agent logged lately. What plugins say may be made of what people asked.
fn logs(client: &Client, redactor: &mut Redactor) -> Option<(String, String)> {
    let path = format!("/api/v1/logs?lines={BUNDLE_LOG_LINES}");
    let found: Logs = client.get(&path).ok()?;
    let lines = found.entries.into_iter().map(|entry| {
        let message = if entry.target.starts_with("skep::plugin") {
            "[a plugin's line]".to_owned()
        } else {
            redactor.text(&entry.message)
        };
        format!(
            "{} {} {} {message}",
            entry.time_unix_ms, entry.level, entry.target
        )
    });
    Some(("log.txt".to_owned(), lines.collect::<Vec<_>>().join("\n")))
}

fn files(paths: &Paths) -> Vec<(&'static str, PathBuf)> {
    let mut files = vec![("config.toml", paths.config_file())];
    let system = [
        ("system/os-release", "/etc/os-release"),
        ("system/kernel", "/proc/version"),
        ("system/cmdline", "/proc/cmdline"),
        ("system/cpuinfo", "/proc/cpuinfo"),
        ("system/meminfo", "/proc/meminfo"),
        ("system/modules", "/proc/modules"),
        ("system/mounts", "/proc/self/mountinfo"),
        ("system/limits", "/proc/self/limits"),
        ("system/cgroup", "/proc/self/cgroup"),
        ("system/pressure-memory", "/proc/pressure/memory"),
        ("system/nvidia", "/proc/driver/nvidia/version"),
        ("system/resolv.conf", "/etc/resolv.conf"),
        ("system/unit", "/etc/systemd/system/skep.service"),
    ];
    files.extend(system.map(|(name, path)| (name, PathBuf::from(path))));
    files
}

/// As much of a file as an archive takes; none where it cannot be read.
fn beginning(path: &Path) -> Option<String> {
    let file = fs::File::open(path).ok()?;
    let mut bytes = Vec::new();
    file.take(BUNDLE_PART_BYTES as u64)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Which of our settings come from the environment; never what they are.
fn environment() -> String {
    let mut names: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| OURS.iter().any(|start| name.starts_with(start)))
        .collect();
    names.sort();
    names.join("\n")
}

/// What an agent heeds.
const OURS: [&str; 7] = [
    "SKEP_",
    "XDG_",
    "CUDA_",
    "HIP_",
    "ROCR_",
    "VK_",
    "STATE_DIRECTORY",
];

const README: &str = "\
What `skep doctor --bundle` wrote: the findings, what the agent tells of itself, its last log lines, its settings, and what
the system tells of itself.

Left out: keys, tokens, passwords and everything that looks like one; requests and answers; lines of plugins; models. Addresses
are `ip-1`, `ip-2`, names of machines `host-1`: the same stands for the same everywhere in here, and nowhere else.

Look at it before you send it to anybody.";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::client::Endpoint;

    #[test]
    fn an_archive_is_private_and_has_no_secret() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path()).unwrap();
        paths.create().unwrap();
        let config = "[http]\nlisten = \"10.9.8.7:7420\"\ntls_key = \"/home/zoe/Zz91canary.pem\"\n";
        fs::write(paths.config_file(), config).unwrap();
        fs::write(paths.identity_file(), "Zz91canary").unwrap();
        let url = "http://127.0.0.1:9";
        let endpoint =
            Endpoint::discover(|name| (name == "SKEP_URL").then(|| url.to_owned()), None);
        let client = Client::new(endpoint.unwrap());
        let mut report = Report::default();
        let finding = report.find(
            super::super::Severity::Note,
            "x",
            "`sk-skep-Zz91canary` at 10.9.8.7",
        );
        finding.seen("Bearer Zz91canary");
        let file = home.path().join("bundle.tar.gz");
        let parts = write(&file, &report, &paths, &client).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let mut tar =
            tar::Archive::new(flate2::read::GzDecoder::new(fs::File::open(&file).unwrap()));
        let mut all = String::new();
        let mut count = 0;
        for entry in tar.entries().unwrap() {
            count += 1;
            entry.unwrap().read_to_string(&mut all).unwrap();
        }
        assert_eq!(count, parts);
        assert!(all.contains("listen = \"ip-"), "{all}");
        for canary in ["Zz91canary", "10.9.8.7", "zoe"] {
            assert!(!all.contains(canary), "{canary} is in {all}");
        }
        let again = write(&file, &report, &paths, &client);
        assert!(matches!(again, Err(BundleError::Exists(_))));
    }
}
