//! A cluster on one machine: real agents, each in a network namespace of its own, on one bridge.
//!
//! Nothing of it touches the machine's own network: the bridge is in a namespace too, and everything goes with
//! its handle. Needs root (`CAP_NET_ADMIN`, `CAP_SYS_ADMIN`) and `ip`.
#![allow(
    clippy::disallowed_methods,
    reason = "what other processes do has to be looked at again and again"
)]

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

pub use self::namespace::missing;
use self::namespace::{Namespace, run, signal};
use crate::agent::binary;

mod namespace;

/// Machines on one network. Dropping it ends their agents and takes the network down.
#[derive(Debug)]
pub struct Lab {
    hub: Namespace,
    /// The machines, the first one first.
    pub machines: Vec<Machine>,
}

/// A machine: a namespace with an address, a folder, and an agent when it runs.
#[derive(Debug)]
pub struct Machine {
    namespace: Namespace,
    /// Where others reach it.
    pub address: Ipv4Addr,
    home: tempfile::TempDir,
    agent: Option<Child>,
    /// What its agent is told by its environment.
    pub settings: Vec<(String, String)>,
}

impl Lab {
    /// Machines without agents yet.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new(machines: u8) -> Result<Self> {
        ensure!((1..=200).contains(&machines), "1 to 200 machines");
        let name = format!("skep-{}-{}", std::process::id(), unique());
        let hub = Namespace::with_bridge(format!("{name}-hub"))?;
        let mut lab = Self {
            hub,
            machines: Vec::new(),
        };
        for number in 1..=machines {
            let machine = lab.add(&format!("{name}-{number}"), number)?;
            lab.machines.push(machine);
        }
        Ok(lab)
    }

    fn add(&self, name: &str, number: u8) -> Result<Machine> {
        let namespace = Namespace::new(name.to_owned())?;
        let plug = format!("to{number}");
        let hub = &self.hub;
        hub.ip(&[
            "link", "add", &plug, "type", "veth", "peer", "name", "eth0", "netns", name,
        ])?;
        hub.ip(&["link", "set", &plug, "master", "bridge", "up"])?;
        let address = Ipv4Addr::new(10, 77, 0, number);
        namespace.ip(&["link", "set", "lo", "up"])?;
        namespace.ip(&["address", "add", &format!("{address}/24"), "dev", "eth0"])?;
        namespace.ip(&["link", "set", "eth0", "up"])?;
        namespace.ip(&["route", "add", "default", "dev", "eth0"])?;
        Ok(Machine {
            namespace,
            address,
            home: tempfile::tempdir()?,
            agent: None,
            settings: vec![("SKEP_NODE_NAME".to_owned(), format!("n{number}"))],
        })
    }

    /// Pulls a machine's plug, or puts it in again.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn plug(&self, machine: usize, plugged: bool) -> Result<()> {
        let state = if plugged { "up" } else { "down" };
        let plug = format!("to{}", machine + 1);
        self.hub.ip(&["link", "set", &plug, state])
    }

    /// Loses so many per cent of the datagrams that arrive anywhere. Needs `nft`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn lose(&self, percent: u64) -> Result<()> {
        let rules = format!(
            "table inet lossy {{\n chain arriving {{\n  type filter hook input priority 0;\n  \
             iifname \"eth0\" meta l4proto udp numgen random mod 100 < {percent} drop\n }}\n}}\n"
        );
        for machine in &self.machines {
            let path = machine.home().join("lossy.nft");
            std::fs::write(&path, &rules)?;
            let mut command = machine.inside(Path::new("nft"));
            run(command.arg("-f").arg(path))?;
        }
        Ok(())
    }

    /// Starts every agent and lets all of them join the first one's cluster.
    ///
    /// # Errors
    /// When one does not start or is not let in.
    pub fn form(&mut self) -> Result<()> {
        for machine in &mut self.machines {
            machine.start()?;
        }
        for number in 1..self.machines.len() {
            self.join(number)?;
        }
        Ok(())
    }

    /// Lets one machine join the first one's cluster.
    ///
    /// # Errors
    /// When it is not let in.
    pub fn join(&self, machine: usize) -> Result<()> {
        let (Some(first), Some(joiner)) = (self.machines.first(), self.machines.get(machine))
        else {
            bail!("there is no machine {machine}");
        };
        let token = first.skep(&["token", "new"])?;
        joiner.skep(&["join", token.trim()])?;
        Ok(())
    }

    /// Waits until each running machine sees so many nodes up.
    ///
    /// # Errors
    /// When that takes too long; the error shows what one of them sees.
    pub fn wait_for(&self, up: usize, patience: Duration) -> Result<Duration> {
        let started = Instant::now();
        loop {
            let running = self.machines.iter().filter(|one| one.agent.is_some());
            let mut behind = None;
            for machine in running {
                let seen = machine.up()?;
                if seen.len() != up {
                    behind = Some((machine, seen));
                    break;
                }
            }
            match behind {
                None => return Ok(started.elapsed()),
                Some((machine, seen)) if started.elapsed() > patience => {
                    bail!("{} sees {seen:?} up: {}", machine.address, machine.log());
                }
                Some(_) => std::thread::park_timeout(Duration::from_millis(20)),
            }
        }
    }
}

