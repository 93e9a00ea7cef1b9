//! What a component in a registry is called: `oci://HOST[:PORT]/NAME[:TAG][@sha256:DIGEST]`.
//!
//! Decides what may be asked for. A digest counts for more than a tag; without either it is the tag `latest`.

use std::fmt;
use std::str::FromStr;

use ureq::http::Uri;

use super::SourceError;
use super::web::{self, shown};

/// A name that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl Reference {
    pub(super) fn registry(&self) -> &str {
        &self.registry
    }

    pub(super) fn repository(&self) -> &str {
        &self.repository
    }

    /// The digits of the manifest's SHA-256, where it was named.
    pub(super) fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// What is asked for.
    pub(super) fn wanted(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => format!("sha256:{digest}"),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }

    /// Whether the registry is on this machine; only there plain HTTP is spoken.
    pub(super) fn is_here(&self) -> bool {
        let url = format!("http://{}/", self.registry).parse::<Uri>();
        url.is_ok_and(|url| web::is_here(&url))
    }

    /// Where something below the name is.
    pub(super) fn url(&self, below: &str) -> Result<Uri, SourceError> {
        let scheme = if self.is_here() { "http" } else { "https" };
        let host = match self.registry.as_str() {
            // What people call Docker's registry is not where it answers.
            "docker.io" => "registry-1.docker.io",
            host => host,
        };
        web::address(&format!("{scheme}://{host}/v2/{}/{below}", self.repository))
    }
}

impl FromStr for Reference {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let wrong = || SourceError::Reference(shown(text));
        let rest = text.strip_prefix("oci://").ok_or_else(wrong)?;
        let (rest, digest) = match rest.split_once('@') {
            None => (rest, None),
            Some((rest, digest)) => {
                let digits = digest.strip_prefix("sha256:").ok_or_else(wrong)?;
                (rest, Some(digits.to_owned()))
            }
        };
        let (registry, rest) = rest.split_once('/').ok_or_else(wrong)?;
        let (repository, tag) = match rest.rsplit_once(':') {
            None => (rest, None),
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
        };
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_digest = |digits: &String| digits.len() == 64 && digits.bytes().all(hex);
        let host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
        let is_registry =
            !registry.is_empty() && registry.len() <= 260 && registry.bytes().all(host);
        // As the distribution specification has names and tags.
        let part = |part: &str| {
            let fits = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)
            };
            let first = part
                .bytes()
                .next()
                .is_some_and(|byte| byte.is_ascii_alphanumeric());
            let last = part
                .bytes()
                .last()
                .is_some_and(|byte| byte.is_ascii_alphanumeric());
            first && last && part.bytes().all(fits)
        };
        let is_repository = repository.len() <= 255 && repository.split('/').all(part);
        let is_tag = |tag: &String| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            let first = tag.bytes().next();
            let first = first.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            tag.len() <= 128 && first && tag.bytes().all(fits)
        };
        let good = is_registry
            && is_repository
            && digest.as_ref().is_none_or(is_digest)
            && tag.as_ref().is_none_or(is_tag);
        let reference = Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag,
            digest,
        };
        // Also what only whoever reads addresses would refuse.
        if !good || reference.url("").is_err() {
            return Err(wrong());
        }
        Ok(reference)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@sha256:{digest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_and_written_the_same() {
        let digest = "0123456789abcdef".repeat(4);
        let pinned = format!("oci://ghcr.io/a/b:1.0@sha256:{digest}");
        for (good, wanted, url) in [
            ("oci://ghcr.io/a/b:1.0", "1.0", "https://ghcr.io/v2/a/b/x"),
            ("oci://ghcr.io/a", "latest", "https://ghcr.io/v2/a/x"),
            (
                "oci://docker.io/a/b",
                "latest",
                "https://registry-1.docker.io/v2/a/b/x",
            ),
            (
                "oci://127.0.0.1:5000/a/b-c.d:v1",
                "v1",
                "http://127.0.0.1:5000/v2/a/b-c.d/x",
            ),
            ("oci://[::1]:5000/a", "latest", "http://[::1]:5000/v2/a/x"),
            (
                &pinned,
                &format!("sha256:{digest}"),
                "https://ghcr.io/v2/a/b/x",
            ),
        ] {
            let read: Reference = good.parse().unwrap();
            assert_eq!(read.to_string(), good);
            assert_eq!(read.wanted(), wanted);
            assert_eq!(read.url("x").unwrap().to_string(), url);
        }
    }

    #[test]
    fn what_would_ask_for_something_else_is_refused() {
        for wrong in [
            "oci://",
            "oci://ghcr.io",
            "oci://ghcr.io/",
            "oci:///a",
            "ghcr.io/a/b",
            "oci://ghcr.io/A",
            "oci://ghcr.io/../b",
            "oci://ghcr.io/a//b",
            "oci://ghcr.io/a?x=y",
            "oci://ghcr.io/a#b",
            "oci://user@ghcr.io/a",
            "oci://ghcr.io/a:b c",
            "oci://ghcr.io/a:..",
            "oci://ghcr.io/a@sha256:12",
            "oci://ghcr.io/a@sha512:12",
            "oci://gh cr.io/a",
        ] {
            assert!(wrong.parse::<Reference>().is_err(), "{wrong}");
        }
    }
}
