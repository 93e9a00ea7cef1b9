//! Browsers that left for a provider and may come back.
//!
//! Decides what is remembered of each, for how long, and that each comes back once. A visit is found by its state, which only its
//! browser and the provider know, and is its browser's by a cookie.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::door::DoorError;
use crate::limits::{PROVIDER_VISIT_LIFE, PROVIDER_VISITS_MAX, PROVIDER_VISITS_OF_ONE};

/// A browser that left.
pub(super) struct Visit {
    pub(super) state: String,
    pub(super) nonce: String,
    /// Proves that whoever comes with the code is who was sent for it (RFC 7636).
    pub(super) verifier: String,
    /// What its cookie says.
    pub(super) cookie: String,
    pub(super) redirect_uri: String,
}

/// Those that are away.
#[derive(Debug, Default)]
pub(super) struct Visits(Mutex<Vec<Away>>);

#[derive(Debug)]
struct Away {
    visit: Visit,
    address: IpAddr,
    since: Instant,
}

impl Visit {
    pub(super) fn new(redirect_uri: String) -> Result<Self, DoorError> {
        let random = || {
            let mut bytes = [0_u8; 32];
            getrandom::fill(&mut bytes)
                .map_err(|error| DoorError::Away(format!("no randomness: {error}")))?;
            Ok::<_, DoorError>(URL_SAFE_NO_PAD.encode(bytes))
        };
        Ok(Self {
            state: random()?,
            nonce: random()?,
            verifier: random()?,
            cookie: random()?,
            redirect_uri,
        })
    }

    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.as_bytes()))
    }
}

impl Visits {
    /// Remembers one. Who leaves again and again takes only their own places.
    pub(super) fn left(&self, visit: Visit, address: IpAddr) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|away| away.since.elapsed() < PROVIDER_VISIT_LIFE);
        let own = all.iter().filter(|away| away.address == address).count();
        let oldest = if own >= PROVIDER_VISITS_OF_ONE {
            all.iter().position(|away| away.address == address)
        } else {
            (all.len() >= PROVIDER_VISITS_MAX).then_some(0)
        };
        if let Some(oldest) = oldest {
            all.remove(oldest);
        }
        all.push(Away {
            visit,
            address,
            since: Instant::now(),
        });
    }

    /// The visit of this state, if it is of the browser with this cookie. It comes back this once.
    pub(super) fn came_back(&self, state: &str, cookie: &str) -> Option<Visit> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|away| away.since.elapsed() < PROVIDER_VISIT_LIFE);
        let is = |one: &str, other: &str| bool::from(one.as_bytes().ct_eq(other.as_bytes()));
        let found = all
            .iter()
            .position(|away| is(&away.visit.state, state) & is(&away.visit.cookie, cookie))?;
        Some(all.remove(found).visit)
    }
}

impl std::fmt::Debug for Visit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Visit(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_comes_back_once_and_crowds_nobody_out() {
        let visits = Visits::default();
        let (ours, theirs) = ([1, 1, 1, 1].into(), [2, 2, 2, 2].into());
        let leave = |address| {
            let visit = Visit::new("http://127.0.0.1/x".into()).unwrap();
            let told = (visit.state.clone(), visit.cookie.clone());
            visits.left(visit, address);
            told
        };
        let (state, cookie) = leave(ours);
        let (other, _) = leave(ours);
        for _ in 0..PROVIDER_VISITS_MAX {
            leave(theirs);
        }
        assert!(visits.came_back(&other, &cookie).is_none());
        assert!(visits.came_back(&state, "").is_none());
        assert!(visits.came_back(&state, &cookie).is_some());
        assert!(visits.came_back(&state, &cookie).is_none());
        for last in 0..=u8::MAX {
            for third in 0..2 {
                leave([3, 3, third, last].into());
            }
        }
        assert_eq!(visits.0.lock().unwrap().len(), PROVIDER_VISITS_MAX);
    }
}
