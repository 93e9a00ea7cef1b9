//! Opening a log: making it, checking it, and setting it aside when it is not what was written.
//!
//! A log is made under another name and takes its own only when it is whole, with its witness; so a
//! crash at any moment leaves either the old folder or a complete new one.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::engine::{EngineError, EngineKind, Guarded};
use super::error::StoreError;
use super::log::Log;
use super::verify::{self, Broken};
use super::witness::Witness;
use crate::keys::unix_now_s;
use crate::limits::STORE_DAMAGED_MAX;
use crate::paths::{beside, remove_folder, rename_durably};

/// What opening found.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// Which engine keeps the log.
    pub engine: EngineKind,
    /// It was made just now.
    pub new: bool,
    /// The oldest record that is kept; one more than `last` when none is.
    pub first: u64,
    /// The newest record; 0 when there never was one.
    pub last: u64,
    /// The newest record in the snapshot.
    pub snapshot: Option<u64>,
    /// What was wrong with the log that was here.
    pub damage: Option<Damage>,
    /// Every damaged log that lies aside, from now and from before.
    pub set_aside: Vec<PathBuf>,
    /// How long it took.
    pub took: Duration,
}

/// A log that was not what was written.
#[derive(Clone, Debug)]
pub struct Damage {
    /// A sentence for people.
    pub why: String,
    /// Where it lies now.
    pub set_aside: PathBuf,
    /// Up to this record it was carried over.
    pub carried: u64,
    /// Up to this record it had been acknowledged, as far as that can be told.
    pub acknowledged: Option<u64>,
}

/// Opens the log in this folder, or makes one. Returns the lock as well, to be held as long as the log.
pub(super) fn open(folder: &Path, kind: EngineKind) -> Result<(Log, File, Recovered), StoreError> {
    let start = Instant::now();
    let failed = |error: io::Error| StoreError::open(folder, &error);
    let lock = lock(folder)?;
    settle(folder).map_err(failed)?;
    let new = !folder.exists();
    if new {
        let place = beside(folder, ".new");
        // Closed again, since engines remember the name under which they were opened.
        drop(create(&place, kind).map_err(|error| StoreError::Open {
            path: folder.to_owned(),
            why: error.to_string(),
        })?);
        rename_durably(&place, folder).map_err(failed)?;
    }
    let (log, damage) = match attempt(folder, kind)? {
        Ok(log) => (log, None),
        Err(broken) => {
            let damage = rebuild(folder, kind, broken)?;
            match attempt(folder, kind)? {
                Ok(log) => (log, Some(damage)),
                Err(again) => return Err(StoreError::Damaged(again.why)),
            }
        }
    };
    let recovered = Recovered {
        engine: kind,
        new,
        first: log.first(),
        last: log.last(),
        snapshot: log.snapshot_index(),
        damage,
        set_aside: set_aside(folder).map_err(failed)?,
        took: start.elapsed(),
    };
    Ok((log, lock, recovered))
}

/// A log that is not whole, with what of it could be opened.
struct Ruin {
    why: String,
    engine: Option<Guarded>,
}

/// Opens and checks what is there.
fn attempt(folder: &Path, kind: EngineKind) -> Result<Result<Log, Ruin>, StoreError> {
    let failed = |error: io::Error| StoreError::open(folder, &error);
    let place = kind.place(folder);
    if !place.exists()
        && let Some(found) = EngineKind::ALL
            .into_iter()
            .find(|other| other.place(folder).exists())
    {
        return Err(StoreError::OtherEngine {
            path: folder.to_owned(),
            found,
        });
    }
    let (witness, acknowledged) = match Witness::open(&folder.join(WITNESS)) {
        Ok((witness, head)) => (Some(witness), head),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (None, None),
        Err(error) => return Err(failed(error)),
    };
    let engine = match Guarded::open(kind, &place) {
        Ok(engine) => engine,
        Err(EngineError::System(error)) => return Err(failed(error)),
        Err(EngineError::Damaged(why)) => {
            let engine = Guarded::open_damaged(kind, &place);
            return Ok(Err(Ruin { why, engine }));
        }
    };
    let head = match verify::whole(&engine, acknowledged.as_ref()) {
        Ok(head) => head,
        Err(Broken::System(error)) => {
            engine.give_up();
            return Err(failed(error));
        }
        Err(Broken::Damaged(why)) => {
            engine.give_up();
            let engine = Some(engine);
            return Ok(Err(Ruin { why, engine }));
        }
    };
    let witness = match witness {
        Some(witness) => {
            // Also where the last commit reached the engine alone: it counts from now on.
            witness.write(&head).map_err(failed)?;
            witness
        }
        None => Witness::create(&folder.join(WITNESS), &head).map_err(failed)?,
    };
    sync(folder).map_err(failed)?;
    Ok(Ok(Log::checked(engine, witness, head)))
}

