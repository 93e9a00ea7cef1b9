//! Who may ask, and from where: the checks that come before any endpoint.
//!
//! Three of them. The name by which we are called must be ours, or a page elsewhere whose name was
//! pointed at this machine (DNS rebinding) could read what loopback serves. A browser may change
//! something only from a page of ours. And a key is needed wherever the operator or the address says so.

use std::net::{IpAddr, SocketAddr};

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header};
use skep_core::KeyId;
use subtle::ConstantTimeEq;

use super::error::{ApiError, Kind};
use super::limits::CREDENTIAL_BYTES_MAX;
use crate::config::HttpSettings;
use crate::keys::{Keys, PREFIX, Secret};

/// On whose account a request runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nobody in particular, on a machine that lets its users in.
    Anonymous,
    /// The holder of a key.
    Key(KeyId),
    /// A command on this machine, by the agent's same user.
    Local,
}

impl Caller {
    /// The account.
    #[must_use]
    pub fn key(self) -> KeyId {
        match self {
            Self::Anonymous | Self::Local => KeyId(0),
            Self::Key(key) => key,
        }
    }
}

/// The checks, with what they need to know.
#[derive(Debug)]
pub(super) struct Guard {
    listen: SocketAddr,
    require_key: bool,
    hosts: Vec<String>,
    origins: Vec<String>,
    /// Made at each start and told in a file that only this user reads.
    local: Secret,
}

impl Guard {
    pub(super) fn new(settings: &HttpSettings, local: Secret) -> Self {
        Self {
            listen: settings.listen,
            require_key: settings.require_key,
            hosts: settings.allowed_hosts.clone(),
            origins: settings.allowed_origins.clone(),
            local,
        }
    }

    /// Whether this request calls us by a name of ours.
    pub(super) fn check_host(
        &self,
        version: Version,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), ApiError> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next();
        if hosts.next().is_some() {
            return Err(ApiError::bad_request("there is more than one `host` field"));
        }
        if host.is_none() && version == Version::HTTP_11 {
            return Err(ApiError::bad_request("the `host` field is missing"));
        }
        let named = match host {
            None => None,
            Some(host) => Some(authority(host).ok_or_else(|| {
                ApiError::bad_request("the `host` field is not a name with an optional port")
            })?),
        };
        let called = uri.authority().cloned().or(named);
        // Beyond loopback every request carries a key, which no page elsewhere has.
        if self.require_key {
            return Ok(());
        }
        match called {
            Some(name) if !self.is_ours(name.host()) => Err(ApiError::new(
                StatusCode::MISDIRECTED_REQUEST,
                Kind::PermissionError,
                format!(
                    "this agent is not called `{}`: use `{}`, or add the name to `http.allowed_hosts`",
                    name.host().chars().take(100).collect::<String>(),
                    self.listen
                ),
            )
            .with_code("unknown_host")),
            _ => Ok(()),
        }
    }

    /// Whether a page elsewhere asks; returns the origin to be let in by name.
    pub(super) fn check_origin(
        &self,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Option<HeaderValue>, ApiError> {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Ok(None);
        };
        let text = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        if self.origins.contains(&text) {
            return Ok(Some(origin.clone()));
        }
        let same = text.split_once("://").is_some_and(|(_, host)| {
            headers
                .get(header::HOST)
                .is_some_and(|ours| ours.as_bytes().eq_ignore_ascii_case(host.as_bytes()))
        });
        if same || matches!(*method, Method::GET | Method::HEAD) {
            return Ok(None);
        }
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            Kind::PermissionError,
            "a page of another origin may not do this; add the origin to `http.allowed_origins`",
        )
        .with_code("foreign_origin"))
    }

    /// Who asks. A key of ours must be right even where none is needed; what does not look like one is what
    /// clients send that cannot do without, and counts as none there.
    pub(super) fn caller(&self, headers: &HeaderMap, keys: &Keys) -> Result<Caller, ApiError> {
        let presented = match headers.get(header::AUTHORIZATION) {
            Some(value) => Some(bearer(value).ok_or_else(|| {
                unauthorized("the `authorization` field must be `Bearer` and an API key")
            })?),
            None => headers
                .get("x-api-key")
                .map(|value| value.to_str().unwrap_or("?")),
        };
        match presented.filter(|key| !key.is_empty()) {
            Some(key) if key.len() > CREDENTIAL_BYTES_MAX => Err(wrong_key()),
            Some(key) => {
                if let Some(id) = keys.verify(key) {
                    return Ok(Caller::Key(id));
                }
                let local = self.local.reveal().as_bytes();
                if self.listen.ip().is_loopback() && bool::from(local.ct_eq(key.as_bytes())) {
                    return Ok(Caller::Local);
                }
                if self.require_key || key.starts_with(PREFIX) {
                    return Err(wrong_key());
                }
                Ok(Caller::Anonymous)
            }
            None if self.require_key => Err(unauthorized(
                "an API key is needed: send it as `authorization: Bearer sk-skep-…` \
                 (`skep keys new` makes one)",
            )),
            None => Ok(Caller::Anonymous),
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return address.is_loopback() || address == self.listen.ip();
        }
        let name = bare.trim_end_matches('.').to_ascii_lowercase();
        name == "localhost" || name.ends_with(".localhost") || self.hosts.contains(&name)
    }
}

