//! Files below the root of a system.
//!
//! Decides that no path leaves the root, that root follows no symbolic link anywhere in a path, that a file appears under its name
//! only whole and durable, and that nothing is replaced that was not expected. Refuses to know what the files are for.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;
use skep_core::install::Entry;

use super::kept::sha256_of;
use super::{ActError, crash};
use crate::limits::OPEN_ATTEMPTS_MAX;

/// What stands for `/`.
#[derive(Debug)]
pub(super) struct Root {
    folder: OwnedFd,
    path: PathBuf,
    /// Whether links are followed (within the root): only for whoever could do the same by hand.
    follow: bool,
}

/// Who owns something, and who may touch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rights {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

const PATH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const NEVER_LINKS: AtFlags = AtFlags::SYMLINK_NOFOLLOW;

impl Root {
    pub(super) fn open(path: &Path, follow: bool) -> Result<Self, ActError> {
        let shown = path.display().to_string();
        let folder = rustix::fs::open(path, PATH, Mode::empty())
            .map_err(ActError::file("open the root", &shown))?;
        Ok(Self {
            folder,
            path: path.to_owned(),
            follow,
        })
    }

    /// Whether it is this machine's own.
    pub(super) fn is_own(&self) -> bool {
        self.path == Path::new("/")
    }

    /// Its path, for programs that are told it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn open_at(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let mut resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        if !self.follow {
            resolve |= ResolveFlags::NO_SYMLINKS;
        }
        let below = path.trim_start_matches('/');
        let below = if below.is_empty() { "." } else { below };
        // The system may want to be asked again while something else is renamed.
        for _ in 0..OPEN_ATTEMPTS_MAX {
            match rustix::fs::openat2(&self.folder, below, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }

    /// The folder that something is in, and its name there.
    fn parent<'a>(&self, path: &'a str) -> Result<(OwnedFd, &'a str), Errno> {
        let (folder, name) = path.rsplit_once('/').ok_or(Errno::INVAL)?;
        let climbs = path.split('/').any(|part| part == "..");
        if name.is_empty() || name == "." || climbs {
            return Err(Errno::INVAL);
        }
        Ok((self.open_at(folder, PATH)?, name))
    }

    /// What is there. The content of a file goes to `copy`, if somebody wants it.
    pub(super) fn entry_into(
        &self,
        path: &str,
        copy: &mut dyn std::io::Write,
    ) -> Result<Entry, ActError> {
        let failed = || ActError::file("look at", path);
        let (parent, name) = match self.parent(path) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(Entry::Absent),
            Err(error) => return Err(failed()(error)),
        };
        let about = match rustix::fs::statat(&parent, name, NEVER_LINKS) {
            Ok(about) => about,
            Err(Errno::NOENT) => return Ok(Entry::Absent),
            Err(error) => return Err(failed()(error)),
        };
        match FileType::from_raw_mode(about.st_mode) {
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file =
                    rustix::fs::openat(&parent, name, flags, Mode::empty()).map_err(failed())?;
                let about = rustix::fs::fstat(&file).map_err(failed())?;
                if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
                    return Ok(Entry::Other);
                }
                let sha256 =
                    sha256_of(&mut File::from(file), copy).map_err(ActError::io("read", path))?;
                let Rights { mode, uid, gid } = rights(&about);
                Ok(Entry::File {
                    sha256,
                    mode,
                    uid,
                    gid,
                })
            }
            FileType::Directory => {
                let Rights { mode, uid, gid } = rights(&about);
                Ok(Entry::Folder { mode, uid, gid })
            }
            FileType::Symlink => {
                let to = rustix::fs::readlinkat(&parent, name, Vec::new()).map_err(failed())?;
                Ok(Entry::Link {
                    to: to.to_string_lossy().into_owned(),
                })
            }
            _ => Ok(Entry::Other),
        }
    }

    /// What is there.
    pub(super) fn entry(&self, path: &str) -> Result<Entry, ActError> {
        self.entry_into(path, &mut std::io::sink())
    }

    /// Whether there is anything, links included.
    pub(super) fn exists(&self, path: &str) -> bool {
        self.parent(path)
            .is_ok_and(|(parent, name)| rustix::fs::statat(&parent, name, NEVER_LINKS).is_ok())
    }

    /// The bytes of a file of at most so many; none where there is none.
    pub(super) fn read(&self, path: &str, most: usize) -> Result<Option<Vec<u8>>, ActError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match self.open_at(path, flags) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(ActError::file("open", path)(error)),
        };
        let about = rustix::fs::fstat(&file).map_err(ActError::file("look at", path))?;
        if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
            return Err(ActError::Conflict(format!("`{path}` is no file")));
        }
        let mut bytes = Vec::new();
        File::from(file)
            .take(most as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(ActError::io("read", path))?;
        if bytes.len() > most {
            return Err(ActError::Conflict(format!(
                "`{path}` has more than {most} bytes"
            )));
        }
        Ok(Some(bytes))
    }

    /// Puts a file there in one step, in place of what was expected; durable when this returns. `write` gives the content.
    pub(super) fn put_file(
        &self,
        path: &str,
        rights: Rights,
        expected: &Entry,
        write: impl FnOnce(&mut File) -> Result<(), ActError>,
    ) -> Result<(), ActError> {
        let failed = || ActError::file("write", path);
        let (parent, name) = self.parent(path).map_err(failed())?;
        let fresh = fresh_name(name);
        remove_fresh(&parent, &fresh).map_err(failed())?;
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&parent, &*fresh, flags, Mode::RUSR | Mode::WUSR)
            .map_err(failed())?;
        let mut file = File::from(file);
        let made = write(&mut file).and_then(|()| {
            give(&file, rights).map_err(failed())?;
            file.sync_all().map_err(ActError::io("write", path))?;
            crash::point();
            self.check_expected(path, expected)?;
            self.move_into_place(&parent, &fresh, name, expected)
                .map_err(failed())
        });
        if made.is_err() {
            let _ = remove_fresh(&parent, &fresh);
        }
        made?;
        crash::point();
        sync(&parent).map_err(failed())
    }

    /// Makes a folder in one step.
    pub(super) fn put_folder(&self, path: &str, rights: Rights) -> Result<(), ActError> {
        let failed = || ActError::file("make the folder", path);
        let (parent, name) = self.parent(path).map_err(failed())?;
        let fresh = fresh_name(name);
        remove_fresh(&parent, &fresh).map_err(failed())?;
        rustix::fs::mkdirat(&parent, &*fresh, Mode::RWXU).map_err(failed())?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(&parent, &*fresh, flags, Mode::empty()).map_err(failed())?;
        give(&folder, rights).map_err(failed())?;
        crash::point();
        let moved = self.move_into_place(&parent, &fresh, name, &Entry::Absent);
        if moved.is_err() {
            let _ = remove_fresh(&parent, &fresh);
        }
        moved.map_err(failed())?;
        crash::point();
        sync(&parent).map_err(failed())
    }

    /// Puts a link there in one step.
    pub(super) fn put_link(&self, path: &str, to: &str, expected: &Entry) -> Result<(), ActError> {
        let failed = || ActError::file("make the link", path);
        let (parent, name) = self.parent(path).map_err(failed())?;
        let fresh = fresh_name(name);
        remove_fresh(&parent, &fresh).map_err(failed())?;
        rustix::fs::symlinkat(to, &parent, &*fresh).map_err(failed())?;
        crash::point();
        self.move_into_place(&parent, &fresh, name, expected)
            .map_err(failed())?;
        sync(&parent).map_err(failed())
    }

    /// Removes a file, a link or an empty folder. `false`: the folder is not empty.
    pub(super) fn remove(&self, path: &str, is: &Entry) -> Result<bool, ActError> {
        let failed = || ActError::file("remove", path);
        let (parent, name) = self.parent(path).map_err(failed())?;
        let flags = match is {
            Entry::Folder { .. } => AtFlags::REMOVEDIR,
            _ => AtFlags::empty(),
        };
        match rustix::fs::unlinkat(&parent, name, flags) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::NOTEMPTY | Errno::EXIST) => return Ok(false),
            Err(error) => return Err(failed()(error)),
        }
        crash::point();
        sync(&parent).map_err(failed())?;
        Ok(true)
    }

    /// Removes what a crash may have left beside a path.
    pub(super) fn clear(&self, path: &str) -> Result<(), ActError> {
        match self.parent(path) {
            Ok((parent, name)) => remove_fresh(&parent, &fresh_name(name))
                .map_err(ActError::file("tidy up beside", path)),
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(ActError::file("tidy up beside", path)(error)),
        }
    }

    fn check_expected(&self, path: &str, expected: &Entry) -> Result<(), ActError> {
        if self.entry(path)? == *expected {
            return Ok(());
        }
        Err(ActError::Conflict(format!(
            "somebody changed `{path}` a moment ago; look at it, then try again"
        )))
    }

    fn move_into_place(
        &self,
        parent: &OwnedFd,
        fresh: &str,
        name: &str,
        expected: &Entry,
    ) -> Result<(), Errno> {
        let flags = if *expected == Entry::Absent {
            RenameFlags::NOREPLACE
        } else {
            RenameFlags::empty()
        };
        match rustix::fs::renameat_with(parent, fresh, parent, name, flags) {
            // Some file systems cannot promise it; what is there was looked at a moment ago.
            Err(Errno::INVAL | Errno::NOSYS) => rustix::fs::renameat(parent, fresh, parent, name),
            other => other,
        }
    }
}