/// Carries what is whole into a new log, sets the old one aside, and gives the new one its name.
fn rebuild(folder: &Path, kind: EngineKind, ruin: Ruin) -> Result<Damage, StoreError> {
    let failed = |error: io::Error| StoreError::open(folder, &error);
    let before = set_aside(folder).map_err(failed)?;
    if before.len() >= STORE_DAMAGED_MAX {
        return Err(StoreError::TooMuchDamage {
            path: folder.to_owned(),
            why: ruin.why,
            count: before.len(),
        });
    }
    let witness = Witness::open(&folder.join(WITNESS));
    let acknowledged = witness.ok().and_then(|(_, head)| head);
    let place = beside(folder, ".new");
    let mut new = create(&place, kind).map_err(|error| StoreError::Open {
        path: place.clone(),
        why: error.to_string(),
    })?;
    let carried = match &ruin.engine {
        Some(engine) => verify::carry(engine, acknowledged.as_ref(), &mut new)?,
        None => verify::carry_values(acknowledged.as_ref(), &mut new)?,
    };
    drop(new);
    let mut seconds = unix_now_s();
    let mut aside = beside(folder, &format!("{DAMAGED}{seconds}"));
    while aside.exists() {
        seconds += 1;
        aside = beside(folder, &format!("{DAMAGED}{seconds}"));
    }
    rename_durably(folder, &aside).map_err(failed)?;
    rename_durably(&place, folder).map_err(failed)?;
    let damage = Damage {
        why: ruin.why,
        set_aside: aside,
        carried,
        acknowledged: acknowledged.map(|head| head.last),
    };
    tracing::error!(
        why = damage.why,
        set_aside = %damage.set_aside.display(),
        carried = damage.carried,
        acknowledged = damage.acknowledged,
        "the log was damaged; what was whole is kept, the rest is set aside"
    );
    Ok(damage)
}

/// Makes an empty log in a place that may hold the remains of an earlier attempt.
fn create(place: &Path, kind: EngineKind) -> Result<Log, EngineError> {
    remove_folder(place)?;
    DirBuilder::new().mode(0o700).create(place)?;
    let engine = Guarded::open(kind, &kind.place(place))?;
    let log = Log::create(engine, &place.join(WITNESS))?;
    sync(place)?;
    Ok(log)
}

/// Ends what a crash left half done. Without a witness a new log holds nothing; where the name is
/// taken, the log of that name still has everything that the new one would.
fn settle(folder: &Path) -> io::Result<()> {
    let place = beside(folder, ".new");
    if !place.exists() {
        return Ok(());
    }
    if !folder.exists() && matches!(Witness::open(&place.join(WITNESS)), Ok((_, Some(_)))) {
        return rename_durably(&place, folder);
    }
    remove_folder(&place)
}

fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = beside(folder, ".lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| StoreError::open(folder, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Busy(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(StoreError::open(folder, &error)),
    }
}

/// Every damaged log beside this folder, oldest first.
fn set_aside(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
        return Ok(Vec::new());
    };
    let beginning = format!("{}{DAMAGED}", name.to_string_lossy());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(parent)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&beginning) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

const WITNESS: &str = "witness";
const DAMAGED: &str = ".damaged-";
