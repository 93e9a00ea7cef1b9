//! Journals on the disk: one file for each run, one line for each record, with its length and the beginning of its digest.
//!
//! Decides when a record counts as written: once the file is on the disk, and at the first also its folder. A last line that is torn
//! is what a crash leaves and counts as never written; anything else that is wrong is damage, told and set aside, never deleted.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use skep_core::install::{Nonsense, Record, Run, RunId};

use super::kept::{Kept, sha256};
use super::{ActError, crash};
use crate::limits::{JOURNAL_BYTES_MAX, JOURNALS_MAX};
use crate::paths::{open_private, private_folder};

mod old;

/// How a journal's file ends.
const ENDING: &str = ".journal";

/// A run that this process carries out: nobody else may meanwhile.
#[derive(Debug)]
pub(super) struct JournalFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// A record could not be written, nor could what there is of it be removed.
    broken: bool,
    run: Run,
    _alone: File,
}

/// What is kept beside the journals of a folder. Nothing is made until something is kept.
pub(super) fn kept(folder: &Path) -> Kept {
    Kept::at(folder.join("kept"))
}

impl JournalFile {
    /// A new journal with its first record, which is durable when this returns.
    pub(super) fn create(folder: &Path, run: &RunId, first: Record) -> Result<Self, ActError> {
        let alone = alone(folder)?;
        let path = folder.join(format!("{run}{ENDING}"));
        if path.exists() {
            return Err(ActError::RunExists(run.clone()));
        }
        old::prune(folder)?;
        let names = names(folder)?;
        if names.len() >= JOURNALS_MAX {
            return Err(ActError::TooManyRuns(names.len()));
        }
        let line = line(&first)?;
        let run = Run::begin(first)?;
        // Under its name only once it is whole. What a crash left is nobody's now: we are alone.
        let fresh = folder.join(".begun");
        let failed = |source| ActError::Journal {
            path: folder.to_owned(),
            source,
        };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)
            .map_err(failed)?;
        crash::point();
        file.write_all(&line).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        file.lock().map_err(failed)?;
        crash::point();
        std::fs::rename(&fresh, &path).map_err(failed)?;
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed)?;
        crash::point();
        Ok(Self {
            path,
            bytes: line.len() as u64,
            file,
            broken: false,
            run,
            _alone: alone,
        })
    }

    /// A journal that is there, to go on with.
    pub(super) fn open(folder: &Path, run: &RunId) -> Result<Self, ActError> {
        let alone = alone(folder)?;
        let path = folder.join(format!("{run}{ENDING}"));
        let failed = failed(folder);
        let mut file = match File::options().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ActError::NoRun(run.clone()));
            }
            Err(error) => return Err(failed(error)),
        };
        let (run, bytes) = match replay(&mut file) {
            Ok(found) => found,
            Err(Unreadable::Io(error)) => return Err(failed(error)),
            Err(Unreadable::Damaged(why)) => return Err(set_aside(&path, why)),
        };
        let whole = |file: &mut File| {
            // Whoever only looks holds it for a moment.
            file.lock()?;
            file.set_len(bytes)?;
            file.seek(SeekFrom::Start(bytes))?;
            file.sync_all()
        };
        whole(&mut file).map_err(failed)?;
        Ok(Self {
            path,
            file,
            bytes,
            broken: false,
            run,
            _alone: alone,
        })
    }

    /// What it says so far.
    pub(super) fn run(&self) -> &Run {
        &self.run
    }

    /// Writes a record; it is durable when this returns, and nothing has changed when it fails.
    pub(super) fn write(&mut self, record: Record) -> Result<(), ActError> {
        let mut after = self.run.clone();
        let line = line(&record)?;
        after.admit(record)?;
        if self.broken || self.bytes + line.len() as u64 > JOURNAL_BYTES_MAX {
            return Err(failed(&self.path)(io::ErrorKind::FileTooLarge.into()));
        }
        crash::point();
        crash::point_after(|| {
            let half = line.get(..line.len() / 2).unwrap_or_default();
            let _ = self
                .file
                .write_all(half)
                .and_then(|()| self.file.sync_all());
        });
        let written = self
            .file
            .write_all(&line)
            .and_then(|()| self.file.sync_all());
        if let Err(error) = written {
            let back = self.file.set_len(self.bytes);
            let back = back.and_then(|()| self.file.seek(SeekFrom::Start(self.bytes)));
            self.broken = back.is_err();
            return Err(failed(&self.path)(error));
        }
        crash::point();
        self.bytes += line.len() as u64;
        self.run = after;
        Ok(())
    }
}

/// One run, as far as its journal has it.
pub(super) fn read(folder: &Path, run: &RunId) -> Result<Run, ActError> {
    let path = folder.join(format!("{run}{ENDING}"));
    look(&path)?
        .map(|(run, _)| run)
        .ok_or_else(|| ActError::NoRun(run.clone()))
}

