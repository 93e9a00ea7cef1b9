//! Why a command about people changes nothing.

use crate::limits::{USER_NAME_BYTES_MAX, USERS_MAX};

/// Why a command about people is refused. The state is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserRefusal {
    /// It cannot be a user's name.
    #[error(
        "`{0}` cannot be a user's name: give 1 to {USER_NAME_BYTES_MAX} of a-z, 0-9 and `._@+-`, a letter or digit first"
    )]
    Name(String),
    /// Something else that it says is too long, or would deceive whoever reads it.
    #[error("{0} is empty, too long, or has characters that do not show")]
    Text(&'static str),
    /// The name is in use.
    #[error("there is a user `{0}` already")]
    Exists(String),
    /// No such user.
    #[error("there is no user `{0}`; `skep user ls` lists them")]
    Unknown(String),
    /// Somebody else knows their password.
    #[error("the password of `{0}` is not kept here; change it where it is")]
    NotOurs(String),
    /// Somebody else says what they may.
    #[error(
        "what `{0}` may do follows from a group or a claim elsewhere; change it there, or the rule with `skep sign-in set`"
    )]
    RoleElsewhere(String),
    /// Nobody would be left.
    #[error(
        "`{0}` is the last who can administer: give another user the role `admin` first, or make a key (`skep keys new NAME`)"
    )]
    Last(String),
    /// Too many.
    #[error("there are {USERS_MAX} users; remove some with `skep user remove`")]
    TooMany,
    /// Nothing to take away.
    #[error("nobody signs in by `{0}` here; `skep sign-in show` tells by what they do")]
    NoDoor(&'static str),
}
