//! `skep plugin dev`: each time that the sources change they are built, and what came out replaces what runs.
//!
//! Decides what counts as a source, and that a build which fails leaves what runs. A scheduler is put in charge, and when this ends
//! the one before it is again; any other plugin is added or updated, and stays. Refuses to know what a plugin says: its lines in the
//! agent's log are shown as they come.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Instant, SystemTime};

use ureq::http::Method;

use super::build;
use super::component::Component;
use super::consent;
use crate::cli::arguments::{Dev, Terms};
use crate::cli::events::{Happening, Interrupts};
use crate::cli::terminal::{Paint, complain, printable, say};
use crate::cli::{Exit, Failure, figures, logs, segment};
use crate::client::{Client, ClientError};
use crate::host::World;
use crate::limits::{DEV_FILES, DEV_LOOK, PLUGIN_BUILDS};
use crate::logs::LogEntry;
use crate::wire::{PluginDetails, SchedulerWish, Schedulers};

/// What each source was when it was last looked at.
type Sources = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

struct Session<'a> {
    client: &'a Client,
    wish: &'a Dev,
    /// The scheduler that was in charge before the first of ours.
    before: Option<String>,
    /// Somebody agreed to the first; later ones that want no more need no answer.
    agreed: bool,
    name: String,
}

pub(super) fn dev(client: Client, wish: &Dev) -> Result<(), Failure> {
    let client = Arc::new(client);
    let manifest = super::component::manifest(&wish.dir)?;
    let mut session = Session {
        client: &client,
        wish,
        before: None,
        agreed: false,
        name: manifest.name,
    };
    // Before minutes are spent on a build.
    let _: Schedulers = client.get("/api/v1/scheduler")?;
    let interrupts = Interrupts::watch();
    let path = "/api/v1/logs?follow=true&lines=0";
    let happenings = interrupts.ask(&client, Method::GET, path, None::<()>);
    let mut seen = sources(&wish.dir)?;
    if let Err(failure) = session.round() {
        tell(failure);
    }
    say(format!("watching `{}`; Ctrl-C ends it", wish.dir.display()))?;
    let ended = session.watch(&happenings, &mut seen);
    interrupts.release();
    session.put_back();
    ended
}

