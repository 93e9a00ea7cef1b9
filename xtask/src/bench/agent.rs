//! Servers that are measured: started with their output in a file, watched through `/proc`, ended at the end.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::folder;

/// A running server; dropping it ends it.
pub(super) struct Server {
    child: Child,
    name: String,
    log: PathBuf,
    pub(super) to: SocketAddr,
}

/// Processor time and memory of a process at one moment.
#[derive(Clone, Copy)]
pub(super) struct Used {
    pub(super) cpu_s: f64,
    pub(super) resident_bytes: f64,
}

/// Memory of a process, or of several, at one moment.
#[derive(Clone, Copy, Default)]
pub(super) struct Memory {
    pub(super) resident_bytes: f64,
    /// Of these, pages of files.
    pub(super) mapped_bytes: f64,
}

impl Server {
    /// Starts `command`, which listens on `to`; its output goes to a log that errors name.
    pub(super) fn start(name: &str, to: SocketAddr, command: &mut Command) -> Result<Self> {
        let logs = folder().join("logs");
        fs::create_dir_all(&logs)?;
        let log = logs.join(format!("{name}.log"));
        let file = File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("could not start {name}"))?;
        Ok(Self {
            child,
            name: name.to_owned(),
            log,
            to,
        })
    }

    /// Waits until a path answers 200.
    pub(super) fn wait(&mut self, path: &str, limit: Duration) -> Result<()> {
        self.wait_every(Duration::from_millis(20), path, limit)
    }

    /// The same, asking every millisecond: for who takes the time.
    pub(super) fn wait_closely(&mut self, path: &str, limit: Duration) -> Result<()> {
        self.wait_every(Duration::from_millis(1), path, limit)
    }

    fn wait_every(&mut self, interval: Duration, path: &str, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            if status(self.to, path).is_ok_and(|status| status == 200) {
                return Ok(());
            }
            let (name, log) = (&self.name, self.log.display());
            if let Some(status) = self.child.try_wait()? {
                bail!("{name} ended with {status}; `{log}` says why");
            }
            if Instant::now() > deadline {
                bail!("{name} does not answer `{path}` with 200; `{log}` may say why");
            }
            pause(interval);
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A signal that it can handle, so that it ends its own children; then for certain.
        let _ = Command::new("kill").arg(self.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            pause(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `skep up` with a state folder of its own and settings as environment variables (`HTTP_LISTEN`, …).
pub(super) fn skep(binary: &Path, home: &Path, settings: &[(&str, &str)]) -> Result<Server> {
    let to = free_address()?;
    let mut command = client(binary, home);
    command.arg("up").env("SKEP_HTTP_LISTEN", to.to_string());
    for (name, value) in settings {
        command.env(format!("SKEP_{name}"), value);
    }
    let name = home.file_name().unwrap_or_default().to_string_lossy();
    Server::start(&format!("skep-{name}"), to, &mut command)
}

/// The binary with a state folder, and nothing of ours from the surroundings.
pub(super) fn client(binary: &Path, home: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SKEP_") {
            command.env_remove(name);
        }
    }
    command.env("SKEP_HOME", home);
    command
}

/// An empty state folder.
pub(super) fn fresh_home(name: &str) -> Result<PathBuf> {
    let home = folder().join("homes").join(name);
    if home.exists() {
        fs::remove_dir_all(&home)?;
    }
    fs::create_dir_all(&home)?;
    Ok(home)
}

/// An address on loopback that nobody listens on now.
pub(super) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Processes whose parent is `parent`, and theirs.
pub(super) fn descendants(parent: u32) -> Vec<u32> {
    let mut found = vec![parent];
    let all: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|id| Some((id, stat(id).ok()?.get(1)?.parse().ok()?)))
        .collect();
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(
            all.iter()
                .filter(|(_, of)| *of == parent)
                .map(|(id, _)| *id),
        );
        at += 1;
    }
    found.split_off(1)
}

/// What a process has used so far.
pub(super) fn used(id: u32) -> Result<Used> {
    let ticks: f64 = stat(id)?
        .iter()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    Ok(Used {
        cpu_s: ticks / TICKS_PER_SECOND,
        resident_bytes: memory(id)?.resident_bytes,
    })
}

/// What a process holds in memory.
pub(super) fn memory(id: u32) -> Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{id}/status"))?;
    let bytes = |name: &str| {
        let mut lines = text.lines();
        let kib = lines.find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
        let kib: Option<f64> = kib.and_then(|kib| kib.parse().ok());
        kib.map(|kib| kib * 1024.0)
            .with_context(|| format!("the kernel does not tell the memory of process {id}"))
    };
    Ok(Memory {
        resident_bytes: bytes("VmRSS:")?,
        mapped_bytes: bytes("RssFile:")?,
    })
}

impl AddAssign for Memory {
    fn add_assign(&mut self, other: Self) {
        self.resident_bytes += other.resident_bytes;
        self.mapped_bytes += other.mapped_bytes;
    }
}

/// The fields of `/proc/PID/stat` after the name: state, parent, … (proc(5)).
fn stat(id: u32) -> Result<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (_, rest) = text.rsplit_once(')').context("unknown form of stat")?;
    Ok(rest.split_whitespace().map(str::to_owned).collect())
}

/// Lets time pass: between two looks at a server, or while it is watched.
#[expect(
    clippy::disallowed_methods,
    reason = "what is waited for is another process, or time itself"
)]
pub(super) fn pause(span: Duration) {
    std::thread::sleep(span);
}

fn status(to: SocketAddr, path: &str) -> Result<u16> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n"
    )?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    let text = std::str::from_utf8(&head)?;
    let code = text.split(' ').nth(1).context("not HTTP")?;
    Ok(code.parse()?)
}

/// `USER_HZ`, which is 100 on every architecture that we build for.
const TICKS_PER_SECOND: f64 = 100.0;