/// Every run, the oldest first, and whether a process is at it.
pub(super) fn all(folder: &Path) -> Result<Vec<(Run, bool)>, ActError> {
    let mut runs = Vec::new();
    for name in names(folder)? {
        match look(&folder.join(name)) {
            Ok(run) => runs.extend(run),
            Err(error @ ActError::Damaged { .. }) => {
                tracing::error!(%error, "a journal of an installation is damaged");
            }
            Err(error) => return Err(error),
        }
    }
    runs.sort_by(|(one, _), (two, _)| (one.at_unix_s, &one.id).cmp(&(two.at_unix_s, &two.id)));
    Ok(runs)
}

fn look(path: &Path) -> Result<Option<(Run, bool)>, ActError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path)(error)),
    };
    let busy = match file.try_lock_shared() {
        Ok(()) => false,
        Err(TryLockError::WouldBlock) => true,
        Err(TryLockError::Error(error)) => return Err(failed(path)(error)),
    };
    match replay(&mut file) {
        Ok((run, _)) => Ok(Some((run, busy))),
        Err(Unreadable::Io(error)) => Err(failed(path)(error)),
        Err(Unreadable::Damaged(why)) => Err(set_aside(path, why)),
    }
}

fn names(folder: &Path) -> Result<Vec<String>, ActError> {
    let mut names = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
        Err(error) => return Err(failed(folder)(error)),
    };
    for entry in entries {
        let name = entry.map_err(failed(folder))?.file_name();
        let journal = name.to_str().filter(|name| {
            name.strip_suffix(ENDING)
                .is_some_and(|id| id.parse::<RunId>().is_ok())
        });
        names.extend(journal.map(str::to_owned));
        if names.len() > JOURNALS_MAX {
            return Err(ActError::TooManyRuns(names.len()));
        }
    }
    Ok(names)
}

/// One process carries something out here at a time.
fn alone(folder: &Path) -> Result<File, ActError> {
    private_folder(folder).map_err(failed(folder))?;
    kept(folder).make().map_err(failed(folder))?;
    let file = open_private(&folder.join("lock")).map_err(failed(folder))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ActError::Busy),
        Err(TryLockError::Error(error)) => Err(failed(folder)(error)),
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> ActError + use<> {
    let path = path.to_owned();
    move |source| ActError::Journal {
        path: path.clone(),
        source,
    }
}

/// Why a journal cannot be read.
enum Unreadable {
    Io(io::Error),
    Damaged(String),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What a journal says, and how many bytes of it are whole.
fn replay(file: &mut File) -> Result<(Run, u64), Unreadable> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(JOURNAL_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > JOURNAL_BYTES_MAX {
        return Err(Unreadable::Damaged(format!(
            "it has more than {JOURNAL_BYTES_MAX} bytes"
        )));
    }
    let (records, whole) = parse(&bytes).map_err(Unreadable::Damaged)?;
    let run = Run::replay(records).map_err(|error| Unreadable::Damaged(error.to_string()))?;
    Ok((run, whole as u64))
}

fn parse(bytes: &[u8]) -> Result<(Vec<Record>, usize), String> {
    let mut records = Vec::new();
    let mut whole = 0;
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        match record(line) {
            Some(record) => records.push(record),
            // Only the last can be torn.
            None if lines.peek().is_none() => break,
            None => {
                return Err(format!(
                    "its line {} is not what was written",
                    records.len() + 1
                ));
            }
        }
        whole += line.len();
    }
    Ok((records, whole))
}

fn record(line: &[u8]) -> Option<Record> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (length, rest) = text.split_once(' ')?;
    let (sum, json) = rest.split_once(' ')?;
    let fits = length.parse() == Ok(json.len()) && sha256(json.as_bytes()).get(..16) == Some(sum);
    fits.then(|| serde_json::from_str(json).ok()).flatten()
}

fn line(record: &Record) -> Result<Vec<u8>, ActError> {
    let json = serde_json::to_string(record)
        .map_err(|error| ActError::Agent(format!("a record cannot be written: {error}")))?;
    let sum = sha256(json.as_bytes());
    let sum = sum.get(..16).unwrap_or_default();
    Ok(format!("{} {sum} {json}\n", json.len()).into_bytes())
}

/// Gives a damaged journal another name, under which it stays.
fn set_aside(path: &Path, why: String) -> ActError {
    let aside = (0..100)
        .map(|number| crate::paths::beside(path, &format!(".damaged-{number}")))
        .find(|aside| !aside.exists());
    let aside = aside.unwrap_or_else(|| path.to_owned());
    if let Err(source) = crate::paths::rename_durably(path, &aside) {
        return failed(path)(source);
    }
    ActError::Damaged {
        path: path.to_owned(),
        aside,
        why,
    }
}

impl From<serde_json::Error> for ActError {
    fn from(error: serde_json::Error) -> Self {
        Self::Nonsense(Nonsense::Order(match error.classify() {
            serde_json::error::Category::Eof => "it ends too early",
            _ => "it is not what was written",
        }))
    }
}

#[cfg(test)]
mod tests;