/// Under which name something lies until it is whole.
fn fresh_name(name: &str) -> String {
    format!(".{name}.skep")
}

/// Removes what lies there from before a crash. Others have no such names.
fn remove_fresh(parent: &OwnedFd, fresh: &str) -> Result<(), Errno> {
    match rustix::fs::unlinkat(parent, fresh, AtFlags::empty()) {
        Err(Errno::ISDIR) => rustix::fs::unlinkat(parent, fresh, AtFlags::REMOVEDIR),
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The owner first: giving something away takes bits of its mode.
fn give(file: impl std::os::fd::AsFd, rights: Rights) -> Result<(), Errno> {
    let file = file.as_fd();
    let now = rustix::fs::fstat(file)?;
    if (now.st_uid, now.st_gid) != (rights.uid, rights.gid) {
        let uid = rustix::fs::Uid::from_raw(rights.uid);
        let gid = rustix::fs::Gid::from_raw(rights.gid);
        rustix::fs::fchown(file, Some(uid), Some(gid))?;
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(rights.mode))
}

fn rights(about: &rustix::fs::Stat) -> Rights {
    Rights {
        mode: about.st_mode & 0o7777,
        uid: about.st_uid,
        gid: about.st_gid,
    }
}

fn sync(folder: &OwnedFd) -> Result<(), Errno> {
    // Only a descriptor that was opened for reading can be synced.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::openat(folder.as_fd(), ".", flags, Mode::empty())?;
    match rustix::fs::fsync(&folder) {
        // File systems without a disk.
        Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests;
