//! A running agent of our own for tests and benches: its own folder, its own port, ended with its handle.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::step::target;

/// An agent that this process started. Dropping it ends it.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    home: PathBuf,
}

impl Server {
    /// Starts `binary up` on a fresh folder `target/NAME` and waits until it is ready.
    pub(crate) fn start(binary: &Path, name: &str) -> Result<Self> {
        let home = target().join(name);
        if home.exists() {
            std::fs::remove_dir_all(&home)?;
        }
        std::fs::create_dir_all(&home)?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let log = File::create(home.join("up.log"))?;
        let child = Command::new(binary)
            .args(["up", "--listen", &address.to_string(), "--home"])
            .arg(&home)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("could not start `{}`", binary.display()))?;
        let mut server = Self {
            child,
            address,
            home,
        };
        server.wait()?;
        Ok(server)
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it keeps everything.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    fn wait(&mut self) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < READY {
            if let Some(status) = self.child.try_wait()? {
                bail!("the agent ended with {status}:\n{}", self.log());
            }
            if ready(self.address).unwrap_or(false) {
                return Ok(());
            }
            #[allow(clippy::disallowed_methods, reason = "there is no event to wait for")]
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!(
            "the agent was not ready within {} s:\n{}",
            READY.as_secs(),
            self.log()
        )
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.home.join("up.log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        let start = Instant::now();
        while asked.is_ok() && start.elapsed() < STOP {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            #[allow(clippy::disallowed_methods, reason = "there is no event to wait for")]
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn ready(address: SocketAddr) -> Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    write!(
        stream,
        "GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(&answer == b"HTTP/1.1 200")
}

/// An unoptimised build compiles its components slowly, and once.
const READY: Duration = Duration::from_secs(180);
const STOP: Duration = Duration::from_secs(20);