impl Session<'_> {
    fn watch(
        &mut self,
        happenings: &Receiver<Happening>,
        seen: &mut Sources,
    ) -> Result<(), Failure> {
        let mut looked = Instant::now();
        let mut changing = None;
        loop {
            match happenings.recv_timeout(DEV_LOOK) {
                Ok(Happening::Line(line)) => self.show(&line)?,
                Ok(Happening::Interrupted) => return Err(Failure::silent(Exit::Interrupted)),
                Ok(Happening::Failed(error)) => return Err(error.into()),
                Ok(Happening::End | Happening::Broken(_)) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::new("the agent has ended"));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if looked.elapsed() < DEV_LOOK {
                continue;
            }
            looked = Instant::now();
            let now = sources(&self.wish.dir)?;
            if now == *seen {
                continue;
            }
            // An editor may be in the middle of writing: two looks have to agree.
            if changing.as_ref() != Some(&now) {
                changing = Some(now);
                continue;
            }
            *seen = now;
            if let Err(failure) = self.round() {
                tell(failure);
            }
        }
    }

    /// Builds and replaces what runs.
    fn round(&mut self) -> Result<(), Failure> {
        let started = Instant::now();
        let (component, file) = build::produce(&self.wish.dir, None)?;
        let built = started.elapsed();
        if component.world == World::Scheduler {
            self.put_in_charge(&file)?;
        } else {
            self.update(&component, &file)?;
        }
        let paint = Paint::for_stdout();
        Ok(say(format!(
            "{} `{}` {}, built in {}, runs after {}",
            paint.green("ok"),
            component.manifest.name,
            component.manifest.version,
            figures::duration(built),
            figures::duration(started.elapsed()),
        ))?)
    }

    fn put_in_charge(&mut self, file: &Path) -> Result<(), Failure> {
        let path = std::path::absolute(file).ok();
        let path = path.and_then(|path| path.into_os_string().into_string().ok());
        let path = path.ok_or_else(|| Failure::usage("the path is empty or not UTF-8"))?;
        if self.before.is_none() {
            let now: Schedulers = self.client.get("/api/v1/scheduler")?;
            let active = now.schedulers.into_iter().next();
            self.before = active.map(|one| match one.source {
                Some(source) if Path::new(&source).is_absolute() => source,
                _ => one.name,
            });
        }
        let policy = Some(path);
        let _: Schedulers = self
            .client
            .post("/api/v1/scheduler/use", &SchedulerWish { policy })?;
        Ok(())
    }

    fn update(&mut self, component: &Component, file: &Path) -> Result<(), Failure> {
        let name = &component.manifest.name;
        let path = format!("/api/v1/plugins/{}", segment(name));
        let known: Result<PluginDetails, ClientError> = self.client.get(&path);
        let updates = match known {
            Ok(_) => Some(name.clone()),
            Err(ClientError::Refused { status: 404, .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let terms = Terms {
            yes: self.wish.yes || self.agreed,
            grants: self.wish.grants.clone(),
            accepts: self.wish.accepts.clone(),
            signature: None,
            sha256: None,
        };
        let source = file.to_str();
        let source = source.ok_or_else(|| Failure::usage("the path is not UTF-8"))?;
        match updates {
            Some(name) => consent::update(self.client, &name, Some(source), terms)?,
            None => consent::add(self.client, source, terms)?,
        }
        self.agreed = true;
        Ok(())
    }

    /// The lines of the log that name this plugin.
    fn show(&self, line: &str) -> Result<(), Failure> {
        let Ok(entry) = serde_json::from_str::<LogEntry>(line) else {
            return Ok(());
        };
        if entry.message.contains(&self.name) {
            say(logs::render(&entry, Paint::for_stdout()))?;
        }
        Ok(())
    }

    /// The scheduler that was in charge before is again.
    fn put_back(&self) {
        let Some(before) = &self.before else { return };
        let wish = SchedulerWish {
            policy: Some(before.clone()),
        };
        let back: Result<Schedulers, ClientError> =
            self.client.post("/api/v1/scheduler/use", &wish);
        match back {
            Ok(_) => complain(&printable(&format!("`{before}` decides again"))),
            Err(error) => complain(&printable(&format!(
                "`{before}` could not be put back in charge: {error}"
            ))),
        }
    }
}

/// A round that failed ends nothing.
fn tell(failure: Failure) {
    let _ = failure.report(Paint::for_stderr());
}

/// Everything in a project but what is built or installed in it.
fn sources(dir: &Path) -> Result<Sources, Failure> {
    let unread = |path: &Path, error: &std::io::Error| {
        Failure::new(format!("could not list `{}`: {error}", path.display()))
    };
    let mut found = Sources::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| unread(&folder, &error))? {
            let entry = entry.map_err(|error| unread(&folder, &error))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // Without links: one could lead out of the project.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                if !name.starts_with('.') && !PLUGIN_BUILDS.contains(&name.as_ref()) {
                    folders.push(entry.path());
                }
                continue;
            }
            let made = name.ends_with(".wasm") || name.ends_with(".lock") || name.starts_with('.');
            if metadata.is_file() && !made {
                found.insert(entry.path(), (metadata.modified().ok(), metadata.len()));
            }
            if found.len() > DEV_FILES {
                let message = format!(
                    "`{}` has more than {DEV_FILES} files, which is no plugin's project",
                    dir.display()
                );
                return Err(Failure::new(message));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_no_source() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "text").unwrap();
        };
        for path in ["src/lib.rs", "plugin.toml", "wit/scheduler.wit"] {
            write(path);
        }
        let before = sources(dir.path()).unwrap();
        assert_eq!(before.len(), 3);
        for path in ["target/a", "build/b", "calm.wasm", "Cargo.lock", ".git/x"] {
            write(path);
        }
        assert_eq!(sources(dir.path()).unwrap(), before);
        write("src/new.rs");
        assert_ne!(sources(dir.path()).unwrap(), before);
    }
}
