//! The life of one service: started when something is asked of it, ended when nothing was for a while, and started again
//! after a death.
//!
//! Decides what a death means, and that a plugin which lost a right that it needs ends at once with all it does.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use skep_core::capability::Capability;
use tokio::sync::watch;

use super::child::{Child, NotOpened};
use super::link::{Begun, Parted, serve};
use super::shared::Shared;
use super::unit::{State, Unit};
use crate::fleet::Backoff;
use crate::limits::{SERVICE_COMPUTING, SERVICE_CONNECT, SERVICE_SILENCE_SLACK};
use crate::plugins::Installed;
use crate::protocol::{Error, OpenService, Rights, ServiceTimeouts};

/// How a life ended.
enum End {
    /// It was told to leave.
    Left,
    /// Nothing was asked of it for a while.
    Idle,
    NotGranted(Vec<Capability>),
    Died {
        ready: Option<Instant>,
        why: String,
    },
}

/// Looks after a service until it is removed.
pub(super) async fn tend(shared: Arc<Shared>, unit: Arc<Unit>) {
    let mut ending = unit.ending();
    let mut backoff = Backoff::default();
    let mailbox = &unit.mailbox;
    loop {
        let end = tokio::select! {
            biased;
            () = told(&mut ending) => End::Left,
            () = mailbox.demanded() => live(&shared, &unit, &mut ending).await,
        };
        match end {
            End::Left => break,
            End::Idle => unit.set_state(State::Idle, None),
            End::NotGranted(missing) => {
                let why = shared.not_granted(&unit.service, &missing);
                tracing::warn!(service = %unit.service.name, plugin = %unit.service.plugin, "{why}");
                unit.set_state(State::NotGranted(missing), None);
                mailbox.lose(|_| mailbox.blame().of(Error::Other(why.clone())));
            }
            End::Died { ready, why } => {
                let chance = getrandom::u32().unwrap_or_default();
                let retry = backoff.on_death(ready, Instant::now(), chance);
                let delay = retry.delay;
                tracing::warn!(service = %unit.service.name, plugin = %unit.service.plugin, attempts = retry.attempts, ?delay, "{why}");
                mailbox.refuse(Some(format!(
                    "{} starts again: {why}",
                    mailbox.blame().who()
                )));
                mailbox.lose(|said| mailbox.blame().gone(&why, said));
                let state = if retry.given_up {
                    State::Failed(why)
                } else {
                    State::Restarting(why)
                };
                unit.set_state(state, None);
                tokio::select! {
                    () = tokio::time::sleep(delay) => {}
                    () = told(&mut ending) => break,
                }
                mailbox.refuse(None);
                unit.set_state(State::Idle, None);
            }
        }
    }
    let who = mailbox.blame().who();
    mailbox.refuse(Some(format!("{who} was removed")));
    mailbox.lose(|said| mailbox.blame().gone("it was removed or changed", said));
    unit.set_state(State::Idle, None);
    unit.set_gone();
}

/// One process's life.
async fn live(shared: &Shared, unit: &Unit, ending: &mut watch::Receiver<bool>) -> End {
    let died = |why: String| End::Died { ready: None, why };
    let started = tokio::select! {
        biased;
        () = told(ending) => return End::Left,
        started = start(shared, unit) => started,
    };
    let (mut child, begun) = match started {
        Ok(started) => started,
        Err(NotStarted::Why(why)) => return died(why),
        Err(NotStarted::Missing(missing)) => return End::NotGranted(missing),
    };
    let ready = Instant::now();
    unit.set_state(State::Running, child.pid());
    let plugin = begun.plugin;
    unit.mailbox.set_served(true);
    let parted = serve(shared, unit, &mut child, begun, ending).await;
    unit.mailbox.set_served(false);
    if let Parted::Ending(why) | Parted::Closed(why) = &parted {
        shared.shelf.trapped(&unit.service.plugin, plugin, why);
    }
    match parted {
        Parted::Idle => {
            child.end().await;
            End::Idle
        }
        Parted::Told => {
            child.kill().await;
            End::Left
        }
        Parted::Revoked(missing) => {
            child.kill().await;
            End::NotGranted(missing)
        }
        Parted::Replaced => {
            child.kill().await;
            let mailbox = &unit.mailbox;
            let why = "its plugin was replaced or removed";
            mailbox.lose(|said| mailbox.blame().gone(why, said));
            // The next version may offer something else.
            unit.refresh.notify_one();
            End::Idle
        }
        Parted::Ending(why) => {
            child.end().await;
            End::Died {
                ready: Some(ready),
                why,
            }
        }
        Parted::Closed(error) => End::Died {
            ready: Some(ready),
            why: child.end().await.unwrap_or(error),
        },
    }
}

