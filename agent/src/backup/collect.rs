//! What goes into a backup.
//!
//! Decides that by what is left out: everything of this node's state goes in but what means something to the running agent alone
//! and what can be had again. Models' weights stay out; their list goes in.

use std::fs;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tar::{Builder, EntryType, Header};

use super::BackupError;
use super::error::file;
use super::sealed::{Head, VERSION, Writer};
use crate::keeper::Snapshot;
use crate::limits::{BACKUP_BYTES_MAX, BACKUP_FILE_BYTES_MAX, BACKUP_FILES_MAX};
use crate::paths::Paths;

/// What a backup is made of, besides the files.
#[derive(Debug)]
pub struct Source {
    pub paths: Paths,
    /// The operator's file.
    pub config: PathBuf,
    pub node: String,
    pub node_name: String,
    /// The cluster's state; none: there was never one.
    pub cluster: Option<Snapshot>,
    /// What keeps the cluster's log: `sled` or `redb`.
    pub engine: String,
    pub models: Vec<Model>,
    pub now_unix_s: u64,
}

/// A model whose weights are not in the backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    pub name: String,
    /// Where it came from: what `skep pull` takes.
    pub source: String,
    pub bytes: u64,
}

/// The first file in a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Contents {
    pub(super) engine: String,
    pub(super) models: Vec<Model>,
}

/// Writes all of it. What `out` has then is whole.
///
/// # Errors
/// When something cannot be read or written; what was written is no backup.
pub fn pack<W: Write>(source: &Source, out: W, passphrase: Option<&str>) -> Result<W, BackupError> {
    let mut head = Head {
        version: VERSION,
        made_unix_s: source.now_unix_s,
        by: env!("CARGO_PKG_VERSION").to_owned(),
        node: source.node.clone(),
        node_name: source.node_name.clone(),
        sealed: None,
    };
    let writer = Writer::new(out, &mut head, passphrase)?;
    let packed = zstd::Encoder::new(writer, LEVEL).map_err(BackupError::Write)?;
    let mut archive = Archive {
        tar: Builder::new(packed),
        bytes: 0,
        files: 0,
    };
    let contents = Contents {
        engine: source.engine.clone(),
        models: source.models.clone(),
    };
    let contents = serde_json::to_vec_pretty(&contents)
        .map_err(|error| BackupError::Own(error.to_string()))?;
    archive.add(CONTENTS, &contents)?;
    if let Some(snapshot) = &source.cluster {
        let bytes = postcard::to_stdvec(snapshot);
        let bytes = bytes.map_err(|error| BackupError::State(error.to_string()))?;
        archive.add(CLUSTER, &bytes)?;
    }
    archive.add_file(CONFIG, &source.config)?;
    archive.add_folder(STATE, &source.paths.state, "")?;
    archive.add_folder(PLUGINS, &source.paths.plugins(), "")?;
    let packed = archive.tar.into_inner().map_err(BackupError::Write)?;
    let writer = packed.finish().map_err(BackupError::Write)?;
    writer.finish().map_err(BackupError::Write)
}

struct Archive<W: Write> {
    tar: Builder<W>,
    bytes: u64,
    files: usize,
}

impl<W: Write> Archive<W> {
    fn add(&mut self, name: &str, content: &[u8]) -> Result<(), BackupError> {
        self.bytes += content.len() as u64;
        self.files += 1;
        if self.bytes > BACKUP_BYTES_MAX || self.files > BACKUP_FILES_MAX {
            let why = "this node's state is larger than what a backup takes".to_owned();
            return Err(BackupError::Own(why));
        }
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o600);
        header.set_size(content.len() as u64);
        self.tar
            .append_data(&mut header, name, content)
            .map_err(BackupError::Write)
    }

    /// A file as it is now; all of ours are replaced as a whole.
    fn add_file(&mut self, name: &str, path: &Path) -> Result<(), BackupError> {
        let opened = match fs::File::open(path) {
            // It went meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(file("read", path))?,
        };
        let mut content = Vec::new();
        let read = opened
            .take(BACKUP_FILE_BYTES_MAX + 1)
            .read_to_end(&mut content)
            .map_err(file("read", path))?;
        if read as u64 > BACKUP_FILE_BYTES_MAX {
            let why = format!("`{}` is too large for a backup", path.display());
            return Err(BackupError::Own(why));
        }
        self.add(name, &content)
    }

    fn add_folder(&mut self, name: &str, folder: &Path, below: &str) -> Result<(), BackupError> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(file("read", folder))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(file("read", folder))?;
            let kind = entry.file_type().map_err(file("read", folder))?;
            // Links, sockets and the like are none of ours.
            if kind.is_dir() || kind.is_file() {
                found.push((
                    entry.file_name().to_string_lossy().into_owned(),
                    kind.is_dir(),
                ));
            }
        }
        found.sort();
        for (entry, is_folder) in found {
            let within = match below {
                "" => entry.clone(),
                below => format!("{below}/{entry}"),
            };
            if name == STATE && is_left_out(&within) || entry.starts_with(".new-") {
                continue;
            }
            let path = folder.join(&entry);
            match is_folder {
                true => self.add_folder(name, &path, &within)?,
                false => self.add_file(&format!("{name}/{within}"), &path)?,
            }
        }
        Ok(())
    }
}

/// Of this node's state: what belongs to the agent that runs, what is in the snapshot of the cluster, and what earlier restores
/// put aside.
fn is_left_out(within: &str) -> bool {
    let exact = [
        "agent.lock",
        "skep.log",
        "skep.log.old",
        "sessions.json",
        "backup.json",
        RESTORING,
    ];
    let begins = ["cluster/log", BEFORE, STAGED, "cluster.before"];
    exact.contains(&within) || begins.iter().any(|one| within.starts_with(one))
}

pub(super) const CONTENTS: &str = "contents.json";
pub(super) const CLUSTER: &str = "cluster-state";
pub(super) const CONFIG: &str = "config.toml";
pub(super) const STATE: &str = "state";
pub(super) const PLUGINS: &str = "plugins";

/// There while files are put in place.
pub(super) const RESTORING: &str = "restoring";
/// What was there before a restore.
pub(super) const BEFORE: &str = "before-restore-";
/// What is to be put in place.
pub(super) const STAGED: &str = "restore.new";

/// Backups are small; what is in them is text and components, which this takes to a third.
const LEVEL: i32 = 9;
