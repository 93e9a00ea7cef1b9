//! What is granted now, and what one call has used of it, so that a call ends when a right that it used is taken away.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use hyper::http::{HeaderMap, StatusCode, header};
use skep_core::capability::{Capability, Host, Place, SecretName};
use tokio::sync::Semaphore;

use super::secrets::StandIns;
use crate::limits::{REQUESTS_OUT_IN_CALL, REQUESTS_OUT_OF_CALL, RETRY_AFTER_MAX_S};
use crate::protocol::Rights;

/// Which kind of grant a connection needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Http,
    Mail,
}

/// A right that a call used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// A host, on a port, at an address.
    Http(Host, u16, IpAddr),
    /// A mail server.
    Mail(Host, u16, IpAddr),
    Secret(SecretName),
}

/// The last answer said that there were too many requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// After how many seconds it wants the next, if it says so.
    pub retry_after_s: Option<u32>,
}

/// One call: what it has used, and what belongs to it alone.
#[derive(Debug)]
pub struct Scope {
    uses: Mutex<BTreeSet<Use>>,
    pub(super) stand_ins: Mutex<StandIns>,
    requests: AtomicU32,
    limited: Mutex<Option<Limit>>,
    pub(super) in_flight: Arc<Semaphore>,
}

impl Default for Scope {
    fn default() -> Self {
        Self {
            uses: Mutex::default(),
            stand_ins: Mutex::default(),
            requests: AtomicU32::new(0),
            limited: Mutex::default(),
            in_flight: Arc::new(Semaphore::new(REQUESTS_OUT_OF_CALL)),
        }
    }
}

impl Scope {
    /// What it used that these rights do not cover, if anything.
    #[must_use]
    pub fn lost(&self, rights: &Rights) -> Option<Use> {
        held(&self.uses)
            .iter()
            .find(|used| !used.covered(rights))
            .cloned()
    }

    pub(super) fn uses(&self, used: Use) {
        held(&self.uses).insert(used);
    }

    /// Whether the last answer said that there were too many requests. A plugin's own words have no place for that.
    #[must_use]
    pub fn limit(&self) -> Option<Limit> {
        *held(&self.limited)
    }

    pub(super) fn answered(&self, status: StatusCode, headers: &HeaderMap) {
        let limit = (status == StatusCode::TOO_MANY_REQUESTS).then(|| Limit {
            retry_after_s: retry_after(headers, SystemTime::now()),
        });
        *held(&self.limited) = limit;
    }

    /// Counts a request; false when there were too many.
    pub(super) fn one_more(&self) -> bool {
        self.requests.fetch_add(1, Ordering::Relaxed) < REQUESTS_OUT_IN_CALL
    }
}

impl Use {
    pub(super) fn of(way: Way, host: Host, port: u16, address: IpAddr) -> Self {
        match way {
            Way::Http => Self::Http(host, port, address),
            Way::Mail => Self::Mail(host, port, address),
        }
    }

    fn covered(&self, rights: &Rights) -> bool {
        match self {
            Self::Http(host, port, address) => reaches(rights, Way::Http, host, *port, *address),
            Self::Mail(host, port, address) => reaches(rights, Way::Mail, host, *port, *address),
            Self::Secret(name) => may_use(rights, name),
        }
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(host, port, _) => write!(f, "requests to `{host}` on port {port}"),
            Self::Mail(host, port, _) => write!(f, "mail by `{host}` on port {port}"),
            Self::Secret(name) => write!(f, "the secret `{}`", name.as_str()),
        }
    }
}

/// In seconds from now; it may be said as a time of the day, too.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<u32> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let until = httpdate::parse_http_date(text).ok()?;
            until.duration_since(now).unwrap_or_default().as_secs()
        }
    };
    Some(
        u32::try_from(seconds)
            .unwrap_or(u32::MAX)
            .min(RETRY_AFTER_MAX_S),
    )
}

/// The grants that cover a host by its name.
pub(super) fn covering<'a>(
    rights: &'a Rights,
    way: Way,
    host: &'a Host,
    port: u16,
) -> impl Iterator<Item = &'a Place> {
    rights.granted.iter().filter_map(move |grant| {
        let ((Capability::Http(place), Way::Http) | (Capability::Mail(place), Way::Mail)) =
            (grant, way)
        else {
            return None;
        };
        place
            .covers(host, port, &Capability::HTTP_PORTS)
            .then_some(place)
    })
}

/// Whether an address of a host may be connected to.
pub(super) fn reaches(rights: &Rights, way: Way, host: &Host, port: u16, address: IpAddr) -> bool {
    covering(rights, way, host, port).any(|place| place.reaches(address))
}

pub(super) fn may_use(rights: &Rights, name: &SecretName) -> bool {
    let granted = |grant: &Capability| matches!(grant, Capability::Secret(of) if of == name);
    rights.granted.iter().any(granted)
}

/// A lock whose holder never panics.
pub(super) fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_what_the_last_answer_said() {
        let scope = Scope::default();
        let mut headers = HeaderMap::new();
        scope.answered(StatusCode::TOO_MANY_REQUESTS, &headers);
        let unsaid = Limit {
            retry_after_s: None,
        };
        assert_eq!(scope.limit(), Some(unsaid));
        headers.insert(header::RETRY_AFTER, "37".parse().unwrap());
        scope.answered(StatusCode::TOO_MANY_REQUESTS, &headers);
        assert_eq!(scope.limit().unwrap().retry_after_s, Some(37));
        scope.answered(StatusCode::OK, &headers);
        assert_eq!(scope.limit(), None);
    }

    #[test]
    fn when_to_come_back_is_read_in_both_ways_and_bounded() {
        let now = httpdate::parse_http_date("Fri, 01 Jan 2027 00:00:00 GMT").unwrap();
        for (said, expect) in [
            ("0", Some(0)),
            (" 12 ", Some(12)),
            ("99999999999999999999", None),
            ("4294967296", Some(RETRY_AFTER_MAX_S)),
            ("Fri, 01 Jan 2027 00:01:30 GMT", Some(90)),
            ("Thu, 31 Dec 2026 23:59:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, said.parse().unwrap());
            assert_eq!(retry_after(&headers, now), expect, "{said}");
        }
    }
}