fn authority(value: &HeaderValue) -> Option<Authority> {
    let authority = Authority::try_from(value.as_bytes()).ok()?;
    let after_host = authority.as_str().get(authority.host().len()..)?;
    let port = after_host.strip_prefix(':');
    let fits = after_host.is_empty() || port.is_some_and(|port| port.parse::<u16>().is_ok());
    fits.then_some(authority)
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?;
    let (scheme, key) = text.split_once(' ').unwrap_or((text, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn wrong_key() -> ApiError {
    unauthorized("the API key is not valid; `skep keys ls` lists those that are")
        .with_code("invalid_api_key")
}

fn unauthorized(message: &'static str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, Kind::AuthenticationError, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Settings};
    use crate::paths::Paths;

    fn guard(text: &str) -> Guard {
        let config: Config = toml::from_str(text).unwrap();
        let settings = Settings::try_from(config).unwrap();
        Guard::new(&settings.http, Secret::generate().unwrap())
    }

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn only_our_own_names_are_answered_on_loopback() {
        let guard = guard("[http]\nallowed_hosts = [\"Box.lan\"]");
        let check = |fields: &[(&'static str, &str)], expect: u16| {
            let found = guard.check_host(Version::HTTP_11, &"/".parse().unwrap(), &headers(fields));
            let status = found.map_or_else(|error| error.status.as_u16(), |()| 200);
            assert_eq!(status, expect, "{fields:?}");
        };
        for ours in [
            "localhost",
            "localhost:7420",
            "LOCALHOST.",
            "127.0.0.1:7420",
            "127.9.9.9",
            "[::1]:1",
            "a.localhost",
            "box.lan:80",
        ] {
            check(&[("host", ours)], 200);
        }
        for theirs in [
            "evil.example",
            "localhost.evil.example:7420",
            "10.0.0.1",
            "192.168.1.1:7420",
        ] {
            check(&[("host", theirs)], 421);
        }
        for wrong in ["", "a b", "a/b", "user@localhost", "localhost:port"] {
            check(&[("host", wrong)], 400);
        }
        check(&[], 400);
        check(&[("host", "localhost"), ("host", "localhost")], 400);
    }

    #[test]
    fn other_pages_may_look_but_not_touch() {
        let guard = guard("[http]\nallowed_origins = [\"https://chat.example\"]");
        let check = |method: Method, origin: &str, expect: Result<bool, ()>| {
            let headers = headers(&[("host", "localhost:7420"), ("origin", origin)]);
            let found = guard.check_origin(&method, &headers);
            assert_eq!(
                found.map(|o| o.is_some()).map_err(|_| ()),
                expect,
                "{origin}"
            );
        };
        check(Method::POST, "http://localhost:7420", Ok(false));
        check(Method::POST, "https://chat.example", Ok(true));
        check(Method::GET, "https://evil.example", Ok(false));
        for evil in [
            "https://evil.example",
            "null",
            "http://localhost:7421",
            "http://localhost",
        ] {
            check(Method::POST, evil, Err(()));
            check(Method::DELETE, evil, Err(()));
        }
    }

    #[test]
    fn a_key_that_is_given_must_be_right() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::under(folder.path()).unwrap();
        paths.create().unwrap();
        let (keys, first) = Keys::open(&paths).unwrap();
        let first = first.unwrap();
        let open = guard("");
        let closed = guard("[http]\nrequire_key = true");
        let check = |fields: &[(&'static str, &str)],
                     open_to: Option<Caller>,
                     closed_to: Option<Caller>| {
            let headers = headers(fields);
            assert_eq!(open.caller(&headers, &keys).ok(), open_to, "{fields:?}");
            assert_eq!(closed.caller(&headers, &keys).ok(), closed_to, "{fields:?}");
        };
        let key = Some(Caller::Key(KeyId(1)));
        let bearer = format!("Bearer {}", first.reveal());
        check(&[("authorization", &bearer)], key, key);
        check(
            &[("authorization", &bearer.replace("Bearer", "bearer"))],
            key,
            key,
        );
        check(&[("x-api-key", first.reveal())], key, key);
        check(&[], Some(Caller::Anonymous), None);
        check(
            &[("authorization", "Bearer ")],
            Some(Caller::Anonymous),
            None,
        );
        for wrong in [
            "Bearer sk-skep-x",
            "Basic eDp5",
            "sk-skep-x",
            "Bearer \u{e9}",
            "' or 1=1 --",
        ] {
            check(&[("authorization", wrong)], None, None);
        }
        check(
            &[("authorization", "Bearer none-needed")],
            Some(Caller::Anonymous),
            None,
        );
        let local = format!("Bearer {}", open.local.reveal());
        check(&[("authorization", &local)], Some(Caller::Local), None);
        let long = format!("Bearer {}", "a".repeat(100_000));
        check(&[("authorization", &long)], None, None);
    }
}
