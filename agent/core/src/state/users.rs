//! The people who may sign in, and how else than by a password of ours they may.
//!
//! Decides who there is, what each may do, when what they signed in with before counts no more, and that somebody is left who may
//! administer. Refuses to know how a password becomes its hash, what a directory or a provider is asked (their settings are text here),
//! and where their secrets are.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

mod apply;
mod refusal;
#[cfg(test)]
mod tests;

pub use self::apply::check_name as check_user_name;
pub use self::refusal::UserRefusal;
use super::State;

/// What the cluster agreed on about people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    pub(super) users: BTreeMap<String, Arc<User>>,
    pub(super) doors: BTreeMap<Door, Arc<DoorSettings>>,
    /// Counts numbers and epochs, so that none comes twice.
    pub(super) turn: u64,
}

/// Somebody who may sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Never given to anybody else.
    pub number: u64,
    /// What they are called in full.
    pub display: String,
    /// What they may do.
    pub role: UserRole,
    /// Who knows their password.
    pub source: UserSource,
    /// They may not sign in, and nothing that they signed in with before counts.
    pub disabled: bool,
    /// Changes with their password and when they are disabled: whoever signed in before has to again.
    pub epoch: u64,
    /// Seconds since 1970.
    pub created_at: u64,
    /// The person who added them; none: they came by a directory or a provider.
    pub added_by: Option<String>,
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum UserRole {
    /// Ask models, see how the cluster is, and have keys of their own for the same.
    Member,
    /// All that a key may that belongs to nobody.
    Admin,
}

/// Who knows somebody's password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserSource {
    /// We, as a hash: a PHC string.
    Local(String),
    /// A directory, in which this is their name.
    Ldap(String),
    /// An OpenID provider, which calls them this.
    Oidc {
        /// Which.
        issuer: String,
        /// Who.
        subject: String,
    },
}

/// How else somebody may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Door {
    /// By a directory.
    Ldap,
    /// By an OpenID provider.
    Oidc,
}

/// What a door needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoorSettings {
    /// As whoever opens the door reads it; no secret.
    pub text: String,
    /// It was tried and found to work before it was kept; without, somebody insisted.
    pub tested: bool,
    /// The person who set it.
    pub set_by: String,
    /// Seconds since 1970.
    pub set_at: u64,
}

/// What to do about people.
// Variants are only ever added at the end: their numbers are on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserAction {
    /// Let somebody sign in by a password.
    Add(NewUser),
    /// Give somebody another password.
    SetPassword {
        /// Who.
        name: String,
        /// Its hash, a PHC string.
        hash: PasswordHash,
    },
    /// Let somebody do more or less.
    SetRole {
        /// Who.
        name: String,
        /// What they may.
        role: UserRole,
        /// Somebody else can administer who is not in the state: the holder of a key.
        others: bool,
    },
    /// Let somebody sign in no more, or again.
    SetDisabled {
        /// Who.
        name: String,
        /// No more.
        disabled: bool,
        /// As for [`UserAction::SetRole`].
        others: bool,
    },
    /// Forget somebody.
    Remove {
        /// Who.
        name: String,
        /// As for [`UserAction::SetRole`].
        others: bool,
    },
    /// Somebody whom a directory or a provider knows has come.
    Arrive(Arrival),
    /// Let people sign in this way; none: no more.
    SetDoor {
        /// Which.
        door: Door,
        /// What it needs to know.
        settings: Option<NewDoor>,
    },
}

/// The hash of a password, which no log shows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash(pub String);

/// Somebody new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewUser {
    /// Small letters, digits and some signs.
    pub name: String,
    /// What they are called in full.
    pub display: String,
    /// What they may do.
    pub role: UserRole,
    /// The hash of their password, a PHC string.
    pub hash: PasswordHash,
    /// The person who adds them.
    pub by: String,
}

/// Somebody whom others know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// What they are called here.
    pub name: String,
    /// What they are called in full.
    pub display: String,
    /// What they may do, as the others say.
    pub role: UserRole,
    /// By whom they are known, and as who.
    pub source: UserSource,
}

/// Another way to sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDoor {
    /// As [`DoorSettings::text`].
    pub text: String,
    /// As [`DoorSettings::tested`].
    pub tested: bool,
    /// The person who sets it.
    pub by: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserEvent {
    /// Somebody may sign in.
    Added(String),
    /// Somebody has another password.
    PasswordSet(String),
    /// Somebody may do more or less.
    RoleSet(String, UserRole),
    /// Somebody may sign in no more.
    Disabled(String),
    /// Somebody may sign in again.
    Enabled(String),
    /// Somebody is forgotten.
    Removed(String),
    /// Somebody came who is known elsewhere.
    Arrived(String),
    /// There is another way to sign in, or it is another.
    DoorSet(Door),
    /// There is one way less.
    DoorRemoved(Door),
}

impl Users {
    /// Everybody, by name.
    pub fn all(&self) -> impl ExactSizeIterator<Item = (&str, &Arc<User>)> {
        self.users.iter().map(|(name, user)| (name.as_str(), user))
    }

    /// Somebody, however the letters of the name are cased.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<(&str, &Arc<User>)> {
        let (name, user) = self.users.get_key_value(&name.to_ascii_lowercase())?;
        Some((name, user))
    }

    /// Somebody by number.
    #[must_use]
    pub fn numbered(&self, number: u64) -> Option<(&str, &Arc<User>)> {
        self.all().find(|(_, user)| user.number == number)
    }

    /// Somebody by what others call them.
    #[must_use]
    pub fn known_as(&self, source: &UserSource) -> Option<(&str, &Arc<User>)> {
        self.all().find(|(_, user)| user.source.is_same(source))
    }

    /// What a way to sign in needs to know; none: nobody may sign in by it.
    #[must_use]
    pub fn door(&self, door: Door) -> Option<&Arc<DoorSettings>> {
        self.doors.get(&door)
    }

    /// Whether this user may come in now: not disabled, and by a way that is open.
    #[must_use]
    pub fn admits(&self, user: &User) -> bool {
        let open = user
            .source
            .door()
            .is_none_or(|door| self.door(door).is_some());
        open && !user.disabled
    }

    pub(super) fn is_empty(&self) -> bool {
        self.turn == 0 && self.users.is_empty() && self.doors.is_empty()
    }
}

impl UserSource {
    /// The way by which they come; none: by a password of ours.
    #[must_use]
    pub fn door(&self) -> Option<Door> {
        match self {
            Self::Local(_) => None,
            Self::Ldap(_) => Some(Door::Ldap),
            Self::Oidc { .. } => Some(Door::Oidc),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.door().is_some() && self == other
    }
}

impl UserRole {
    /// As people write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }
}

impl Door {
    /// As people write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ldap => "ldap",
            Self::Oidc => "oidc",
        }
    }
}

/// Without the hash.
impl std::fmt::Debug for UserSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local(_) => f.write_str("Local(..)"),
            Self::Ldap(name) => f.debug_tuple("Ldap").field(name).finish(),
            Self::Oidc { issuer, subject } => {
                f.debug_tuple("Oidc").field(issuer).field(subject).finish()
            }
        }
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

impl State {
    /// The people of the cluster.
    #[must_use]
    pub fn users(&self) -> &Users {
        &self.users
    }
}
