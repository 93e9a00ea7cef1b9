//! Backups: everything that makes this node what it is, in one file, and putting it back.
//!
//! Decides what goes in (`collect`), how a file proves that it is whole and who can read it (`sealed`), in which order it is put
//! back (`restore`), and when the agent makes one by itself (`schedule`). Models' weights stay out; their list goes in.

mod collect;
mod error;
mod listing;
mod restore;
mod schedule;
mod sealed;

use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

pub use self::collect::{Model, Source, pack};
pub use self::error::BackupError;
pub use self::listing::{Listed, Whole, list};
pub use self::restore::{Found, inspect, is_half_done, restore, verify};
pub use self::schedule::{Backups, Standing};
pub use self::sealed::Head;

use self::error::file;
use crate::agent::Agent;
use crate::keeper::{FollowError, Keeper};
use crate::keys::unix_now_s;
use crate::limits::BACKUP_PASSPHRASE_BYTES;
use crate::models::Catalogue;
use crate::paths::Paths;
use crate::store::EngineKind;

/// What a backup of a running agent is made of, as of now.
///
/// # Errors
/// When its state cannot be read.
pub async fn of_agent(agent: &Agent) -> Result<Source, BackupError> {
    let cluster = match agent.cluster.snapshot().await {
        Ok(snapshot) => Some(snapshot),
        Err(FollowError::Empty) => None,
        Err(error) => return Err(BackupError::State(error.to_string())),
    };
    let log = agent.paths.cluster().join("log");
    Ok(Source {
        paths: agent.paths.clone(),
        config: agent.setup.config_file(),
        node: agent.node.to_string(),
        node_name: agent.cluster.name(),
        cluster,
        engine: EngineKind::choose(agent.settings.state.engine, &log)
            .name()
            .to_owned(),
        models: models(&agent.catalogue),
        now_unix_s: unix_now_s(),
    })
}

/// The same where no agent runs. The caller holds the lock.
///
/// # Errors
/// When there is nothing, or it cannot be read.
pub async fn of_home(paths: &Paths) -> Result<Source, BackupError> {
    let identity = paths.identity_file();
    if !identity.is_file() {
        let why = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(file("read", &identity)(why));
    }
    let identity = crate::identity::Identity::load_or_create(paths)
        .map_err(|error| BackupError::Own(error.to_string()))?;
    let log = paths.cluster().join("log");
    let engine = EngineKind::choose(None, &log);
    let failed = |error: String| BackupError::State(error);
    let mut cluster = None;
    if log.exists() {
        let opened = Keeper::open(&log, engine, identity.node()).await;
        let (keeper, _) = opened.map_err(|error| failed(error.to_string()))?;
        let found = keeper.snapshot().await;
        keeper.close().await;
        cluster = match found {
            Ok(snapshot) => Some(snapshot),
            Err(FollowError::Empty) => None,
            Err(error) => return Err(failed(error.to_string())),
        };
    }
    let catalogue = Catalogue::open(&paths.models()).map_err(|error| failed(error.to_string()))?;
    Ok(Source {
        paths: paths.clone(),
        config: paths.config_file(),
        node: identity.node().to_string(),
        node_name: String::new(),
        cluster,
        engine: engine.name().to_owned(),
        models: models(&catalogue),
        now_unix_s: unix_now_s(),
    })
}

/// The first line of a file.
///
/// # Errors
/// When there is none, or nothing in it.
pub fn passphrase(path: &Path) -> Result<Zeroizing<String>, BackupError> {
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path)
        .and_then(|opened| {
            opened
                .take(BACKUP_PASSPHRASE_BYTES)
                .read_to_string(&mut text)
        })
        .map_err(file("read", path))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        let why = std::io::Error::other("its first line, the passphrase, is empty");
        return Err(file("use", path)(why));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

fn models(catalogue: &Catalogue) -> Vec<Model> {
    let listing = catalogue.list();
    let models = listing.map(|listing| listing.models).unwrap_or_default();
    let models = models.iter().map(|model| Model {
        name: model.name().to_string(),
        source: model.source().to_owned(),
        bytes: model.bytes(),
    });
    models.collect()
}
