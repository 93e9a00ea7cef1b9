//! What actions are carried out with: the root, what is kept, who we are, and which accounts the system has.

use std::path::Path;

use skep_core::install::Owner;

use super::ActError;
use super::kept::Kept;
use super::program;
use super::root::{Rights, Root};
use crate::limits::ACCOUNTS_FILE_BYTES_MAX;

/// A system, seen from whoever changes it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) root: Root,
    pub(super) kept: Kept,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: Option<String>,
}

impl Place {
    pub(super) fn open(root: &Path, kept: Kept, home: Option<String>) -> Result<Self, ActError> {
        let uid = rustix::process::geteuid().as_raw();
        Ok(Self {
            root: Root::open(root, uid != 0)?,
            kept,
            uid,
            gid: rustix::process::getegid().as_raw(),
            home,
        })
    }

    pub(super) fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// Whether programs of it can be asked: it is this machine, not another's root.
    pub(super) fn is_live(&self) -> bool {
        self.root.is_own()
    }

    /// Whether systemd is in charge here.
    pub(super) fn has_systemd(&self) -> bool {
        self.is_live() && self.root.exists("/run/systemd/system")
    }

    /// The rights of something new.
    pub(super) fn rights(&self, mode: u32, owner: &Owner) -> Result<Rights, ActError> {
        let uid = match owner.user.as_str() {
            "" => self.uid,
            name => self.user(name)?.ok_or_else(|| missing("user", name))?.uid,
        };
        let gid = match (owner.group.as_str(), owner.user.as_str()) {
            ("", "") => self.gid,
            ("", name) => self.user(name)?.ok_or_else(|| missing("user", name))?.gid,
            (name, _) => self.group(name)?.ok_or_else(|| missing("group", name))?.gid,
        };
        Ok(Rights { mode, uid, gid })
    }

    /// A user of the system.
    pub(super) fn user(&self, name: &str) -> Result<Option<User>, ActError> {
        let line = self.account_line("passwd", "/etc/passwd", name)?;
        Ok(line.as_deref().and_then(User::parse))
    }

    /// A group of the system.
    pub(super) fn group(&self, name: &str) -> Result<Option<Group>, ActError> {
        let line = self.account_line("group", "/etc/group", name)?;
        Ok(line.as_deref().and_then(Group::parse))
    }

    /// In the file; else, on this machine, wherever else accounts come from.
    fn account_line(
        &self,
        database: &str,
        file: &str,
        name: &str,
    ) -> Result<Option<String>, ActError> {
        let bytes = self
            .root
            .read(file, ACCOUNTS_FILE_BYTES_MAX)?
            .unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let found = text
            .lines()
            .find(|line| line.split(':').next() == Some(name));
        if let Some(line) = found {
            return Ok(Some(line.to_owned()));
        }
        if !self.is_live() {
            return Ok(None);
        }
        let Some(getent) = program::find("getent") else {
            return Ok(None);
        };
        let said = getent.args([database, name]).ask()?;
        Ok(said
            .lines()
            .next()
            .map(str::to_owned)
            .filter(|line| !line.is_empty()))
    }
}

fn missing(what: &'static str, name: &str) -> ActError {
    ActError::Missing {
        what,
        name: name.to_owned(),
    }
}

/// A line of `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: String,
}

/// A line of `/etc/group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) gid: u32,
    pub(super) members: Vec<String>,
}

impl User {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(':').skip(2);
        let uid = fields.next()?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = fields.nth(1)?.to_owned();
        Some(Self { uid, gid, home })
    }
}

impl Group {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(':').skip(2);
        let gid = fields.next()?.parse().ok()?;
        let members = fields.next()?.split(',').filter(|name| !name.is_empty());
        Some(Self {
            gid,
            members: members.map(str::to_owned).collect(),
        })
    }
}
