//! A URL taken apart as far as a request needs it. The host checks it again and decides whether it may be reached.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use super::HttpError;

/// The parts of a URL that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) secure: bool,
    pub(super) authority: String,
    pub(super) path: String,
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self, HttpError> {
        let wrong = |what: &str| {
            let shown = super::quoted(text);
            Err(HttpError::Request(format!("`{shown}` is no URL: {what}")))
        };
        let (secure, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return wrong("it begins with `https://` or `http://`"),
        };
        if text.contains(|c: char| c.is_control() || c == ' ') {
            return wrong("it has no spaces");
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        if authority.is_empty() {
            return wrong("it names a host");
        }
        if authority.contains('@') {
            return wrong("a user or key before the host does not belong there: use a secret");
        }
        let path = match path.chars().next() {
            Some('/') => path.to_owned(),
            Some(_) => format!("/{path}"),
            None => "/".to_owned(),
        };
        Ok(Self {
            secure,
            authority: authority.to_owned(),
            path,
        })
    }
}

/// A URL below a base, with one slash between them.
///
/// ```
/// use skep_sdk::http::join;
///
/// assert_eq!(join("http://127.0.0.1:11434/", "api/tags"), "http://127.0.0.1:11434/api/tags");
/// assert_eq!(join("https://api.openai.com/v1", "/models"), "https://api.openai.com/v1/models");
/// ```
#[must_use]
pub fn join(base: &str, path: &str) -> String {
    format!(
        "{}/{}",
        base.trim_end_matches('/'),
        path.trim_start_matches('/')
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let parts = |text: &str| {
            let url = Url::parse(text).unwrap();
            (url.secure, url.authority, url.path)
        };
        assert_eq!(
            parts("https://api.openai.com/v1/models?x=1#top"),
            (true, "api.openai.com".into(), "/v1/models?x=1".into())
        );
        assert_eq!(
            parts("http://[::1]:8080"),
            (false, "[::1]:8080".into(), "/".into())
        );
        assert_eq!(parts("http://host?a"), (false, "host".into(), "/?a".into()));
        for wrong in [
            "",
            "host",
            "ftp://host",
            "https://",
            "https:///x",
            "https://u:p@host/",
            "https://a b/",
            "http://a\r\nx: y/",
        ] {
            assert!(
                matches!(Url::parse(wrong), Err(HttpError::Request(_))),
                "{wrong}"
            );
        }
    }
}
