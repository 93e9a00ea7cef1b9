//! Putting a backup back in place of what is there.
//!
//! Decides the order: all of the backup is checked and unpacked beside what is there before anything of that moves; what is there
//! is kept under another name; and no agent starts on a half of it.

use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use super::BackupError;
use super::collect::{
    BEFORE, CLUSTER, CONFIG, CONTENTS, Contents, Model, PLUGINS, RESTORING, STAGED, STATE,
};
use super::error::file;
use super::sealed::{Head, Reader, check};
use crate::keeper::Snapshot;
use crate::keys::unix_now_s;
use crate::limits::{BACKUP_BYTES_MAX, BACKUP_FILE_BYTES_MAX, BACKUP_FILES_MAX};
use crate::paths::{Paths, private_folder, remove_folder, rename_durably, replace_durably};
use crate::store::{EngineKind, Store};

/// What is in a backup.
#[derive(Debug)]
pub struct Found {
    pub head: Head,
    pub models: Vec<Model>,
    /// Its files, by their names within it.
    pub files: Vec<String>,
    pub bytes: u64,
}

/// Looks whether a file is a whole backup; its content is not opened.
///
/// # Errors
/// When it is not.
pub fn verify(path: &Path) -> Result<Head, BackupError> {
    let mut opened = fs::File::open(path).map_err(file("read", path))?;
    check(&mut opened)
}

/// Looks through all of a backup. Nothing is changed.
///
/// # Errors
/// When it is not whole, not opened by the passphrase, or has what none has.
pub fn inspect(path: &Path, passphrase: Option<&str>) -> Result<Found, BackupError> {
    unpack(path, passphrase, None)
}

/// Puts it in place. No agent may run on these folders: the caller holds the lock. Where what was there lies then.
///
/// # Errors
/// Before anything was moved, as for [`inspect`]; after that the error names the file, and the same again goes on.
pub async fn restore(
    path: &Path,
    passphrase: Option<&str>,
    paths: &Paths,
    config: &Path,
) -> Result<(Found, PathBuf), BackupError> {
    let staged = paths.state.join(STAGED);
    remove_folder(&staged).map_err(file("remove", &staged))?;
    private_folder(&staged).map_err(file("make", &staged))?;
    let found = match unpack(path, passphrase, Some(&staged)) {
        Ok(found) => found,
        Err(error) => {
            let _ = remove_folder(&staged);
            return Err(error);
        }
    };
    prepare_cluster(&staged).await?;
    own_as(&staged, &paths.state)?;
    let (state, now) = (&paths.state, unix_now_s());
    let before = state.join(format!("{BEFORE}{now}"));
    private_folder(&before).map_err(file("make", &before))?;
    let marker = state.join(RESTORING);
    replace_durably(&marker, b"a backup is being put back\n").map_err(file("write", &marker))?;
    // Everything of the state, but what belongs to whoever holds the lock.
    for entry in fs::read_dir(state).map_err(file("read", state))? {
        let entry = entry.map_err(file("read", state))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let stays = [RESTORING, STAGED, "agent.lock"].contains(&name.as_str())
            || name.starts_with(BEFORE)
            || name.starts_with("skep.log");
        if !stays {
            shift(&entry.path(), &before.join(&name))?;
        }
    }
    for (from, name) in [(config.to_owned(), CONFIG), (paths.plugins(), PLUGINS)] {
        if from.exists() {
            shift(&from, &before.join(format!("{name}.outside")))?;
        }
    }
    let unpacked = staged.join(STATE);
    if unpacked.is_dir() {
        for entry in fs::read_dir(&unpacked).map_err(file("read", &unpacked))? {
            let entry = entry.map_err(file("read", &unpacked))?;
            shift(&entry.path(), &state.join(entry.file_name()))?;
        }
    }
    if let Some(folder) = config.parent() {
        fs::create_dir_all(folder).map_err(file("make", folder))?;
    }
    private_folder(&paths.data).map_err(file("make", &paths.data))?;
    for (name, to) in [(CONFIG, config.to_owned()), (PLUGINS, paths.plugins())] {
        let from = staged.join(name);
        if from.exists() {
            shift(&from, &to)?;
        }
    }
    remove_folder(&staged).map_err(file("remove", &staged))?;
    fs::remove_file(&marker).map_err(file("remove", &marker))?;
    fs::File::open(state)
        .and_then(|folder| folder.sync_all())
        .map_err(file("write", state))?;
    Ok((found, before))
}

/// Whether a restore was cut off, so that what is there is neither the old nor the new.
#[must_use]
pub fn is_half_done(paths: &Paths) -> bool {
    paths.state.join(RESTORING).exists()
}

