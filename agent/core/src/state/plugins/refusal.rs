//! Why a command about plugins changes nothing.

use super::PluginDigest;
use crate::capability::Capability;
use crate::limits::{CONSENT_GRANTS_MAX, GRANTS_MAX, PLUGINS_MAX, SIGNERS_MAX};

/// Why a command about plugins is refused. The state is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PluginRefusal {
    /// It cannot be a plugin's or a signer's name.
    #[error("`{0}` cannot be a name here: give 1 to 64 of a-z, 0-9 and `-`, a letter first")]
    Name(String),
    /// Something else that it says is too long, or would deceive whoever reads it.
    #[error("{0} is empty, too long, or has characters that do not show")]
    Text(&'static str),
    /// The name is in use.
    #[error("there is a plugin `{0}` already; `skep plugin update` brings another version of it")]
    Exists(String),
    /// No such plugin.
    #[error("there is no plugin `{0}` that was added; `skep plugin ls` lists them")]
    Unknown(String),
    /// These very bytes run.
    #[error("this very version of `{0}` runs already")]
    Same(String),
    /// No such version.
    #[error(
        "no version {digest} of `{plugin}` is kept; `skep plugin show {plugin}` lists those that are"
    )]
    NotKept {
        /// Which plugin.
        plugin: String,
        /// What was asked for.
        digest: PluginDigest,
    },
    /// Nothing to go back to.
    #[error("no earlier version of `{0}` is kept that was not gone back from")]
    NoEarlier(String),
    /// Somebody else was faster.
    #[error("another version of `{0}` runs by now")]
    NotCurrent(String),
    /// Too many.
    #[error("there are {PLUGINS_MAX} plugins; remove some with `skep plugin remove`")]
    TooMany,
    /// Too many.
    #[error(
        "a plugin may touch {GRANTS_MAX} things at most, and be let {CONSENT_GRANTS_MAX} at once; revoke some with `skep plugin revoke`"
    )]
    TooManyGrants,
    /// Nobody who is trusted stands for it.
    #[error(
        "no trusted key signed this component of `{0}`; `skep plugin trust ls` lists the keys that are trusted"
    )]
    Unsigned(String),
    /// Nothing to take away.
    #[error(
        "`{plugin}` was not granted `{capability}`; `skep plugin show {plugin}` lists what it was"
    )]
    NotGranted {
        /// Which plugin.
        plugin: String,
        /// What was asked for.
        capability: Capability,
    },
    /// The name is in use.
    #[error(
        "a signer `{0}` is trusted already, with another key; `skep plugin trust remove` it first"
    )]
    SignerExists(String),
    /// No such signer.
    #[error("no signer `{0}` is trusted; `skep plugin trust ls` lists them")]
    UnknownSigner(String),
    /// Too many.
    #[error("{SIGNERS_MAX} signers are trusted; remove some with `skep plugin trust remove`")]
    TooManySigners,
}
