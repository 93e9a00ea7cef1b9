//! People who sign in: the passwords that are kept here, and asking others about those that are not.
//!
//! Decides how a password becomes a hash and is compared with one, and how many of these are computed at once. Who there is belongs to
//! the cluster's state (`skep_core::state::Users`). Refuses to know sessions, and what a role may do.

mod door;
mod doors;
mod jwt;
mod ldap;
mod oidc;
mod password;
mod provider;
mod visits;

pub use self::door::{Check, DoorError, DoorSecret, Tried, secret_name};
pub use self::doors::{Doors, Settings, Trial};
pub use self::ldap::LdapSettings;
pub use self::oidc::{CALLBACK, OidcSettings, Returned};
pub(crate) use self::password::check as check_password;
pub use self::password::{PasswordError, Passwords};
