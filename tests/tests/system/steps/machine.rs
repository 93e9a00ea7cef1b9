//! A Debian machine in namespaces: its own systemd, network, processes and mounts, on an overlay above a root that stays as it is.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;
use skep_tests::tls::believing_anybody;
use tempfile::TempDir;

/// The whole machine. Dropping it ends every process of it.
pub(super) struct Machine {
    holder: Child,
    /// Its first process, as this machine counts.
    first: u32,
    folder: TempDir,
    root: PathBuf,
    compiled: PathBuf,
}

/// An agent on it.
pub(super) struct Agent<'a> {
    machine: &'a Machine,
    process: Child,
}

const LISTEN: &str = "127.0.0.1:7999";

impl Machine {
    /// Starts one. `trial` is seen there as `/trial`; with a card, its kernel tells of what is in `sys` there.
    pub(super) fn boot(root: &Path, trial: &Path, card: bool) -> Self {
        // Where nothing is written to a disk: all of it goes again.
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let at = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let parts = [at("upper"), at("work"), at("whole")];
        let agent = at("agent");
        // What an earlier agent compiled; each looks whether it fits.
        let compiled = trial.join("cache");
        if compiled.is_dir() {
            copy(&compiled, &agent.join("cache"));
        }
        let script = folder.path().join("boot.sh");
        fs::write(&script, include_str!("boot.sh")).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut holder = Command::new("unshare")
            .args(["--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup"])
            .args(["--fork", "--kill-child", "sh"])
            .arg(&script)
            .arg(root)
            .args(&parts)
            .arg(trial)
            .arg(&agent)
            .arg(if card { "card" } else { "" })
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let until = Instant::now() + PATIENCE;
        loop {
            let first = child_of(holder.id());
            let up = first.is_some_and(|first| {
                let name = fs::read_to_string(format!("/proc/{first}/comm"));
                name.is_ok_and(|name| name.trim() == "systemd")
            });
            if let Some(first) = first.filter(|_| up) {
                let machine = Self {
                    holder,
                    first,
                    folder,
                    root: root.to_owned(),
                    compiled,
                };
                machine.shell(
                    "for i in $(seq 100); do case $(systemctl is-system-running) in running|degraded) exit 0;; esac; sleep 0.2; done; exit 1",
                );
                // Steps that see a container plan less: here they are to see a machine.
                machine.shell("rm -f /run/systemd/container");
                return machine;
            }
            let ended = holder.try_wait().unwrap();
            let said = || fs::read_to_string(folder.path().join("log")).unwrap();
            assert!(ended.is_none() && Instant::now() < until, "{}", said());
            pause();
        }
    }

