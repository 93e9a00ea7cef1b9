//! Programs: whether they are there, and what a few of them say.
//!
//! Decides which may be run, and how: from the system's own folders, with arguments of ours, without input and environment, for a
//! moment. A step that wants to know of a program has it looked for and never run, but for those whose version is asked.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::Places;
use crate::host::installer::Program;
use crate::limits::{FACTS_PROGRAM_BYTES, FACTS_PROGRAM_TIMEOUT};

pub(super) struct Programs<'a> {
    places: &'a Places,
    until: Instant,
}

impl<'a> Programs<'a> {
    pub(super) fn new(places: &'a Places, until: Instant) -> Self {
        Self { places, until }
    }

    pub(super) fn look(&self, wanted: &[String]) -> Vec<Program> {
        let found = wanted.iter().filter_map(|name| {
            let path = self.find(name)?;
            let version = VERSIONS
                .iter()
                .find(|(known, _)| known == name)
                .and_then(|(_, arguments)| self.ask(name, arguments))
                .and_then(|said| version(&said));
            Some(Program {
                name: name.clone(),
                path,
                version,
            })
        });
        found.collect()
    }

    /// Where a program is, in the folders of the system.
    pub(super) fn find(&self, name: &str) -> Option<String> {
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return None;
        }
        let paths = FOLDERS.iter().map(|folder| format!("{folder}/{name}"));
        paths.into_iter().find(|path| {
            let about = std::fs::metadata(self.places.at(path));
            about.is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
        })
    }

    /// What a program says on its output, if it ends well and in time. None on a machine that is only a folder.
    pub(super) fn ask(&self, name: &str, arguments: &[&str]) -> Option<String> {
        let left = self.until.saturating_duration_since(Instant::now());
        if !self.places.here || left < LEAST {
            return None;
        }
        let path = self.find(name)?;
        let mut child = Command::new(path)
            .args(arguments)
            .env_clear()
            .env("PATH", FOLDERS.join(":"))
            .env("LC_ALL", "C")
            .envs(RUNTIME.iter().filter_map(|name| {
                let value = std::env::var_os(name)?;
                Some((name, value))
            }))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let output = child.stdout.take()?;
        let (tell, told) = mpsc::channel();
        // It ends with the program, whose end of the pipe closes.
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = output
                .take(FACTS_PROGRAM_BYTES as u64)
                .read_to_end(&mut bytes);
            let _ = tell.send(read.map(|_| bytes));
        });
        let said = told.recv_timeout(left.min(FACTS_PROGRAM_TIMEOUT));
        if said.is_err() {
            let _ = child.kill();
        }
        // One that closed its output and stays is ended, too.
        let ended = self.ended(&mut child);
        let bytes = said.ok()?.ok()?;
        ended.then(|| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn ended(&self, child: &mut std::process::Child) -> bool {
        for _ in 0..WAITS {
            match child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) => std::thread::park_timeout(WAIT),
                Err(_) => return false,
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        false
    }
}

/// The first word that begins with a digit, or with `v` and a digit.
fn version(said: &str) -> Option<String> {
    let words = said.split_whitespace();
    let mut words = words.map(|word| word.trim_start_matches('v').trim_matches([',', '(', ')']));
    let found = words.find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    Some(found.chars().take(64).collect())
}

/// Where the system keeps its programs.
const FOLDERS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Those whose version is asked, and how. All of them answer without doing anything.
const VERSIONS: [(&str, &[&str]); 12] = [
    ("docker", &["--version"]),
    ("podman", &["--version"]),
    ("ollama", &["--version"]),
    ("nft", &["--version"]),
    ("ufw", &["--version"]),
    ("firewall-cmd", &["--version"]),
    ("systemctl", &["--version"]),
    ("chronyd", &["--version"]),
    ("ssh-keygen", &["-V"]),
    ("nvidia-smi", &["--version"]),
    ("rocm-smi", &["--version"]),
    ("skep", &["--version"]),
];

/// What programs need to find the session of the user who runs the agent.
const RUNTIME: [&str; 2] = ["XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];

/// Less is not worth a process.
const LEAST: Duration = Duration::from_millis(50);

/// How long a program that has said all may take to end: 200 ms.
const WAIT: Duration = Duration::from_millis(5);
const WAITS: u32 = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_first_word_with_a_digit() {
        for (said, expect) in [
            ("Docker version 27.5.1, build 9f9e405", Some("27.5.1")),
            ("nftables v1.1.1 (Commodore Bullmoose #2)", Some("1.1.1")),
            ("systemd 257 (257.7-1)\n+PAM", Some("257")),
            ("no version", None),
            ("", None),
        ] {
            assert_eq!(version(said).as_deref(), expect, "{said}");
        }
    }

    #[test]
    fn a_program_that_hangs_or_fails_says_nothing() {
        let places = Places::default();
        let until = Instant::now() + Duration::from_millis(300);
        let programs = Programs::new(&places, until);
        let started = Instant::now();
        assert_eq!(programs.ask("sleep", &["60"]), None);
        assert!(started.elapsed() < Duration::from_secs(20));
        // The time is over.
        assert_eq!(programs.ask("echo", &["late"]), None);
        let programs = Programs::new(&places, Instant::now() + Duration::from_secs(60));
        assert_eq!(programs.ask("false", &[]), None);
        assert_eq!(programs.ask("echo", &["well"]).as_deref(), Some("well\n"));
        assert_eq!(programs.ask("../bin/echo", &["well"]), None);
        assert_eq!(programs.find("no-such-program"), None);
    }
}
