//! The agent's folders: there, ours, writable, private, with room.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::{Report, Severity};
use crate::paths::Paths;

pub(super) fn look(report: &mut Report, paths: &Paths) {
    let folders = [
        ("models", &paths.data),
        ("state", &paths.state),
        ("cache", &paths.cache),
    ];
    let before = report.findings.len();
    for (what, folder) in folders {
        // The first start makes it, in the nearest folder that is there.
        let there = folder.ancestors().find(|folder| folder.exists());
        if let Some(there) = there {
            owner(report, what, there);
            room(report, what, there);
            if what == "state" {
                lasting(report, there);
            }
        }
    }
    for file in [
        paths.keys_file(),
        paths.identity_file(),
        paths.endpoint_file(),
    ] {
        private(report, &file);
    }
    if report.findings.len() == before {
        report.well("the agent's folders are writable, private, and have room");
    }
}

fn owner(report: &mut Report, what: &str, folder: &Path) {
    let writable = tempfile::Builder::new()
        .prefix(".doctor-")
        .tempfile_in(folder);
    let Err(error) = writable else { return };
    let title = format!("the folder for {what} cannot be written to");
    let finding = report.find(Severity::Error, "folder_unwritable", title);
    finding.seen(format!("{}: {error}", folder.display()));
    let me = rustix::process::geteuid().as_raw();
    match fs::metadata(folder) {
        Ok(about) if about.uid() != me => {
            let owner = about.uid();
            finding.seen(format!("it belongs to user {owner}; this is user {me}"));
            finding.mend(format!("sudo chown -R $(id -u) {}", quoted(folder)));
        }
        _ => {
            finding.mend(format!("chmod u+rwx {}", quoted(folder)));
        }
    }
}

fn room(report: &mut Report, what: &str, folder: &Path) {
    let Ok(about) = rustix::fs::statvfs(folder) else {
        return;
    };
    if about.f_files > 0
        && about.f_favail < INODES_MIN
        && !report
            .findings
            .iter()
            .any(|one| one.code == "inodes_scarce")
    {
        let title = format!("the disk with the folder for {what} can hold hardly any more files");
        let finding = report.find(Severity::Error, "inodes_scarce", title);
        finding.seen(format!(
            "{} of {} inodes are free at {}",
            about.f_favail,
            about.f_files,
            folder.display()
        ));
        finding.mend(format!(
            "sudo du --inodes -x {} | sort -n | tail   (what has so many small files)",
            quoted(folder)
        ));
    }
    let free_bytes = about.f_bavail.saturating_mul(about.f_frsize);
    let severity = match free_bytes {
        0..FULL_BYTES => Severity::Error,
        FULL_BYTES..SCARCE_BYTES => Severity::Warning,
        _ => return,
    };
    // One disk is told once.
    if report
        .findings
        .iter()
        .any(|finding| finding.code == "disk_full")
    {
        return;
    }
    let title = format!("the disk with the folder for {what} is nearly full");
    let finding = report.find(severity, "disk_full", title);
    finding.seen(format!(
        "{} MB free at {}",
        free_bytes / 1_000_000,
        folder.display()
    ));
    finding.mend("skep models   (then `skep rm` what is not needed)");
}

/// State that is gone with the next start, or that two machines might write.
fn lasting(report: &mut Report, folder: &Path) {
    let Ok(about) = rustix::fs::statfs(folder) else {
        return;
    };
    #[allow(
        clippy::unnecessary_cast,
        reason = "its type differs between architectures"
    )]
    let kind = about.f_type as i64;
    let (severity, code, title) = match kind {
        TMPFS | RAMFS => (
            Severity::Note,
            "state_volatile",
            "the folder for state is in memory: identity, keys and the cluster are forgotten when the machine stops",
        ),
        NFS | SMB | CIFS => (
            Severity::Warning,
            "state_remote",
            "the folder for state is on another machine: where locks are not kept there, the log may be damaged",
        ),
        _ => return,
    };
    let finding = report.find(severity, code, title);
    finding.seen(format!(
        "{} is on a file system of kind {kind:#x}",
        folder.display()
    ));
    finding.mend("skep up --home DIR   (a folder on a disk of this machine)");
}

/// statfs(2).
const TMPFS: i64 = 0x0102_1994;
const RAMFS: i64 = 0x8584_58f6;
const NFS: i64 = 0x6969;
const SMB: i64 = 0xfe53_4d42;
const CIFS: i64 = 0xff53_4d42;

/// A start, a compilation and a model make some ten files.
const INODES_MIN: u64 = 1_000;

/// Files that hold secrets are for their owner alone.
pub(super) fn private(report: &mut Report, file: &Path) {
    let Ok(about) = fs::symlink_metadata(file) else {
        return;
    };
    let mode = about.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return;
    }
    let title = "a file with secrets can be read by other users";
    let finding = report.find(Severity::Error, "secret_readable", title);
    finding.seen(format!("{} has mode {mode:04o}", file.display()));
    finding.mend(format!("chmod 600 {}", quoted(file)));
}

/// For a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Below this a log line may fail to be written.
const FULL_BYTES: u64 = 100_000_000;

/// Below this no model of use fits.
const SCARCE_BYTES: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn look_at(home: &Path) -> Vec<(&'static str, Option<String>)> {
        let mut report = Report::default();
        look(&mut report, &Paths::under(home).unwrap());
        let of_disk =
            |code: &&'static str| !["disk_full", "inodes_scarce", "state_volatile"].contains(code);
        let findings = report
            .findings
            .into_iter()
            .map(|finding| (finding.code, finding.mend));
        findings.filter(|(code, _)| of_disk(code)).collect()
    }

    #[test]
    fn secrets_of_others_are_an_error() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(look_at(home.path()), []);
        let paths = Paths::under(home.path()).unwrap();
        paths.create().unwrap();
        fs::write(paths.keys_file(), "{}").unwrap();
        fs::set_permissions(paths.keys_file(), fs::Permissions::from_mode(0o640)).unwrap();
        let mend = format!("chmod 600 {}", paths.keys_file().display());
        assert_eq!(look_at(home.path()), [("secret_readable", Some(mend))]);
    }

    #[test]
    fn paths_are_quoted_for_a_shell() {
        assert_eq!(quoted("/a/b-c.d".as_ref()), "/a/b-c.d");
        assert_eq!(quoted("/it's here".as_ref()), r"'/it'\''s here'");
    }
}
