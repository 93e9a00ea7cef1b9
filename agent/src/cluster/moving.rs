//! From one membership to another, so that a crash or a full disk at any moment leaves one of them whole.
//!
//! The next membership's folder is made beside the one in use and takes its name only when it is
//! complete; the one before is kept under a name of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::ClusterError;
use super::files::{Files, Papers, failed};
use crate::keys::unix_now_s;
use crate::net::Welcome;
use crate::paths::{beside, remove_folder, rename_durably};

/// The folder of a membership that this node is about to have.
#[derive(Debug)]
pub(super) struct Next {
    place: PathBuf,
    usual: PathBuf,
}

impl Next {
    /// Makes the folder, with room for all that will be written there: a disk without any is noticed
    /// before a token is spent.
    pub(super) fn prepare(usual: &Path) -> Result<Self, ClusterError> {
        let next = Self {
            place: next_to(usual),
            usual: usual.to_owned(),
        };
        remove_folder(&next.place).map_err(|source| failed(&next.place, source))?;
        Files::open(next.place.clone())?;
        let room = next.place.join(ROOM);
        let reserved = fs::write(&room, vec![0; ROOM_BYTES]).and_then(|()| {
            File::open(&room)?.sync_all()?;
            Ok(())
        });
        reserved.map_err(|source| failed(&next.place, source))?;
        Ok(next)
    }

    /// Writes what the cluster said. Nothing counts before [`Next::move_in`].
    pub(super) fn write(&self, welcome: &Welcome) -> Result<(), ClusterError> {
        let room = self.place.join(ROOM);
        fs::remove_file(&room).map_err(|source| failed(&room, source))?;
        let files = Files::open(self.place.clone())?;
        // Where it was a member before, it must not seem to be a memory of itself.
        files.set_generation(Files::open(self.usual.clone())?.generation()?)?;
        if !welcome.pending {
            let authority = welcome.authorities.first().cloned();
            files.set_papers(&Papers {
                certificate: welcome.certificate.clone(),
                authority: authority.unwrap_or_default(),
            })?;
        }
        // The last, since it is what tells a complete folder from one that is being written.
        files.set_welcome(welcome)
    }

    /// Gives it the usual name, and the one before a name of its own.
    pub(super) fn move_in(mut self) -> Result<Moved, ClusterError> {
        let usual = self.usual.clone();
        let aside = free_name(&usual);
        rename_durably(&usual, &aside).map_err(|source| failed(&usual, source))?;
        if let Err(source) = rename_durably(&self.place, &usual) {
            let back = rename_durably(&aside, &usual);
            return Err(failed(&usual, back.err().unwrap_or(source)));
        }
        // Its place has nothing any more.
        self.place.clear();
        Ok(Moved { aside, usual })
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        if self.place.as_os_str().is_empty() {
            return;
        }
        if let Err(error) = remove_folder(&self.place) {
            tracing::warn!(place = %self.place.display(), %error, "what was begun there could not be removed");
        }
    }
}

/// A membership that took the place of another.
#[derive(Debug)]
pub(super) struct Moved {
    /// Where the one before lies now.
    pub(super) aside: PathBuf,
    usual: PathBuf,
}

impl Moved {
    /// The one before again; the other is gone.
    pub(super) fn back(self) -> Result<(), ClusterError> {
        let undone = || {
            remove_folder(&self.usual)?;
            rename_durably(&self.aside, &self.usual)
        };
        undone().map_err(|source| failed(&self.usual, source))
    }
}

/// Ends what a crash left half done: between its two renames there is nothing of the usual name, and both
/// memberships are complete; the next one goes on.
pub(super) fn settle(usual: &Path) -> Result<(), ClusterError> {
    let place = next_to(usual);
    if !place.exists() {
        return Ok(());
    }
    let complete = || {
        matches!(
            Files::open(place.clone()).map(|files| files.welcome()),
            Ok(Ok(Some(_)))
        )
    };
    let settled = if !usual.exists() && complete() {
        rename_durably(&place, usual)
    } else {
        remove_folder(&place)
    };
    settled.map_err(|source| failed(&place, source))
}

fn next_to(usual: &Path) -> PathBuf {
    beside(usual, ".next")
}

/// A name beside the folder that says when it was left.
fn free_name(usual: &Path) -> PathBuf {
    let mut left = unix_now_s();
    loop {
        let name = beside(usual, &format!(".left-{left}"));
        if !name.exists() {
            return name;
        }
        // It left another within the same second.
        left = left.saturating_add(1);
    }
}

/// Keeps the room until it is needed.
const ROOM: &str = "room";

/// Of an empty log and some certificates, twice over.
const ROOM_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use skep_core::{ClusterId, NodeId};

    use super::*;

    fn welcome(cluster: u8) -> Welcome {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        Welcome {
            cluster: ClusterId([cluster; 16]),
            certificate: vec![1],
            authorities: vec![vec![2]],
            leader: NodeId([3; 16]),
            leader_address: address,
            seen_as: address,
            pending: false,
        }
    }

    fn cluster(usual: &Path) -> Option<u8> {
        let files = Files::open(usual.to_owned()).unwrap();
        Some(files.welcome().unwrap()?.cluster.0[0])
    }

    /// A node in cluster 1, in its fifth life.
    fn home() -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let usual = home.path().join("cluster");
        let files = Files::open(usual.clone()).unwrap();
        files.set_welcome(&welcome(1)).unwrap();
        files.set_generation(5).unwrap();
        (home, usual)
    }

    fn names(home: &Path) -> usize {
        fs::read_dir(home).unwrap().count()
    }

    #[test]
    fn the_one_before_is_kept_and_can_come_back() {
        let (home, usual) = home();
        let next = Next::prepare(&usual).unwrap();
        next.write(&welcome(2)).unwrap();
        let moved = next.move_in().unwrap();
        assert_eq!((cluster(&usual), cluster(&moved.aside)), (Some(2), Some(1)));
        let files = Files::open(usual.clone()).unwrap();
        assert_eq!(files.generation().unwrap(), 5);
        assert!(!usual.join(ROOM).exists());
        moved.back().unwrap();
        assert_eq!((cluster(&usual), names(home.path())), (Some(1), 1));
    }

    #[test]
    fn what_is_not_moved_into_leaves_nothing() {
        let (home, usual) = home();
        let next = Next::prepare(&usual).unwrap();
        next.write(&welcome(2)).unwrap();
        drop(next);
        assert_eq!((cluster(&usual), names(home.path())), (Some(1), 1));
    }

    #[test]
    fn a_crash_at_any_moment_leaves_one_whole() {
        // Before the welcome is written, before the first rename, between the two, after them.
        for (moment, expect) in [1, 1, 2, 2].into_iter().enumerate() {
            let (home, usual) = home();
            let next = Next::prepare(&usual).unwrap();
            if moment > 0 {
                next.write(&welcome(2)).unwrap();
            }
            if moment > 1 {
                rename_durably(&usual, &free_name(&usual)).unwrap();
            }
            if moment > 2 {
                rename_durably(&next.place, &usual).unwrap();
            }
            // As a crash does, it ends without a word.
            std::mem::forget(next);
            settle(&usual).unwrap();
            assert_eq!(cluster(&usual), Some(expect), "moment {moment}");
            let kept = if moment > 1 { 2 } else { 1 };
            assert_eq!(names(home.path()), kept, "moment {moment}");
        }
    }
}
