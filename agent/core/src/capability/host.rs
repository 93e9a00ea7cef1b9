//! Hosts as grants and requests name them. Decides what is a host's name at all: one spelling for each, so that what was
//! checked is what is connected to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A host, or all hosts below one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// By name, in lower case, without a dot at its end.
    Name(String),
    /// Every host whose name ends in a dot and this one.
    Below(String),
    /// By address.
    Address(IpAddr),
}

/// Text that names no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// A scheme, a path, a user: more than a host.
    #[error("`{0}` is more than a host and a port: leave out what comes before and after them")]
    More(String),
    /// A wildcard that is not `*.` and a name of two parts or more.
    #[error(
        "`{0}` is too wide: a `*` stands alone before a name of two parts or more, as in `*.example.org`"
    )]
    Wide(String),
    /// Digits that some take for an address and others for a name.
    #[error(
        "`{0}` is no address: write four numbers without leading zeros, or `[…]` around one of version 6"
    )]
    Address(String),
    /// Not letters, digits, hyphens and dots.
    #[error(
        "`{0}` is no host's name: write letters, digits and hyphens, with dots between; other scripts as `xn--…`"
    )]
    Name(String),
    /// Not 1 to 65,535.
    #[error("`{0}` is no port: ports are 1 to 65535")]
    Port(String),
}

/// The longest name (RFC 1035, section 2.3.4), as it is written.
const NAME_BYTES_MAX: usize = 253;
/// The longest part of a name.
const LABEL_BYTES_MAX: usize = 63;
/// How much of a wrong text is said.
const SHOWN_CHARS_MAX: usize = 80;

impl Host {
    /// Whether `asked`, which is no wildcard, is this host or one of these.
    #[must_use]
    pub fn covers(&self, asked: &Self) -> bool {
        match (self, asked) {
            (Self::Below(parent), Self::Name(name)) => name
                .strip_suffix(parent.as_str())
                .is_some_and(|front| front.len() > 1 && front.ends_with('.')),
            (Self::Below(_), _) | (_, Self::Below(_)) => false,
            (one, other) => one == other,
        }
    }

    /// As it stands before a port: an address of version 6 in brackets.
    pub(super) fn in_authority(&self) -> String {
        match self {
            Self::Address(IpAddr::V6(address)) => format!("[{address}]"),
            host => host.to_string(),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Below(parent) => write!(f, "*.{parent}"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl FromStr for Host {
    type Err = HostError;

    /// A host without a port; an address of version 6 with or without brackets.
    fn from_str(text: &str) -> Result<Self, HostError> {
        let inner = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        if let Some(inner) = inner {
            return v6(inner).ok_or_else(|| HostError::Address(shown(text)));
        }
        if let Some(address) = v6(text) {
            return Ok(address);
        }
        if text.contains(['/', '@', '?', '#', '\\', ':', '[', ']', '%']) {
            return Err(HostError::More(shown(text)));
        }
        if let Some(parent) = text.strip_prefix("*.") {
            let parent = name(parent)?;
            if !parent.contains('.') {
                return Err(HostError::Wide(shown(text)));
            }
            return Ok(Self::Below(parent));
        }
        if text.contains('*') {
            return Err(HostError::Wide(shown(text)));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        // `127.1`, `2130706433`, `0x7f.1`: resolvers take them for addresses (`inet_aton`), and no name ends in digits.
        let last = text.trim_end_matches('.').rsplit('.').next();
        let numeric = |label: &str| {
            label.bytes().all(|byte| byte.is_ascii_digit())
                || label.starts_with("0x")
                || label.starts_with("0X")
        };
        if !text.is_empty() && last.is_some_and(numeric) {
            return Err(HostError::Address(shown(text)));
        }
        Ok(Self::Name(name(text)?))
    }
}

/// `HOST` or `HOST:PORT`.
pub(super) fn authority(text: &str) -> Result<(Host, Option<u16>), HostError> {
    let (host, port) = match (text.rfind(']'), text.rfind(':')) {
        (Some(bracket), Some(colon)) if colon < bracket => (text, None),
        (None, Some(colon)) if text.find(':') != Some(colon) => (text, None),
        (_, Some(colon)) => {
            let (host, port) = text.split_at(colon);
            (host, port.get(1..))
        }
        (_, None) => (text, None),
    };
    if host.contains("//") || port.is_some_and(|port| port.starts_with('/')) {
        return Err(HostError::More(shown(text)));
    }
    let port = match port {
        None => None,
        Some(digits) => {
            let plain = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
            let port = digits.parse().ok().filter(|_| plain);
            Some(port.ok_or_else(|| HostError::Port(shown(digits)))?)
        }
    };
    Ok((host.parse()?, port))
}

fn v6(text: &str) -> Option<Host> {
    let address: Ipv6Addr = text.parse().ok()?;
    // An address of version 4 in disguise has one spelling, too.
    Some(Host::Address(IpAddr::V6(address).to_canonical()))
}

fn name(text: &str) -> Result<String, HostError> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty()
            && label.len() <= LABEL_BYTES_MAX
            && label.bytes().all(fits)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > NAME_BYTES_MAX || !name.split('.').all(label) {
        return Err(HostError::Name(shown(text)));
    }
    Ok(name.to_ascii_lowercase())
}

fn shown(text: &str) -> String {
    let short: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    short.escape_debug().to_string()
}
