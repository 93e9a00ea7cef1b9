//! llama.cpp's programs: where they are, and its server with one model.
//!
//! Decides with which settings the peer runs: those under which it does best at what is measured. The
//! programs are built by whoever measures; nothing of theirs is kept here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use super::agent::{self, Server};
use super::bytes::Model;

/// A folder that holds llama.cpp's programs, as its own build makes it.
pub(super) struct LlamaCpp {
    folder: PathBuf,
}

/// How its server is to be started.
pub(super) struct Shape<'a> {
    pub(super) threads: &'a str,
    /// Requests that it works on at once.
    pub(super) streams: u32,
    /// Tokens of each.
    pub(super) context: u32,
}

impl LlamaCpp {
    /// From the folder, or from any program in it.
    pub(super) fn at(path: &Path) -> Result<Self> {
        let folder = if path.is_file() {
            path.parent().unwrap_or(path)
        } else {
            path
        };
        if !folder.is_dir() {
            bail!(
                "there is no `{}`; --peer wants the folder of llama.cpp's programs (`build/bin` where it was \
                 built), or one of them",
                path.display()
            );
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Where one of its programs is.
    pub(super) fn program(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        if !path.is_file() {
            bail!(
                "there is no `{}`; build it with `cmake --build build --target {name}` in llama.cpp's folder, \
                 or give --peer the folder that has it",
                path.display()
            );
        }
        Ok(path)
    }

    /// The command that serves a model on `to`.
    ///
    /// Each of its answers takes the likeliest token alone, which costs it least, and no earlier prompts are
    /// kept in memory, since none comes again.
    pub(super) fn serving(
        &self,
        model: &Model,
        to: std::net::SocketAddr,
        shape: &Shape<'_>,
    ) -> Result<Command> {
        let context = shape.context.saturating_mul(shape.streams);
        let mut command = Command::new(self.program("llama-server")?);
        command
            .arg("-m")
            .arg(&model.path)
            .args(["-t", shape.threads])
            .args(["--parallel", &shape.streams.to_string()])
            .args(["-c", &context.to_string()])
            .args(["--host", &to.ip().to_string()])
            .args(["--port", &to.port().to_string()])
            .args(["--sampling-seq", "k", "--top-k", "1"])
            .args(["--cache-ram", "0", "--offline"]);
        Ok(command)
    }

    /// Its server, ready.
    pub(super) fn serve(&self, model: &Model, shape: &Shape<'_>) -> Result<Server> {
        let to = agent::free_address()?;
        let mut command = self.serving(model, to, shape)?;
        let mut server = Server::start("llama-server", to, &mut command)?;
        server.wait("/health", Duration::from_secs(300))?;
        Ok(server)
    }
}
