//! `user@host:port`: which machine is meant.

use std::fmt;
use std::str::FromStr;

/// A machine that is reached over SSH.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// As whom.
    pub user: String,
    /// A name or an address.
    pub host: String,
    /// Where sshd listens.
    pub port: u16,
}

/// Why a text names no machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no machine; write it as `user@host` or `user@host:22`")]
pub struct TargetError(String);

impl Target {
    /// Reads it; without a user it is this one.
    ///
    /// # Errors
    /// When it names no machine.
    pub fn parse(text: &str, usual: Option<&str>) -> Result<Self, TargetError> {
        let failed = || TargetError(text.escape_debug().take(TEXT_MAX).collect());
        let (user, place) = match text.rsplit_once('@') {
            Some((user, place)) => (user, place),
            None => (usual.ok_or_else(failed)?, text),
        };
        let (host, port) = match place.strip_prefix('[') {
            // As addresses of IPv6 are written with a port.
            Some(rest) => match rest.split_once(']').ok_or_else(failed)? {
                (host, "") => (host, None),
                (host, port) => (host, Some(port.strip_prefix(':').ok_or_else(failed)?)),
            },
            None => match place.rsplit_once(':') {
                Some((host, port)) if !host.contains(':') => (host, Some(port)),
                _ => (place, None),
            },
        };
        let port = port.map_or(Ok(PORT), |port| port.parse().map_err(|_| failed()))?;
        let is_user = |letter: char| letter.is_ascii_alphanumeric() || "._-+".contains(letter);
        let is_host = |letter: char| letter.is_ascii_alphanumeric() || "._-:%".contains(letter);
        let sound = !user.is_empty()
            && !host.is_empty()
            && user.chars().all(is_user)
            && host.chars().all(is_host)
            && !user.starts_with('-')
            && !host.starts_with('-')
            && text.len() <= TEXT_MAX
            && port != 0;
        sound
            .then(|| Self {
                user: user.to_owned(),
                host: host.to_owned(),
                port,
            })
            .ok_or_else(failed)
    }

    /// Its name in a file of known hosts.
    #[must_use]
    pub fn known_as(&self) -> String {
        match self.port {
            PORT => self.host.clone(),
            port => format!("[{}]:{port}", self.host),
        }
    }

    /// A file's name for it, and for no other.
    #[must_use]
    pub fn file_name(&self) -> String {
        let plain = |letter: char| match letter {
            ':' | '%' => '_',
            letter => letter,
        };
        let host: String = self.host.chars().map(plain).collect();
        format!("{}@{host}@{}.json", self.user, self.port)
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        Self::parse(text, None)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, host, port } = self;
        match (*port, host.contains(':')) {
            (PORT, _) => write!(f, "{user}@{host}"),
            (port, true) => write!(f, "{user}@[{host}]:{port}"),
            (port, false) => write!(f, "{user}@{host}:{port}"),
        }
    }
}

/// Where sshd listens unless it is said.
const PORT: u16 = 22;

/// Longer than any name of a host with a user before it.
const TEXT_MAX: usize = 320;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_named_as_ssh_names_them() {
        let check = |text: &str, user: &str, host: &str, port: u16| {
            let target = Target::parse(text, Some("me")).unwrap();
            let (u, h) = (target.user.as_str(), target.host.as_str());
            assert_eq!((u, h, target.port), (user, host, port), "{text}");
            assert_eq!(target.to_string().parse(), Ok(target), "{text}");
        };
        check("sam@attic", "sam", "attic", 22);
        check("attic", "me", "attic", 22);
        check("sam@attic:2222", "sam", "attic", 2222);
        check("sam@10.0.0.7", "sam", "10.0.0.7", 22);
        check("sam@[fe80::1%eth0]:2222", "sam", "fe80::1%eth0", 2222);
        check("sam@fe80::1", "sam", "fe80::1", 22);
        for bad in [
            "",
            "@attic",
            "sam@",
            "sam@attic:",
            "sam@attic:0",
            "sam@attic:99999",
            "-oProxy@attic",
            "sam@-attic",
            "sam@at tic",
            "sam@attic;id",
            "sam@$(id)",
            "s\u{202e}m@attic",
            "a/b@attic",
            "sam@../attic",
            "sam@[::1",
            "sam@[::1]2",
        ] {
            assert!(Target::parse(bad, Some("me")).is_err(), "{bad}");
        }
        let long = "x".repeat(TEXT_MAX + 1);
        assert!(Target::parse(&long, Some("me")).is_err());
        assert_eq!(Target::parse("a@b", None).unwrap().known_as(), "b");
        let other = Target::parse("a@b:23", None).unwrap();
        assert_eq!(
            (other.known_as().as_str(), other.file_name().as_str()),
            ("[b]:23", "a@b@23.json")
        );
    }
}
