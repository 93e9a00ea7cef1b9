//! What was done on each machine, written down before and after, so that it can go on where it was cut off, and
//! be undone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Target;
use crate::limits::SSH_RECORD_BYTES_MAX;
use crate::paths::{private_folder, replace_durably};

/// What was done on one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// In the order in which it was begun.
    pub steps: Vec<Written>,
}

/// A step, and whether it is known to be over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    pub step: Step,
    /// Not so when it was cut off in its middle: it may have been done, or a part of it.
    pub done: bool,
}

/// What is changed on a machine, with all that is needed to undo it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Folders below the user's own that were not there before.
    Folders(Vec<String>),
    /// The program was put there.
    Placed {
        /// Its digest.
        digest: String,
    },
    /// The user's systemd runs it.
    Unit,
    /// It was started by itself.
    Started {
        /// As which process; 0 before that is known.
        pid: u32,
    },
    /// It became a member.
    Joined {
        /// The token that it came with.
        token: String,
        /// Which node it is; empty before that is known.
        node: String,
    },
}

/// The records of all machines, a file each.
#[derive(Clone, Debug)]
pub struct Records(PathBuf);

/// Why it could not be written down, or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file could not be read or written.
    #[error("what was done there could not be written to `{path}`, or read from it")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not what it should be.
    #[error(
        "`{0}`, which says what was done on that machine, is damaged; remove it to begin anew, and what is there by hand"
    )]
    Damaged(PathBuf),
}

impl Step {
    /// Whether it is the same change, whatever became of it.
    fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl Record {
    /// The step of that kind.
    #[must_use]
    pub fn find(&self, like: &Step) -> Option<&Written> {
        self.steps.iter().find(|written| written.step.is_like(like))
    }

    /// Puts it where one of its kind is, or at the end.
    pub(super) fn put(&mut self, step: Step, done: bool) {
        let written = Written { step, done };
        let old = self
            .steps
            .iter_mut()
            .find(|old| old.step.is_like(&written.step));
        match old {
            Some(old) => *old = written,
            None => self.steps.push(written),
        }
    }

    /// That these folders were not there, beside those that are known to have been missing when it was begun.
    pub(super) fn with_folders(&self, missing: &[String]) -> Step {
        let mut all = match self.find(&Step::Folders(Vec::new())) {
            Some(Written {
                step: Step::Folders(known),
                ..
            }) => known.clone(),
            _ => Vec::new(),
        };
        for folder in missing {
            if !all.contains(folder) {
                all.push(folder.clone());
            }
        }
        Step::Folders(all)
    }

    pub(super) fn strike(&mut self, like: &Step) {
        self.steps.retain(|written| !written.step.is_like(like));
    }
}

impl Records {
    /// Those in that folder.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// What was done on that machine; nothing when nothing is written.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn read(&self, target: &Target) -> Result<Record, RecordError> {
        let path = self.path(target);
        let failed = |source| RecordError::File {
            path: path.clone(),
            source,
        };
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Record::default()),
            Err(error) => return Err(failed(error)),
            Ok(found) if found.len() > SSH_RECORD_BYTES_MAX => {
                return Err(RecordError::Damaged(path));
            }
            Ok(_) => {}
        }
        let text = fs::read(&path).map_err(failed)?;
        serde_json::from_slice(&text).map_err(|_| RecordError::Damaged(path))
    }

    /// Writes it down so that it is there after a crash; an empty one is removed.
    pub(super) fn write(&self, target: &Target, record: &Record) -> Result<(), RecordError> {
        let path = self.path(target);
        let failed = |source| RecordError::File {
            path: path.clone(),
            source,
        };
        if record.steps.is_empty() {
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
                _ => Ok(()),
            };
        }
        private_folder(&self.0).map_err(failed)?;
        // There is nothing in it that JSON cannot say.
        let text = serde_json::to_vec_pretty(record).unwrap_or_default();
        replace_durably(&path, &text).map_err(failed)
    }

    /// The machines on which something was done.
    #[must_use]
    pub fn targets(&self) -> Vec<String> {
        let names = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let mut names: Vec<String> = names
            .filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()))
            .filter_map(|name| {
                let (place, port) = name.rsplit_once('@')?;
                Some(format!("{place}:{port}").trim_end_matches(":22").to_owned())
            })
            .collect();
        names.sort();
        names
    }

    fn path(&self, target: &Target) -> PathBuf {
        Path::new(&self.0).join(target.file_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_there_after_a_restart_and_gone_once_undone() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::in_folder(folder.path().join("machines"));
        let target: Target = "sam@attic:2222".parse().unwrap();
        assert_eq!(records.read(&target).unwrap(), Record::default());
        let mut record = Record::default();
        record.put(Step::Started { pid: 0 }, false);
        records.write(&target, &record).unwrap();
        assert!(!records.read(&target).unwrap().steps[0].done);
        record.put(Step::Started { pid: 7 }, true);
        record.put(Step::Unit, true);
        records.write(&target, &record).unwrap();
        let read = records.read(&target).unwrap();
        assert_eq!((read.steps.len(), &read), (2, &record));
        assert_eq!(records.targets(), ["sam@attic:2222"]);
        record.strike(&Step::Started { pid: 0 });
        record.strike(&Step::Unit);
        records.write(&target, &record).unwrap();
        records.write(&target, &record).unwrap();
        assert!(records.targets().is_empty());
        fs::write(records.path(&target), "{\"steps\":[{}]}").unwrap();
        let damaged = records.read(&target);
        assert!(matches!(damaged, Err(RecordError::Damaged(_))));
    }
}