/// Why no process is ready.
enum NotStarted {
    Why(String),
    Missing(Vec<Capability>),
}

/// A process with the plugin loaded.
async fn start(shared: &Shared, unit: &Unit) -> Result<(Child, Begun), NotStarted> {
    let why = |error: &dyn std::error::Error| NotStarted::Why(error.to_string());
    let (plugin, wanted) = shared
        .prepared(&unit.service)
        .map_err(|error| why(&error))?;
    let mut compiled = None;
    for attempt in 0..2 {
        // Before each: compiling takes a while.
        let rights = shared
            .rights(&unit.service, &wanted)
            .map_err(NotStarted::Missing)?;
        unit.set_state(State::Starting, None);
        let path = match compiled.take() {
            Some(path) => path,
            None => compile(shared, unit, &plugin).await?,
        };
        let mut child = Child::start(&shared.fleet, &unit.service)
            .await
            .map_err(|error| NotStarted::Why(format!("could not start its process: {error}")))?;
        let open = opening(shared, unit, &plugin, path.clone(), rights.clone());
        match child.open(&unit.service, open).await {
            Ok(()) => {
                let begun = Begun {
                    plugin: plugin.digest,
                    wanted,
                    rights,
                };
                return Ok((child, begun));
            }
            Err(NotOpened::Died(why)) => return Err(NotStarted::Why(why)),
            Err(NotOpened::Stale) if attempt == 0 => shared.fleet.compiled().forget(&path),
            Err(NotOpened::Stale) => {}
        }
    }
    let why = "its plugin does not fit this program even after it was compiled again";
    Err(NotStarted::Why(why.to_owned()))
}

async fn compile(shared: &Shared, unit: &Unit, plugin: &Installed) -> Result<PathBuf, NotStarted> {
    let failed = |why: &dyn std::fmt::Display| {
        let name = &plugin.name;
        NotStarted::Why(format!("the plugin `{name}` could not be compiled: {why}"))
    };
    let component = plugin.component.clone();
    let read = tokio::task::spawn_blocking(move || component.bytes().map(Cow::into_owned));
    let component = read.await.map_err(|error| failed(&error))?;
    let component = component.map_err(|error| failed(&error))?;
    let compiled = shared.fleet.compiled();
    let world = unit.service.kind.world();
    compiled
        .obtain(world, &component)
        .await
        .map_err(|error| failed(&error))
}

fn opening(
    shared: &Shared,
    unit: &Unit,
    plugin: &Installed,
    compiled: PathBuf,
    rights: Rights,
) -> OpenService {
    let service = &unit.service;
    OpenService {
        plugin: service.plugin.clone(),
        world: service.kind.world().name().to_owned(),
        compiled,
        settings: service.values(&plugin.manifest),
        rights,
        own_addresses: shared.own.clone(),
        resolver: None,
        authorities: Vec::new(),
        timeouts: ServiceTimeouts {
            call: service.silence() + SERVICE_SILENCE_SLACK,
            computing: SERVICE_COMPUTING,
            connect: SERVICE_CONNECT,
        },
    }
}

/// Waits for the word to leave.
pub(super) async fn told(ending: &mut watch::Receiver<bool>) {
    // The sender lives in the unit, which the task holds.
    let _ = ending.wait_for(|ending| *ending).await;
}