/// The cluster's log, anew from what all of its entries came to; and a life later than every one before.
async fn prepare_cluster(staged: &Path) -> Result<(), BackupError> {
    let path = staged.join(CLUSTER);
    let Ok(bytes) = fs::read(&path) else {
        return Ok(());
    };
    let odd = |error: String| BackupError::Odd(format!("the cluster's state: {error}"));
    let snapshot: Snapshot =
        postcard::from_bytes(&bytes).map_err(|error| odd(error.to_string()))?;
    skep_core::state::State::decode(&snapshot.base.content)
        .map_err(|error| odd(error.to_string()))?;
    let contents = fs::read(staged.join(CONTENTS)).map_err(file("read", staged))?;
    let contents: Contents =
        serde_json::from_slice(&contents).map_err(|error| odd(error.to_string()))?;
    let engine = EngineKind::named(&contents.engine).ok_or_else(|| {
        odd(format!(
            "no engine is called `{}`",
            contents.engine.escape_debug()
        ))
    })?;
    let folder = staged.join(STATE).join("cluster");
    private_folder(&folder).map_err(file("make", &folder))?;
    let log = folder.join("log");
    let opened = tokio::task::spawn_blocking(move || Store::open(&log, engine)).await;
    let opened = opened.map_err(|error| BackupError::Own(error.to_string()))?;
    let (store, _) = opened.map_err(|error| BackupError::State(error.to_string()))?;
    let installed = store.install_snapshot(snapshot.base).await;
    store.close().await;
    installed.map_err(|error| BackupError::State(error.to_string()))?;
    let generation = folder.join("generation");
    let later =
        postcard::to_stdvec(&unix_now_s()).map_err(|error| BackupError::Own(error.to_string()))?;
    replace_durably(&generation, &later).map_err(file("write", &generation))
}

/// Reads all of it, into a folder where one is given.
fn unpack(
    path: &Path,
    passphrase: Option<&str>,
    into: Option<&Path>,
) -> Result<Found, BackupError> {
    let mut opened = fs::File::open(path).map_err(file("read", path))?;
    let head = check(&mut opened)?;
    let reader = Reader::new(opened, passphrase)?;
    let unzipped = zstd::Decoder::new(reader).map_err(unreadable)?;
    let mut archive = tar::Archive::new(unzipped.take(BACKUP_BYTES_MAX + (1 << 20)));
    let mut found = Found {
        head,
        models: Vec::new(),
        files: Vec::new(),
        bytes: 0,
    };
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let name = entry.path().map_err(unreadable)?.into_owned();
        let shown = name.display().to_string();
        let plain = name
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let ours = [CONTENTS, CLUSTER, CONFIG].contains(&shown.as_str())
            || name.starts_with(STATE)
            || name.starts_with(PLUGINS);
        if !plain || !ours || !entry.header().entry_type().is_file() {
            return Err(BackupError::Odd(format!("`{}`", shown.escape_debug())));
        }
        found.bytes = found.bytes.saturating_add(entry.size());
        if entry.size() > BACKUP_FILE_BYTES_MAX
            || found.bytes > BACKUP_BYTES_MAX
            || found.files.len() >= BACKUP_FILES_MAX
        {
            return Err(BackupError::Odd("more than any backup has".to_owned()));
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(unreadable)?;
        if shown == CONTENTS {
            let contents: Contents = serde_json::from_slice(&content)
                .map_err(|error| BackupError::Odd(format!("`{CONTENTS}`: {error}")))?;
            found.models = contents.models;
        }
        if let Some(into) = into {
            let to = into.join(&name);
            if let Some(folder) = to.parent() {
                private_folder(folder).map_err(file("make", folder))?;
            }
            replace_durably(&to, &content).map_err(file("write", &to))?;
        }
        found.files.push(shown);
    }
    Ok(found)
}

fn unreadable(error: std::io::Error) -> BackupError {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => BackupError::Passphrase,
        _ => BackupError::Read(error),
    }
}

/// Gives all of it to whom the other folder belongs, where root puts a backup back for a service.
fn own_as(folder: &Path, other: &Path) -> Result<(), BackupError> {
    use std::os::unix::fs::MetadataExt as _;
    let (ours, theirs) = (
        fs::metadata(folder).map_err(file("read", folder))?,
        fs::metadata(other).map_err(file("read", other))?,
    );
    if (ours.uid(), ours.gid()) == (theirs.uid(), theirs.gid()) {
        return Ok(());
    }
    let mut left = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        std::os::unix::fs::chown(&path, Some(theirs.uid()), Some(theirs.gid()))
            .map_err(file("give away", &path))?;
        if path.is_dir() {
            for entry in fs::read_dir(&path).map_err(file("read", &path))? {
                left.push(entry.map_err(file("read", &path))?.path());
            }
        }
    }
    Ok(())
}

/// Renames, also from one file system to another.
fn shift(from: &Path, to: &Path) -> Result<(), BackupError> {
    match rename_durably(from, to) {
        Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {}
        moved => return moved.map_err(file("move", from)),
    }
    if from.is_dir() {
        private_folder(to).map_err(file("make", to))?;
        for entry in fs::read_dir(from).map_err(file("read", from))? {
            let entry = entry.map_err(file("read", from))?;
            shift(&entry.path(), &to.join(entry.file_name()))?;
        }
        return fs::remove_dir(from).map_err(file("remove", from));
    }
    let content = fs::read(from).map_err(file("read", from))?;
    replace_durably(to, &content).map_err(file("write", to))?;
    fs::remove_file(from).map_err(file("remove", from))
}