impl Machine {
    /// Starts its agent and waits until it answers.
    ///
    /// # Errors
    /// When it ends or does not answer within two minutes; the error has what it logged.
    pub fn start(&mut self) -> Result<()> {
        self.start_with(&["up"])
    }

    /// The same by another command that runs an agent.
    ///
    /// # Errors
    /// As for [`Machine::start`].
    pub fn start_with(&mut self, arguments: &[&str]) -> Result<()> {
        let log = File::create(self.home.path().join("agent.log"))?;
        let mut command = self.inside(&binary());
        command
            .args(arguments)
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let mut agent = command.spawn()?;
        let deadline = Instant::now() + START;
        loop {
            let log = self.log();
            if log.contains("serving") && log.contains("url=") {
                break;
            }
            if let Some(status) = agent.try_wait()? {
                bail!("the agent ended with {status}: {log}");
            }
            if Instant::now() > deadline {
                let _ = agent.kill();
                let _ = agent.wait();
                bail!("the agent does not answer: {log}");
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        self.agent = Some(agent);
        Ok(())
    }

    /// Ends its agent as a crash would.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut agent) = self.agent.take() {
            agent.kill()?;
            agent.wait()?;
        }
        Ok(())
    }

    /// Asks its agent to end, and waits for it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut agent) = self.agent.take() {
            signal(agent.id(), "TERM")?;
            agent.wait()?;
        }
        Ok(())
    }

    /// Its agent's process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.agent.as_ref().map(Child::id)
    }

    /// Sends its agent a signal by name (`STOP`).
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, name: &str) -> Result<()> {
        signal(self.pid().context("the agent does not run")?, name)
    }

    /// Runs `skep` there and gives what it printed.
    ///
    /// # Errors
    /// When it fails; the error has what it said.
    pub fn skep(&self, arguments: &[&str]) -> Result<String> {
        let done = self
            .inside(&binary())
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        let said = String::from_utf8_lossy(&done.stderr);
        let printed = String::from_utf8(done.stdout)?;
        ensure!(
            done.status.success(),
            "`skep {}` ended with {}: {said}{printed}",
            arguments.join(" "),
            done.status
        );
        Ok(printed)
    }

    /// The same with `--json`.
    ///
    /// # Errors
    /// As for [`Machine::skep`].
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.skep(&[arguments, &["--json"]].concat())?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Gives it a model that others do not have: the embedded one under another name.
    ///
    /// # Errors
    /// When it has no model, or cannot take another.
    pub fn give(&self, name: &str) -> Result<()> {
        let models = self.json(&["models"])?;
        let digest = models.pointer("/models/0/digest").and_then(Value::as_str);
        let digits = digest.and_then(|digest| digest.rsplit(':').next());
        let path = find(self.home(), digits.context("no model")?)?.context("no file")?;
        let path = path.to_str().context("a strange path")?;
        self.skep(&["pull", path, "--name", name])?;
        Ok(())
    }

    /// The names of the nodes that it sees up.
    ///
    /// # Errors
    /// When its agent does not answer.
    pub fn up(&self) -> Result<Vec<String>> {
        let (_, text) = self.request("GET", "/api/v1/cluster/nodes", "")?;
        let found: Value = serde_json::from_str(&text)?;
        let nodes = found.get("nodes").and_then(Value::as_array);
        let up = |node: &Value| {
            let state = node.get("state").and_then(Value::as_str)?;
            let name = node.get("name").and_then(Value::as_str)?;
            matches!(state, "up" | "draining").then(|| name.to_owned())
        };
        Ok(nodes.context("no nodes")?.iter().filter_map(up).collect())
    }

    /// One HTTP request to its agent: status and body.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
        let mut stream = self.connect()?;
        let secret = self.secret().unwrap_or_default();
        let known = format!("authorization: Bearer {secret}\r\n");
        crate::raw::request_over(&mut stream, method, path, &known, body)
    }

    /// What its own user is known by to its agent; none before that runs.
    #[must_use]
    pub fn secret(&self) -> Option<String> {
        let endpoint = std::fs::read_to_string(self.home.path().join("run/endpoint.json")).ok()?;
        let endpoint: Value = serde_json::from_str(&endpoint).ok()?;
        Some(endpoint.get("token")?.as_str()?.to_owned())
    }

    /// A connection to its agent, made inside of its namespace.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(&self) -> Result<TcpStream> {
        let port = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        self.namespace.within(move || {
            let stream = TcpStream::connect_timeout(&port, Duration::from_secs(5))?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
    }

    /// A command that runs there, with its folder.
    #[must_use]
    pub fn inside(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.namespace.0])
            .arg(program)
            .env("SKEP_HOME", self.home.path());
        command
    }

    /// Where it keeps everything.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// What its agent has logged since its start.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("agent.log")).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// The file below a folder whose name holds these digits.
fn find(folder: &Path, digits: &str) -> Result<Option<PathBuf>> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if let Some(found) = find(&path, digits)? {
                return Ok(Some(found));
            }
        } else if path.to_string_lossy().contains(digits) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Labs of one process are told apart.
fn unique() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static LABS: AtomicU32 = AtomicU32::new(0);
    LABS.fetch_add(1, Ordering::Relaxed)
}

/// Each machine is alone on its loopback.
const PORT: u16 = 7420;

/// The first start compiles plugins where the binary does not carry them compiled.
const START: Duration = Duration::from_secs(120);
