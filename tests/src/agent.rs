//! A real agent for a test: its own folder, its own port, ended with its handle.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A running agent. Dropping it kills it, and its folder goes.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    address: SocketAddr,
    home: tempfile::TempDir,
}

impl Agent {
    /// Starts `skep up` with these environment variables and waits until it answers.
    ///
    /// # Errors
    /// When it ends or does not answer within a minute; the error has what it logged.
    pub fn start(settings: &[(&str, &str)]) -> Result<Self> {
        Self::start_in(tempfile::tempdir()?, settings)
    }

    /// The same in a folder that may have been used before.
    ///
    /// # Errors
    /// As for [`Agent::start`].
    pub fn start_in(home: tempfile::TempDir, settings: &[(&str, &str)]) -> Result<Self> {
        let (child, address) = launch(home.path(), settings)?;
        Ok(Self {
            child,
            address,
            home,
        })
    }

    /// Kills it and starts it again in its folder.
    ///
    /// # Errors
    /// As for [`Agent::start`].
    pub fn restart(&mut self, settings: &[(&str, &str)]) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        (self.child, self.address) = launch(self.home.path(), settings)?;
        Ok(())
    }

    /// Runs a command of `skep` with it to the end: whether that went well, and what it wrote to both outputs.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn skep(&self, arguments: &[&str], input: &str) -> Result<(bool, String, String)> {
        let mut child = Command::new(binary())
            .args(arguments)
            .env("SKEP_HOME", self.home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // It may not want to read.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output()?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Ok((
            output.status.success(),
            text(&output.stdout),
            text(&output.stderr),
        ))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it keeps everything.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory of its own process.
    ///
    /// # Errors
    /// When it is gone.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(kib.context("no VmRSS")?.parse::<u64>()? << 10)
    }

    /// Sends a signal by name (`TERM`).
    ///
    /// # Errors
    /// When there is no `kill`.
    pub fn signal(&self, name: &str) -> Result<()> {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.pid().to_string()])
            .status()?;
        anyhow::ensure!(status.success(), "could not signal the agent");
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When the system cannot wait.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait()?)
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn is_alive(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `skep up` to its end, for starts that are to fail: the exit code and what it said.
///
/// # Errors
/// When it cannot be started.
pub fn fail_to_start(home: &Path, settings: &[(&str, &str)]) -> Result<(Option<i32>, String)> {
    let mut child = command(home, settings).stderr(Stdio::piped()).spawn()?;
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut said)?;
    }
    Ok((child.wait()?.code(), said))
}

/// The agent's binary: `SKEP_BIN`, or where `cargo build` leaves it.
#[must_use]
pub fn binary() -> PathBuf {
    std::env::var_os("SKEP_BIN").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/skep"),
        PathBuf::from,
    )
}

/// Starts `skep up` and waits until it answers.
fn launch(home: &Path, settings: &[(&str, &str)]) -> Result<(Child, SocketAddr)> {
    let mut child = command(home, settings)
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start `{}`", binary().display()))?;
    let log = child.stderr.take().context("no standard error")?;
    let (lines, log) = follow(log);
    let deadline = Instant::now() + START;
    let mut seen = String::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(line) = lines.recv_timeout(left) else {
            let _ = child.kill();
            bail!("the agent did not start: {seen}{}", child.wait()?);
        };
        seen.push_str(&line);
        seen.push('\n');
        if line.contains("serving") && line.contains("url=") {
            break;
        }
    }
    drop(log);
    let endpoint = std::fs::read_to_string(home.join("run/endpoint.json"))?;
    let endpoint: serde_json::Value = serde_json::from_str(&endpoint)?;
    let url = endpoint
        .get("url")
        .and_then(serde_json::Value::as_str)
        .context("no `url`")?;
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    Ok((child, authority.parse()?))
}

fn command(home: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary());
    command
        .arg("up")
        .arg("--home")
        .arg(home)
        .env("SKEP_HTTP_LISTEN", "127.0.0.1:0")
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// The lines that an agent logs, read to its end so that it never waits for a reader.
fn follow(
    log: impl Read + Send + 'static,
) -> (mpsc::Receiver<String>, std::thread::JoinHandle<()>) {
    let (sender, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            // Nobody listens once it has started.
            let _ = sender.send(line);
        }
    });
    (lines, reader)
}

/// The first start compiles plugins, on a machine that may do much else.
const START: Duration = Duration::from_secs(120);