    /// A program there.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.first.to_string(), "--all", "env", "-i"])
            .args([
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME=/root",
                "LC_ALL=C",
            ])
            .stdin(Stdio::null());
        command
    }

    /// What commands there print; whether they succeeded.
    pub(super) fn try_shell(&self, script: &str) -> (bool, String) {
        let done = self.command().args(["sh", "-c", script]).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned()
            + &String::from_utf8_lossy(&done.stderr);
        (done.status.success(), said)
    }

    /// Commands that have to succeed.
    pub(super) fn shell(&self, script: &str) -> String {
        let (done, said) = self.try_shell(script);
        assert!(done, "{script}: {said}");
        said
    }

    /// Its files, as they are seen from here.
    pub(super) fn whole(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.first))
    }

    pub(super) fn upper(&self) -> PathBuf {
        self.folder.path().join("upper")
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn first(&self) -> u32 {
        self.first
    }

    /// The agent's folder.
    pub(super) fn home(&self) -> PathBuf {
        self.folder.path().join("agent")
    }

    /// Starts an agent, which may kill itself at a point.
    pub(super) fn agent(&self, crash_at: Option<u32>) -> Agent<'_> {
        let endpoint = self.home().join("run/endpoint.json");
        let _ = fs::remove_file(&endpoint);
        let mut command = self.command();
        command
            .args(["SKEP_HOME=/agent", "SKEP_MODELS_DEFAULT="])
            .arg(format!("SKEP_HTTP_LISTEN={LISTEN}"));
        if let Some(point) = crash_at {
            command.arg(format!("SKEP_CRASH_AT={point}"));
        }
        let log = File::create(self.folder.path().join("agent.log")).unwrap();
        let process = command
            .args(["/trial/skep", "up"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut agent = Agent {
            machine: self,
            process,
        };
        let until = Instant::now() + PATIENCE;
        while !endpoint.exists() || agent.ask("GET", "", &Value::Null).is_none() {
            let log = || fs::read_to_string(self.folder.path().join("agent.log")).unwrap();
            assert!(agent.is_alive() && Instant::now() < until, "{}", log());
            pause();
        }
        agent
    }

    /// Does something in its network, in a thread of its own, since a thread that has moved does not come back.
    pub(super) fn within<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        let network = File::open(format!("/proc/{}/ns/net", self.first)).unwrap();
        std::thread::scope(|scope| {
            let there = scope.spawn(move || {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(network.as_fd(), kind).unwrap();
                what()
            });
            there.join().unwrap()
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if !self.compiled.exists() {
            copy(&self.home().join("cache"), &self.compiled);
        }
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        // The first process goes with its holder, and all others with it.
        let until = Instant::now() + PATIENCE;
        while Path::new(&format!("/proc/{}/ns/net", self.first)).exists() && Instant::now() < until
        {
            pause();
        }
    }
}

impl Agent<'_> {
    pub(super) fn is_alive(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// An answer of `/api/v1/setup…`; none when nobody answers.
    pub(super) fn ask(&self, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        let endpoint = fs::read_to_string(self.machine.home().join("run/endpoint.json")).ok()?;
        let endpoint: Value = serde_json::from_str(&endpoint).ok()?;
        let fields = format!(
            "authorization: Bearer {}\r\ncontent-type: application/json\r\n",
            endpoint["token"].as_str()?
        );
        let is_encrypted = endpoint["url"].as_str()?.starts_with("https:");
        let path = format!("/api/v1/setup{path}");
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let to: SocketAddr = LISTEN.parse().unwrap();
        let answer = self.machine.within(|| -> io::Result<(u16, String)> {
            let mut stream = TcpStream::connect(to)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let length = body.len();
            let text = format!(
                "{method} {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-length: {length}\r\n{fields}\r\n{body}"
            );
            let mut heard = Vec::new();
            // A step may have given it a certificate.
            if is_encrypted {
                let mut stream = believing_anybody(stream)?;
                stream.write_all(text.as_bytes())?;
                // The end may come without a word.
                let _ = stream.read_to_end(&mut heard);
            } else {
                stream.write_all(text.as_bytes())?;
                stream.read_to_end(&mut heard)?;
            }
            let heard = String::from_utf8_lossy(&heard).into_owned();
            let (head, body) = heard
                .split_once("\r\n\r\n")
                .ok_or(io::ErrorKind::UnexpectedEof)?;
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
            Ok((
                status.ok_or(io::ErrorKind::InvalidData)?,
                body.to_owned(),
            ))
        });
        let (status, text) = answer.ok()?;
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Some((status, value))
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) {
        if let Some(pid) = child_of(self.process.id()).and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
        }
        let _ = self.process.wait();
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        self.kill();
    }
}

fn copy(from: &Path, to: &Path) {
    let _ = Command::new("cp").arg("-a").args([from, to]).status();
}

/// A process that another one started.
pub(super) fn child_of(parent: u32) -> Option<u32> {
    fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let about = fs::read_to_string(entry.path().join("stat")).ok()?;
        let (_, after) = about.rsplit_once(')')?;
        let its: u32 = after.split_whitespace().nth(1)?.parse().ok()?;
        (its == parent).then_some(pid)
    })
}

pub(super) fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

const PATIENCE: Duration = Duration::from_secs(90);
