//! The gateways of others, from PyPI at fixed versions, in an environment of their own under `target/`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::agent::Server;
use crate::python;
use crate::step::root;

/// How a peer is started before a backend.
pub(super) struct Peer {
    pub(super) name: &'static str,
    program: PathBuf,
    verb: Option<&'static str>,
    quiet: &'static str,
}

/// Those that can be had; the reason why not is said, and is no error.
pub(super) fn all() -> Vec<Peer> {
    let list = root().join("tests/bench/peers.txt");
    let programs = match python::environment("bench-peers", &list, "gateways to compare with") {
        Ok(python) => python.with_file_name(""),
        Err(error) => {
            eprintln!("    peers are not measured: {error:#}");
            return Vec::new();
        }
    };
    vec![
        Peer {
            name: "vllm-router 0.1.17",
            program: programs.join("vllm-router"),
            verb: None,
            quiet: "warning",
        },
        Peer {
            name: "sglang-router 0.3.2",
            program: programs.join("sglang-router"),
            verb: Some("launch"),
            quiet: "warn",
        },
    ]
}

impl Peer {
    /// Starts it with one worker; no look-up of prefixes, which would only cost it time here.
    pub(super) fn start(
        &self,
        to: SocketAddr,
        metrics: SocketAddr,
        backend: SocketAddr,
    ) -> Result<Server> {
        let mut command = Command::new(&self.program);
        command
            .args(self.verb)
            .args(["--host", &to.ip().to_string()])
            .args(["--port", &to.port().to_string()])
            .args(["--worker-urls", &format!("http://{backend}")])
            .args(["--policy", "round_robin", "--log-level", self.quiet])
            .args(["--prometheus-host", &metrics.ip().to_string()])
            .args(["--prometheus-port", &metrics.port().to_string()]);
        let short = self.name.split(' ').next().unwrap_or_default();
        Server::start(short, to, &mut command)
    }
}
