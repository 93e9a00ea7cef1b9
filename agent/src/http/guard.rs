//! Who may ask, and from where: the checks that come before any endpoint.
//!
//! Four of them. The name by which we are called must be ours, or a page elsewhere whose name was
//! pointed at this machine (DNS rebinding) could read what loopback serves. A browser may change
//! something only from a page of ours. A key is needed wherever the operator or the address says so. And a browser that is
//! signed in, which sends its cookie whoever made it ask, changes something only with a field that no form can set.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header};
use skep_core::KeyId;
use skep_core::state::{State, UserRole};
use subtle::ConstantTimeEq;

use super::error::{ApiError, Kind};
use super::limits::CREDENTIAL_BYTES_MAX;
use super::session::{By, Sessions};
use crate::config::HttpSettings;
use crate::keys::{Holder, Keys, PREFIX, Secret};

/// On whose account a request runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nobody in particular, on a machine that lets its users in.
    Anonymous,
    /// The holder of a key that may do everything.
    Key(KeyId),
    /// Somebody who signed in, or a key of theirs.
    User(Person),
    /// A browser that came in by the link of the setup.
    Session,
    /// A command on this machine, by the agent's same user.
    Local,
}

/// A user, as far as it matters to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    pub number: u64,
    pub role: UserRole,
    /// The key that was shown; none: a browser.
    pub key: Option<KeyId>,
}

/// By what callers are known.
pub(super) struct Known<'a, S: Fn() -> Arc<State>> {
    pub(super) keys: &'a Keys,
    pub(super) sessions: &'a Sessions,
    /// The cluster's state, looked at for users only.
    pub(super) state: S,
}

/// Accounts of users who use no key begin here: keys are numbered from one, and every JSON reader keeps this exactly.
const USERS_FROM: u64 = 1 << 48;

impl Caller {
    /// The account.
    #[must_use]
    pub fn key(self) -> KeyId {
        match self {
            Self::Anonymous | Self::Session | Self::Local => KeyId(0),
            Self::Key(key) => key,
            Self::User(person) => person.account(),
        }
    }

    /// The user, if it is one.
    #[must_use]
    pub fn person(self) -> Option<Person> {
        match self {
            Self::User(person) => Some(person),
            Self::Anonymous | Self::Key(_) | Self::Session | Self::Local => None,
        }
    }
}

impl Person {
    fn account(self) -> KeyId {
        self.key
            .unwrap_or_else(|| KeyId(USERS_FROM.saturating_add(self.number)))
    }
}

impl<S: Fn() -> Arc<State>> Known<'_, S> {
    /// Whose a key is; none when its owner may not come in.
    fn holder(&self, holder: Holder) -> Option<Caller> {
        let Some(owner) = holder.owner else {
            return Some(Caller::Key(holder.key));
        };
        self.person(owner, None, Some(holder.key))
    }

    /// Who is signed in. A key that was revoked takes its sessions along, and so does a user.
    fn session(&self, headers: &HeaderMap) -> Option<Caller> {
        match self.sessions.find(headers)? {
            By::Setup => Some(Caller::Session),
            By::Key(id) => self.holder(self.keys.holder(KeyId(id))?),
            By::User { number, epoch } => self.person(number, Some(epoch), None),
        }
    }

    fn person(&self, number: u64, epoch: Option<u64>, key: Option<KeyId>) -> Option<Caller> {
        let state = (self.state)();
        let (_, user) = state.users().numbered(number)?;
        let same = epoch.is_none_or(|epoch| epoch == user.epoch);
        (same && state.users().admits(user)).then_some(Caller::User(Person {
            number,
            role: user.role,
            key,
        }))
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
    /// clients send that cannot do without, and counts as none there. Who sends no key may have a session.
    pub(super) fn caller(
        &self,
        peer: IpAddr,
        method: &Method,
        headers: &HeaderMap,
        known: &Known<'_, impl Fn() -> Arc<State>>,
    ) -> Result<Caller, ApiError> {
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
                if let Some(holder) = known.keys.verify(key) {
                    return known.holder(holder).ok_or_else(wrong_key);
                }
                let local = self.local.reveal().as_bytes();
                if peer.to_canonical().is_loopback() && bool::from(local.ct_eq(key.as_bytes())) {
                    return Ok(Caller::Local);
                }
                if self.require_key || key.starts_with(PREFIX) {
                    return Err(wrong_key());
                }
                Ok(Caller::Anonymous)
            }
            None => match known.session(headers) {
                Some(caller) => {
                    check_own_page(method, headers)?;
                    Ok(caller)
                }
                None if self.require_key => Err(unauthorized(
                    "an API key is needed: send it as `authorization: Bearer sk-skep-…` \
                     (`skep keys new` makes one), or sign in on the page",
                )),
                None => Ok(Caller::Anonymous),
            },
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

/// Whether a page of ours asks, as far as a browser tells: by a field that only a script may set, which a browser asks us about
/// first if the script is of another origin, and by what the browser itself says of who asks. Origins that an operator let in
/// use keys: cookies are for our own page.
fn check_own_page(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let says = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = says("origin").map(|origin| {
        let host = origin.split_once("://").map(|(_, host)| host);
        let ours = says("host");
        host.zip(ours)
            .is_some_and(|(host, ours)| host.eq_ignore_ascii_case(ours))
    });
    let site = says("sec-fetch-site").map(|site| site == "same-origin");
    let own = match (origin, site) {
        (None, None) => false,
        (origin, site) => origin.unwrap_or(true) && site.unwrap_or(true),
    };
    if own && says(CSRF) == Some("1") {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        Kind::PermissionError,
        "whoever is signed in by a cookie changes something only from the agent's own page, which sends \
         `x-skep-csrf: 1`; programs send an API key",
    )
    .with_code("csrf"))
}

