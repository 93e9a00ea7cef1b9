//! Where to look for other nodes beside the local network: addresses that somebody listed, and domains that name them.
//!
//! Decides their spelling and how many are asked; `net::who` asks.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use tokio::time::timeout;

use crate::egress::{ResolveError, name_servers, services};
use crate::limits::{PLACES_MAX, WHO_TIMEOUT};

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `HOST:PORT`: an address, or a name that has some.
    Host(String),
    /// `dns:DOMAIN`: its records for `_skep._udp` (RFC 2782) name hosts and ports.
    Domain(String),
}

/// A text is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give `HOST:PORT`, as `192.168.1.10:7420`, or `dns:DOMAIN`, as `dns:example.org`")]
pub struct NotAPlace;

impl FromStr for Place {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        if let Some(domain) = text.strip_prefix("dns:") {
            return is_name(domain)
                .then(|| Self::Domain(domain.to_owned()))
                .ok_or(NotAPlace);
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            let fits = address.port() != 0 && !address.ip().is_unspecified();
            return fits.then(|| Self::Host(text.to_owned())).ok_or(NotAPlace);
        }
        let (name, port) = text.rsplit_once(':').ok_or(NotAPlace)?;
        let is_port = port.parse::<u16>().is_ok_and(|port| port != 0);
        (is_port && is_name(name))
            .then(|| Self::Host(text.to_owned()))
            .ok_or(NotAPlace)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(place) => f.write_str(place),
            Self::Domain(domain) => write!(f, "dns:{domain}"),
        }
    }
}

impl Place {
    /// The addresses that it stands for now.
    pub(super) async fn addresses(&self) -> Result<Vec<SocketAddr>, ResolveError> {
        match self {
            Self::Host(place) => in_time(place, host(place)).await,
            Self::Domain(domain) => {
                let servers = name_servers().map_err(|error| ResolveError {
                    name: domain.clone(),
                    why: format!("`/etc/resolv.conf`: {error}"),
                })?;
                in_time(domain, named(domain, &servers)).await
            }
        }
    }
}

/// A server for names that says nothing holds up nobody who looks around.
async fn in_time<T>(
    name: &str,
    found: impl Future<Output = Result<T, ResolveError>>,
) -> Result<T, ResolveError> {
    let silent = |_| ResolveError {
        name: name.to_owned(),
        why: format!("no answer within {} s", WHO_TIMEOUT.as_secs()),
    };
    timeout(WHO_TIMEOUT, found).await.map_err(silent)?
}

async fn named(domain: &str, servers: &[SocketAddr]) -> Result<Vec<SocketAddr>, ResolveError> {
    let mut found = Vec::new();
    for (name, port) in services(SERVICE, domain, servers).await? {
        found.extend(host(&format!("{name}:{port}")).await?);
        if found.len() >= PLACES_MAX {
            break;
        }
    }
    found.truncate(PLACES_MAX);
    Ok(found)
}

async fn host(place: &str) -> Result<Vec<SocketAddr>, ResolveError> {
    let found = tokio::net::lookup_host(place).await;
    let found = found.map_err(|error| ResolveError {
        name: place.to_owned(),
        why: error.to_string(),
    })?;
    Ok(found.take(PLACES_MAX).collect())
}

/// A name of a host or a domain (RFC 1123, section 2.1).
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// What domains call it, as mDNS does.
const SERVICE: &str = "_skep._udp";

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn places_are_spelt() {
        for text in [
            "192.168.1.10:7420",
            "[fd00::1]:7420",
            "hive:7420",
            "hive.example.org:7420",
            "dns:example.org",
        ] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "hive",
            "hive:0",
            "hive:x",
            "0.0.0.0:7420",
            "fd00::1",
            "dns:",
            "dns:a..b",
            "https://hive:7420",
            "a b:7420",
            "-a:1",
        ] {
            assert_eq!(text.parse::<Place>(), Err(NotAPlace), "{text}");
        }
    }

    /// Answers one question with these records: the place that is preferred less comes first.
    fn domain() -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut packet = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut packet) {
                let mut question = packet[12..length].to_vec();
                let end = question.iter().position(|byte| *byte == 0).unwrap() + 5;
                question.truncate(end);
                let mut answer = packet[..2].to_vec();
                answer.extend([0x84, 0, 0, 1, 0, 2, 0, 0, 0, 0]);
                answer.extend(&question);
                for (priority, port) in [(9_u16, 7421_u16), (1, 7420)] {
                    let target = b"\x09localhost\x00";
                    answer.extend([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60]);
                    answer.extend(u16::try_from(6 + target.len()).unwrap().to_be_bytes());
                    answer.extend([priority, 0, port].map(u16::to_be_bytes).concat());
                    answer.extend(target);
                }
                socket.send_to(&answer, from).unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn a_domain_names_its_nodes() {
        let found = named("example.org", &[domain()]).await.unwrap();
        let ports: Vec<u16> = found.iter().map(SocketAddr::port).collect();
        assert!(found.iter().all(|at| at.ip().is_loopback()), "{found:?}");
        assert_eq!(ports.first(), Some(&7420), "{found:?}");
        assert_eq!(ports.last(), Some(&7421), "{found:?}");
    }

    #[tokio::test]
    async fn a_domain_that_nobody_knows_is_told() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let servers = [silent.local_addr().unwrap()];
        let error = named("example.org", &servers).await.unwrap_err();
        let error = error.to_string();
        assert!(error.contains("_skep._udp.example.org"), "{error}");
        // However many servers say nothing, it is told soon.
        let started = std::time::Instant::now();
        let servers = [servers[0]; 3];
        let error = in_time("example.org", named("example.org", &servers)).await;
        assert!(error.unwrap_err().to_string().contains("example.org"));
        assert!(started.elapsed() < WHO_TIMEOUT * 2);
    }
}
