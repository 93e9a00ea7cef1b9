//! Where the agent is, and what lets us in.
//!
//! Decides the order: what the caller set (`SKEP_URL`, `SKEP_API_KEY`), then what a running agent
//! of the same user left in a file, then the default address. Refuses to send a key in the clear
//! to another machine.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use ureq::http::Uri;

/// An agent's address, and a key if one is needed.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: String,
    key: Option<String>,
    loopback: bool,
    /// The one certificate to believe, where the agent made its own; in DER.
    certificate: Option<Vec<u8>>,
}

/// Why an address cannot be used. Nothing was sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    #[error("`{0}` is not the address of an agent")]
    Url(String),
    #[error("`{0}` is on another machine and not encrypted; a key would be readable on the way")]
    Clear(String),
}

impl EndpointError {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Url(_) => "write `SKEP_URL` as `http://127.0.0.1:7420` or `https://HOST:PORT`",
            Self::Clear(_) => "use `https://`; agents speak TLS beyond loopback",
        }
    }
}

impl Endpoint {
    /// Looks at the environment, then at the agent's own file, then takes the default.
    ///
    /// # Errors
    /// When the environment names what cannot be an agent.
    pub fn discover(
        variable: impl Fn(&str) -> Option<String>,
        file: Option<&Path>,
    ) -> Result<Self, EndpointError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let left = file.and_then(read);
        let key = set("SKEP_API_KEY");
        let (url, left) = match set("SKEP_URL") {
            // The file's secret, and its certificate, belong to the file's agent alone.
            Some(url) => {
                let left = left.filter(|left| left.url == url);
                (url, left)
            }
            None => match left {
                Some(left) => (left.url.clone(), Some(left)),
                None => (DEFAULT_URL.to_owned(), None),
            },
        };
        let certificate = left.as_ref().and_then(|left| left.certificate.as_deref());
        let certificate = certificate.and_then(|path| CertificateDer::from_pem_file(path).ok());
        let mut found = Self::new(&url, key.or_else(|| left.map(|left| left.token)))?;
        found.certificate = certificate.map(|certificate| certificate.to_vec());
        Ok(found)
    }

    /// An agent at an address.
    ///
    /// # Errors
    /// When it is no address, or would send a key unencrypted to another machine.
    pub fn new(url: &str, key: Option<String>) -> Result<Self, EndpointError> {
        let wrong =
            || EndpointError::Url(url.chars().take(200).flat_map(char::escape_debug).collect());
        let uri: Uri = url.trim_end_matches('/').parse().map_err(|_| wrong())?;
        let host = uri
            .host()
            .filter(|host| !host.is_empty())
            .ok_or_else(wrong)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let loopback = bare.eq_ignore_ascii_case("localhost")
            || bare
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        let plain = match uri.scheme_str() {
            Some("http") => true,
            Some("https") => false,
            _ => return Err(wrong()),
        };
        let root = uri.path().is_empty() || uri.path() == "/";
        if !root || uri.query().is_some() {
            return Err(wrong());
        }
        if plain && !loopback && key.is_some() {
            return Err(EndpointError::Clear(url.to_owned()));
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let scheme = if plain { "http" } else { "https" };
        Ok(Self {
            url: format!("{scheme}://{authority}"),
            key,
            loopback,
            certificate: None,
        })
    }

    /// The address, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The key, if there is one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The one certificate to believe, in DER; none: those that well-known authorities vouch for.
    pub(super) fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    /// Whether it is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Endpoint({}, key: {})", self.url, self.key.is_some())
    }
}

/// What a running agent leaves for commands of the same user.
#[derive(Deserialize)]
struct Left {
    url: String,
    pid: u32,
    token: String,
    /// Of an agent that made its own.
    #[serde(default)]
    certificate: Option<PathBuf>,
}

fn read(path: &Path) -> Option<Left> {
    let text = std::fs::read(path).ok().filter(|text| text.len() <= 4096)?;
    let left: Left = serde_json::from_slice(&text).ok()?;
    // One that was killed could not take its file away.
    Path::new("/proc")
        .join(left.pid.to_string())
        .exists()
        .then_some(left)
}

const DEFAULT_URL: &str = "http://127.0.0.1:7420";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |url: &str, key: Option<&str>, expect: Option<&str>| {
            let got = Endpoint::new(url, key.map(str::to_owned));
            assert_eq!(
                got.as_ref().ok().map(Endpoint::url),
                expect,
                "{url}: {got:?}"
            );
        };
        check(
            "http://127.0.0.1:7420/",
            Some("k"),
            Some("http://127.0.0.1:7420"),
        );
        check("http://[::1]:7420", Some("k"), Some("http://[::1]:7420"));
        check("http://localhost:1", Some("k"), Some("http://localhost:1"));
        check(
            "https://gpu.example:7420",
            Some("k"),
            Some("https://gpu.example:7420"),
        );
        check("http://gpu.example:7420", Some("k"), None);
        check(
            "http://gpu.example:7420",
            None,
            Some("http://gpu.example:7420"),
        );
        check("ftp://127.0.0.1", None, None);
        check("127.0.0.1:7420", None, None);
        check("http://127.0.0.1/v1", None, None);
        check("", None, None);
    }

    #[test]
    fn the_environment_comes_first_and_secrets_stay_with_their_agent() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("endpoint.json");
        let write = |pid: u32| {
            let text = format!(r#"{{"url":"http://127.0.0.1:9","pid":{pid},"token":"local"}}"#);
            std::fs::write(&file, text).unwrap();
        };
        write(std::process::id());
        let check = |set: &[(&str, &str)], url: &str, key: Option<&str>| {
            let variable = |name: &str| {
                set.iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, value)| (*value).to_owned())
            };
            let got = Endpoint::discover(variable, Some(&file)).unwrap();
            assert_eq!((got.url(), got.key()), (url, key), "{set:?}");
        };
        check(&[], "http://127.0.0.1:9", Some("local"));
        check(
            &[("SKEP_API_KEY", "mine")],
            "http://127.0.0.1:9",
            Some("mine"),
        );
        check(&[("SKEP_URL", "https://far:1")], "https://far:1", None);
        check(
            &[("SKEP_URL", "http://127.0.0.1:9")],
            "http://127.0.0.1:9",
            Some("local"),
        );
        check(
            &[("SKEP_URL", ""), ("SKEP_API_KEY", "")],
            "http://127.0.0.1:9",
            Some("local"),
        );
        write(u32::MAX);
        check(&[], DEFAULT_URL, None);
        std::fs::write(&file, "damaged").unwrap();
        check(&[], DEFAULT_URL, None);
    }
}
