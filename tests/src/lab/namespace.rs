//! A network of its own on this machine.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace with a name, gone with its handle.
#[derive(Debug)]
pub(super) struct Namespace(pub(super) String);

/// Why there can be no lab here; none where there can.
#[must_use]
pub fn missing() -> Option<&'static str> {
    let works = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        let command = command.args(arguments).stdout(Stdio::null());
        command
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if !works("ip", &["-V"]) {
        return Some("network namespaces need `ip` (Debian: `apt-get install iproute2`)");
    }
    let probe = format!("skep-{}-probe", std::process::id());
    if !works("ip", &["netns", "add", &probe]) {
        return Some("network namespaces need root");
    }
    works("ip", &["netns", "del", &probe]);
    None
}

impl Namespace {
    pub(super) fn new(name: String) -> Result<Self> {
        run(Command::new("ip").args(["netns", "add", &name]))?;
        Ok(Self(name))
    }

    /// The same with an empty bridge in it.
    pub(super) fn with_bridge(name: String) -> Result<Self> {
        let hub = Self::new(name)?;
        hub.ip(&["link", "add", "bridge", "type", "bridge"])?;
        hub.ip(&["link", "set", "bridge", "up"])?;
        // What passes is not this machine's to judge, and what that costs is no agent's. Where there is no
        // such switch, nothing does.
        hub.within(|| {
            for family in ["iptables", "ip6tables", "arptables"] {
                let switch = format!("/proc/sys/net/bridge/bridge-nf-call-{family}");
                let _ = std::fs::write(switch, "0");
            }
            Ok(())
        })?;
        Ok(hub)
    }

    pub(super) fn ip(&self, arguments: &[&str]) -> Result<()> {
        run(Command::new("ip").args(["-n", &self.0]).args(arguments))
    }

    /// Does something there, in a thread of its own, since a thread that has moved does not come back.
    pub(super) fn within<T: Send>(&self, what: impl FnOnce() -> io::Result<T> + Send) -> Result<T> {
        let file = File::open(Path::new("/run/netns").join(&self.0))?;
        std::thread::scope(|scope| {
            let there = scope.spawn(move || {
                move_into_link_name_space(
                    std::os::fd::AsFd::as_fd(&file),
                    Some(LinkNameSpaceType::Network),
                )?;
                what()
            });
            match there.join() {
                Ok(result) => Ok(result?),
                Err(_) => bail!("what was done in the namespace panicked"),
            }
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

pub(super) fn run(command: &mut Command) -> Result<()> {
    let done = command.output()?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{command:?}: {}", said.trim());
    Ok(())
}

/// Sends a process a signal by name.
pub(super) fn signal(pid: u32, name: &str) -> Result<()> {
    run(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]))
}
