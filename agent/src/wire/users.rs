//! People who sign in, as the API tells of them.

use serde::{Deserialize, Serialize};

/// `GET /api/v1/users`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Users {
    pub users: Vec<User>,
}

/// Somebody who may sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    /// What they are called in full; may be empty.
    pub display: String,
    /// `admin`, `member`
    pub role: String,
    /// Who knows their password: `local`, `ldap`, `oidc`
    pub source: String,
    /// What a directory or a provider calls them.
    pub known_as: Option<String>,
    pub disabled: bool,
    pub created_unix_s: u64,
    /// None: they came by a directory or a provider.
    pub added_by: Option<String>,
    /// Keys of theirs, on the node that was asked.
    pub keys: usize,
}

/// `POST /api/v1/users`
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    pub name: String,
    #[serde(default)]
    pub display: String,
    /// `admin`, `member`
    pub role: String,
    pub password: String,
    /// Who asks, where they are not signed in.
    #[serde(default)]
    pub by: Option<String>,
}

/// `POST /api/v1/users/{name}/password`
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    pub password: String,
}

/// `POST /api/v1/session/password`: somebody gives themselves another.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnPassword {
    pub password: String,
    pub new: String,
}

/// `POST /api/v1/users/{name}/role`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// `admin`, `member`
    pub role: String,
}

macro_rules! keeps_to_itself {
    ($($name:ident)*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )*};
}

keeps_to_itself!(NewUser NewPassword OwnPassword);

/// `GET /api/v1/sign-in`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignInDoors {
    /// A directory; none: nobody signs in by one.
    pub ldap: Option<SignInDoor>,
    /// An OpenID provider.
    pub oidc: Option<SignInDoor>,
    /// Where the provider has to send people back to, as whoever asks calls this agent.
    pub redirect_uri: String,
}

/// A way to sign in besides by a password that is kept here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignInDoor {
    pub settings: serde_json::Value,
    /// It was found to work before it was kept; without, somebody insisted.
    pub tested: bool,
    pub set_by: String,
    pub set_unix_s: u64,
    /// On the node that was asked: `kept`, `missing`, `not_needed`
    pub secret: String,
}

/// `POST /api/v1/sign-in/{door}/test`, `PUT /api/v1/sign-in/{door}`
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInWish {
    pub settings: serde_json::Value,
    /// The password of `bind_dn`, or the client's secret; none: the one that is kept.
    #[serde(default)]
    pub secret: Option<String>,
    /// Somebody to look for.
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub password: Option<String>,
    /// Keep it whatever the test says.
    #[serde(default)]
    pub untested: bool,
    /// Who asks, where they are not signed in.
    #[serde(default)]
    pub by: Option<String>,
}

/// The answer to both.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignInTried {
    pub ok: bool,
    pub saved: bool,
    pub checks: Vec<SignInCheck>,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInCheck {
    pub what: String,
    pub ok: bool,
    pub evidence: String,
    /// What mends it.
    pub remedy: Option<String>,
}

keeps_to_itself!(SignInWish);
