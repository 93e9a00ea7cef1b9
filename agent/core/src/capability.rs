//! What a plugin may touch outside of its sandbox, as an operator grants it.
//!
//! Decides how a grant is written, which hosts and addresses it covers, and how it is said in words. Nothing is covered that no
//! grant names. Refuses to know who asks and how a name is resolved: the host checks the name first, and then every
//! address that the name turned out to have.
//!
//! | written | means |
//! |---|---|
//! | `http:api.example.org` | HTTPS on port 443 and HTTP on port 80 of that host |
//! | `http:api.example.org:8443` | that port alone |
//! | `http:*.example.org` | any host below it, not itself |
//! | `http-local:192.168.1.5:11434` | a host of the operator's own network, or this machine |
//! | `mail:smtp.example.org:587` | mail by that server; `mail-local:` as above |
//! | `secret:openai` | the use of a secret by its name |

mod address;
mod host;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::address::Reach;
pub use self::host::{Host, HostError};

/// One right that a plugin can be given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Capability {
    /// Requests by HTTP and HTTPS.
    Http(Place),
    /// Mail by this server.
    Mail(Place),
    /// The use of a secret.
    Secret(SecretName),
}

/// Hosts that may be reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Which.
    pub host: Host,
    /// On which port; none: the usual ones.
    pub port: Option<u16>,
    /// Whether these are on the operator's own network. Otherwise only public addresses are reached, whatever the
    /// name's owner has it resolve to.
    pub local: bool,
}

/// The name of a secret: 1 to 64 of `a-z`, `0-9`, `-`, `_` and `.`, a letter or digit first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SecretName(String);

/// Text that is no capability.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// It begins like none.
    #[error(
        "a capability is written `http:HOST`, `http-local:HOST:PORT`, `mail:HOST:PORT`, `mail-local:HOST:PORT` or `secret:NAME`"
    )]
    Kind,
    /// Its host is none.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A mail server without its port.
    #[error("a mail server needs its port: `mail:HOST:PORT`, usually 465 or 587")]
    MailPort,
    /// Not how secrets are called.
    #[error(
        "a secret's name is 1 to 64 of a-z, 0-9, `-`, `_` and `.`, and begins with a letter or digit"
    )]
    Secret,
}

/// Bytes of a secret's name.
const SECRET_NAME_BYTES_MAX: usize = 64;

impl SecretName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Place {
    /// Whether a request to this host and port is covered, as far as its name can tell. `usual` are the ports that count where
    /// the grant names none. Addresses are looked at by [`Place::reaches`].
    #[must_use]
    pub fn covers(&self, host: &Host, port: u16, usual: &[u16]) -> bool {
        let port_fits = match self.port {
            Some(granted) => granted == port,
            None => usual.contains(&port),
        };
        port_fits && self.host.covers(host)
    }

    /// Whether an address that the host has may be connected to.
    #[must_use]
    pub fn reaches(&self, address: IpAddr) -> bool {
        match Reach::of(address) {
            Reach::Public => true,
            Reach::Local => self.local,
            Reach::Never => false,
        }
    }
}

impl Capability {
    /// The ports of `http:HOST`.
    pub const HTTP_PORTS: [u16; 2] = [443, 80];

    /// What it lets a plugin do, as the rest of a sentence that begins with `it may`.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::Http(place) => format!("send requests to {place}"),
            Self::Mail(place) => format!("send mail by {place}"),
            Self::Secret(name) => {
                format!("use the secret `{}`, which it cannot read", name.as_str())
            }
        }
    }
}

impl fmt::Display for Place {
    /// For people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Below(parent) => write!(f, "every host below `{parent}`")?,
            host => write!(f, "`{host}`")?,
        }
        if let Some(port) = self.port {
            write!(f, " on port {port}")?;
        }
        if self.local {
            f.write_str(", in your own network or on this machine")?;
        }
        Ok(())
    }
}

impl fmt::Display for Capability {
    /// As it is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, place) = match self {
            Self::Secret(name) => return write!(f, "secret:{}", name.as_str()),
            Self::Http(place) => ("http", place),
            Self::Mail(place) => ("mail", place),
        };
        let local = if place.local { "-local" } else { "" };
        write!(f, "{kind}{local}:{}", place.host.in_authority())?;
        match place.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Capability {
    type Err = CapabilityError;

    fn from_str(text: &str) -> Result<Self, CapabilityError> {
        let (kind, rest) = text.split_once(':').ok_or(CapabilityError::Kind)?;
        let place = |local| -> Result<Place, CapabilityError> {
            let (host, port) = host::authority(rest)?;
            Ok(Place { host, port, local })
        };
        match kind {
            "http" => Ok(Self::Http(place(false)?)),
            "http-local" => Ok(Self::Http(place(true)?)),
            "mail" | "mail-local" => {
                let place = place(kind == "mail-local")?;
                place.port.ok_or(CapabilityError::MailPort)?;
                Ok(Self::Mail(place))
            }
            "secret" => Ok(Self::Secret(rest.parse()?)),
            _ => Err(CapabilityError::Kind),
        }
    }
}

impl FromStr for SecretName {
    type Err = CapabilityError;

    fn from_str(text: &str) -> Result<Self, CapabilityError> {
        let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        let first = text.as_bytes().first().copied().unwrap_or_default();
        let well_formed = text.len() <= SECRET_NAME_BYTES_MAX
            && first.is_ascii_alphanumeric()
            && text.bytes().all(fits);
        well_formed
            .then(|| Self(text.to_owned()))
            .ok_or(CapabilityError::Secret)
    }
}

impl TryFrom<String> for SecretName {
    type Error = CapabilityError;

    fn try_from(text: String) -> Result<Self, CapabilityError> {
        text.parse()
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> Self {
        name.0
    }
}

impl TryFrom<String> for Capability {
    type Error = CapabilityError;

    fn try_from(text: String) -> Result<Self, CapabilityError> {
        text.parse()
    }
}

impl From<Capability> for String {
    fn from(capability: Capability) -> Self {
        capability.to_string()
    }
}
