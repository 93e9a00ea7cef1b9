//! An agent's folder with the random models that are measured.
//!
//! Each was started once before anything is measured: a first start packs weights and writes them down, which
//! would fall into the first turns. So every figure is of a model that the machine has had before.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::bytes::Model;
use super::{Options, agent, load, models};
use crate::assemble::{self, Profile};

pub(super) struct Shelf {
    pub(super) binary: PathBuf,
    pub(super) home: PathBuf,
    pub(super) models: Vec<Model>,
}

impl Shelf {
    /// Builds the agent and gives it the models that were asked for.
    pub(super) fn fill(options: &Options) -> Result<Self> {
        let models = models::random(options)?;
        let binary = assemble::build(Profile::Release)?;
        load::program()?;
        let home = agent::fresh_home("models")?;
        models::add(&binary, &home, &models)?;
        let shelf = Self {
            binary,
            home,
            models,
        };
        for model in &shelf.models {
            let server = shelf.serve(model, "2")?;
            settle(&server)?;
        }
        Ok(shelf)
    }

    /// An agent that has one of them loaded.
    pub(super) fn serve(&self, model: &Model, threads: &str) -> Result<agent::Server> {
        let mut server = models::serve(&self.binary, &self.home, model, threads)?;
        server.wait("/readyz", Duration::from_secs(300))?;
        Ok(server)
    }

    /// Every model with each number of threads that was asked for.
    pub(super) fn each(
        &self,
        options: &Options,
        mut work: impl FnMut(&Model, &str) -> Result<()>,
    ) -> Result<()> {
        for model in &self.models {
            for threads in options.threads() {
                eprintln!("    {}, {threads} threads", model.name);
                work(model, &threads)?;
            }
        }
        Ok(())
    }
}

/// Waits until the workers have written what they packed.
fn settle(server: &agent::Server) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(120);
    let writing = |id: &u32| {
        let tasks = std::fs::read_dir(Path::new("/proc").join(id.to_string()).join("task"));
        tasks.into_iter().flatten().flatten().any(|task| {
            let name = std::fs::read_to_string(task.path().join("comm"));
            name.is_ok_and(|name| name.trim() == WRITER)
        })
    };
    while agent::descendants(server.id()).iter().any(writing) {
        if Instant::now() > deadline {
            bail!("a worker still writes its packed weights after two minutes; is the disk full?");
        }
        agent::pause(Duration::from_millis(20));
    }
    Ok(())
}

/// The worker's thread that keeps packed weights (`agent/src/worker/open.rs`).
const WRITER: &str = "keep-packed";
