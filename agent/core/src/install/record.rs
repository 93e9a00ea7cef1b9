//! The records of a journal: what was about to be done, what was there before, what became of it.
//!
//! Decides what can be said, and nothing of what may follow what.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::action::Plan;
use super::valid::Nonsense;
use crate::limits::RUN_ID_BYTES_MAX;

/// A run of a plan: `a-z`, `0-9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

/// What a path holds, as far as it can be put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Entry {
    /// Nothing.
    Absent,
    /// A file with this content.
    File {
        /// SHA-256, in hex.
        sha256: String,
        /// Permissions.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// A folder, whatever is in it.
    Folder {
        /// Permissions.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// A symbolic link.
    Link {
        /// Its text.
        to: String,
    },
    /// Something else: a device, a socket.
    Other,
}

/// A path that an action changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which.
    pub path: String,
    /// What was there; the content of a file is kept beside the journal.
    pub was: Entry,
    /// What will be there.
    pub becomes: Entry,
}

/// What was there before an action, as far as undoing it needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "before", rename_all = "kebab-case")]
pub enum Before {
    /// Nothing that would have to be known: what the action makes was not there.
    Nothing,
    /// Paths.
    Paths {
        /// In the order in which they are changed.
        changes: Vec<Change>,
    },
    /// A unit.
    Unit {
        /// Whether it starts with the machine.
        enabled: bool,
        /// Whether it ran.
        active: bool,
    },
    /// Packages.
    Packages {
        /// Those of the action that were not installed.
        missing: Vec<String>,
        /// SHA-256 of the list of all that were, which is kept beside the journal.
        installed: String,
    },
    /// The limit of a card's power.
    Power {
        /// In watts.
        watts: u32,
    },
    /// Whether something was so.
    Flag {
        /// It was.
        on: bool,
    },
    /// What the agent itself wants to know again.
    Agent {
        /// Its own words.
        kept: String,
    },
    /// Somebody else carries it out, whose journal knows.
    Elsewhere,
}

/// One record of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "said at each record")]
pub enum Record {
    /// The first: the whole plan, what it is a part of, and who agreed to it.
    Begun {
        run: RunId,
        part: String,
        by: String,
        at_unix_s: u64,
        plan: Plan,
    },
    /// The machine was as the action wants it; nothing was done, and nothing will be undone.
    Already { action: usize },
    /// It is about to be done.
    Intend { action: usize, before: Before },
    /// It is done. `came` is what came with it that it does not name, such as packages that others need.
    Done {
        action: usize,
        took_ms: u64,
        came: Vec<String>,
    },
    /// It could not be done; it may be half done.
    Failed { action: usize, why: String },
    /// From here on, everything is undone.
    Undo { by: String, at_unix_s: u64 },
    /// It is about to be undone.
    UndoIntend { action: usize },
    /// It is undone; or it was left as it is, for this reason.
    Undone { action: usize, left: Option<String> },
    /// It could not be undone; it may be half undone.
    UndoFailed { action: usize, why: String },
    /// Everything is done, or everything is undone.
    Ended { at_unix_s: u64 },
}

impl Before {
    /// Whether both say the same of what was there, whatever will be.
    pub(super) fn same_origin(&self, other: &Self) -> bool {
        let (Self::Paths { changes: one }, Self::Paths { changes: two }) = (self, other) else {
            return self == other;
        };
        let origin = |change: &Change| (change.path.clone(), change.was.clone());
        one.iter().map(origin).eq(two.iter().map(origin))
    }
}

impl RunId {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = Nonsense;

    fn from_str(text: &str) -> Result<Self, Nonsense> {
        let fits = (1..=RUN_ID_BYTES_MAX).contains(&text.len())
            && !text.starts_with('-')
            && text
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if fits {
            return Ok(Self(text.to_owned()));
        }
        Err(Nonsense::of(
            "a run's name",
            text,
            "has `a-z`, `0-9` and `-`",
        ))
    }
}

impl TryFrom<String> for RunId {
    type Error = Nonsense;

    fn try_from(text: String) -> Result<Self, Nonsense> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