/// What our page sends with whatever changes something.
const CSRF: &str = "x-skep-csrf";

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
    use crate::http::session::By;
    use crate::paths::Paths;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn guard(text: &str) -> Guard {
        let config: Config = toml::from_str(text).unwrap();
        let settings = Settings::try_from(config).unwrap();
        Guard::new(&settings.http, Secret::generate().unwrap())
    }

    fn known<'a>(
        keys: &'a Keys,
        sessions: &'a Sessions,
    ) -> Known<'a, impl Fn() -> Arc<State> + 'a> {
        let state = Arc::<State>::default;
        Known {
            keys,
            sessions,
            state,
        }
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
        let sessions = Sessions::open(paths.sessions_file(), skep_core::NodeId([1; 16]));
        let open = guard("");
        let closed = guard("[http]\nrequire_key = true");
        let check = |fields: &[(&'static str, &str)],
                     open_to: Option<Caller>,
                     closed_to: Option<Caller>| {
            let headers = headers(fields);
            let caller = |guard: &Guard| {
                let known = known(&keys, &sessions);
                let caller = guard.caller(PEER, &Method::POST, &headers, &known);
                caller.ok()
            };
            assert_eq!(caller(&open), open_to, "{fields:?}");
            assert_eq!(caller(&closed), closed_to, "{fields:?}");
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
        // Beyond this machine it is nothing, whoever got hold of it.
        let fields = headers(&[("authorization", &local)]);
        for (peer, is_local) in [
            ("::ffff:127.0.0.1", true),
            ("::1", true),
            ("192.168.1.7", false),
        ] {
            let peer = peer.parse().unwrap();
            let known = known(&keys, &sessions);
            let found = open.caller(peer, &Method::POST, &fields, &known);
            assert_eq!(found.ok() == Some(Caller::Local), is_local, "{peer}");
        }
        let long = format!("Bearer {}", "a".repeat(100_000));
        check(&[("authorization", &long)], None, None);
    }

    #[test]
    fn a_cookie_changes_something_only_from_our_own_page() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::under(folder.path()).unwrap();
        paths.create().unwrap();
        let (keys, _) = Keys::open(&paths).unwrap();
        let sessions = Sessions::open(paths.sessions_file(), skep_core::NodeId([1; 16]));
        let cookie = |by| {
            let cookie = sessions.begin(by).unwrap();
            let field = sessions.field(Some(&cookie), false).unwrap();
            let field = field.to_str().unwrap().to_owned();
            field.split(';').next().unwrap().to_owned()
        };
        let setup = cookie(By::Setup);
        // Another origin that was let in, too, is another page.
        let guard =
            guard("[http]\nrequire_key = true\nallowed_origins = [\"https://chat.example\"]");
        let check =
            |method: Method, fields: &[(&'static str, &str)], expect: Result<Caller, u16>| {
                let mut all = vec![("host", "localhost:7420"), ("cookie", &setup)];
                all.extend(fields);
                let known = known(&keys, &sessions);
                let found = guard.caller(PEER, &method, &headers(&all), &known);
                assert_eq!(
                    found.map_err(|error| error.status.as_u16()),
                    expect,
                    "{fields:?}"
                );
            };
        let ours = ("origin", "http://localhost:7420");
        let csrf = ("x-skep-csrf", "1");
        let same = ("sec-fetch-site", "same-origin");
        let in_session = Ok(Caller::Session);
        check(Method::GET, &[], in_session);
        check(Method::POST, &[ours, csrf], in_session);
        check(Method::POST, &[same, csrf], in_session);
        check(Method::DELETE, &[ours, same, csrf], in_session);
        for lacking in [
            &[][..],
            &[ours],
            &[csrf],
            &[same],
            &[ours, same],
            &[ours, ("x-skep-csrf", "0")],
            &[csrf, ("origin", "https://chat.example")],
            &[csrf, ("origin", "http://localhost:7421")],
            &[csrf, ("origin", "null")],
            &[csrf, same, ("origin", "null")],
            &[csrf, ours, ("sec-fetch-site", "same-site")],
            &[csrf, ("sec-fetch-site", "cross-site")],
            &[csrf, ("sec-fetch-site", "none")],
        ] {
            check(Method::POST, lacking, Err(403));
            check(Method::PUT, lacking, Err(403));
        }
        // A wrong key is not made right by a cookie.
        check(
            Method::GET,
            &[("authorization", "Bearer sk-skep-x")],
            Err(401),
        );
        let (made, _) = keys.create("phone", None).unwrap();
        let phone = cookie(By::Key(made.id));
        let fields = headers(&[("cookie", &phone)]);
        let caller = || {
            let known = known(&keys, &sessions);
            guard.caller(PEER, &Method::GET, &fields, &known).ok()
        };
        assert_eq!(caller(), Some(Caller::Key(KeyId(made.id))));
        keys.revoke("phone").unwrap();
        assert_eq!(caller(), None);
    }
}
