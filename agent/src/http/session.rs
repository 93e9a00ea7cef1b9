//! Browsers that are signed in, each by a cookie.
//!
//! Decides what the cookie looks like, how long it is good, that only its hash is kept, and how often somebody may guess.
//! Refuses to know what a session may do.
//!
//! A cookie is 256 random bits, so its plain SHA-256 is as hard to invert as guessing it. Browsers give cookies of one machine
//! to all servers on it, whatever their port: hence this one's name tells of which node it is, and hence whoever changes
//! anything by a cookie shows besides that a page of ours asked (`guard`).

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use skep_core::NodeId;
use subtle::ConstantTimeEq as _;

use super::addresses::household;
use crate::keys::unix_now_s;
use crate::limits::{
    COOKIES_BYTES_MAX, SESSION_IDLE, SESSION_LIFE, SESSIONS_MAX, SIGN_INS_ADDRESSES,
    SIGN_INS_WINDOW, SIGN_INS_WRONG_MAX,
};
use crate::services::{ServiceError, file};

/// Every browser that is signed in at this node.
#[derive(Debug)]
pub struct Sessions {
    path: PathBuf,
    /// The cookie's name.
    name: String,
    kept: Mutex<Kept>,
    wrong: Mutex<HashMap<IpAddr, Wrong>>,
}

/// By what somebody signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The secret of the setup.
    Setup,
    /// A key, which has to be valid for as long as the session lasts.
    Key(u64),
    /// What only this user knows. The session ends when they are removed or disabled, or their password is another.
    User { number: u64, epoch: u64 },
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("the system has no randomness to give: {0}")]
    Random(getrandom::Error),
    #[error(transparent)]
    File(#[from] ServiceError),
}

/// A cookie's text, for the one browser that gets it.
pub(super) struct Cookie(String);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kept {
    sessions: Vec<Session>,
    /// Whether the file is behind.
    #[serde(skip)]
    stale: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Session {
    /// Of the cookie, in Base64.
    sha256: String,
    by: By,
    begun_unix_s: u64,
    last_used_unix_s: u64,
}

/// What one address got wrong lately.
#[derive(Debug)]
struct Wrong {
    since_unix_s: u64,
    count: u32,
}

impl Sessions {
    /// Reads them. Where that cannot be done everybody signs in again.
    #[must_use]
    pub fn open(path: PathBuf, node: NodeId) -> Self {
        let kept = file::read(&path).unwrap_or_else(|error| {
            tracing::warn!(%error, "browsers have to sign in again");
            None
        });
        let node: String = node.to_string().chars().take(8).collect();
        Self {
            path,
            name: format!("skep_session_{node}"),
            kept: Mutex::new(kept.unwrap_or_default()),
            wrong: Mutex::default(),
        }
    }

    /// Signs a browser in; it is durable before this returns. Blocks on the disk.
    ///
    /// # Errors
    /// When there is no randomness, or the file cannot be written.
    pub(super) fn begin(&self, by: By) -> Result<Cookie, SessionError> {
        self.begin_at(by, unix_now_s())
    }

    fn begin_at(&self, by: By, now: u64) -> Result<Cookie, SessionError> {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).map_err(SessionError::Random)?;
        let text = URL_SAFE_NO_PAD.encode(bytes);
        let session = Session {
            sha256: hash(&text),
            by,
            begun_unix_s: now,
            last_used_unix_s: now,
        };
        self.change(|sessions| {
            sessions.retain(|session| session.is_good(now));
            if sessions.len() >= SESSIONS_MAX {
                // The ones used last stay.
                sessions.sort_by_key(|session| std::cmp::Reverse(session.last_used_unix_s));
                sessions.truncate(SESSIONS_MAX - 1);
            }
            sessions.push(session);
        })?;
        Ok(Cookie(text))
    }

    /// By what the sender of these fields is signed in, if at all.
    pub(super) fn find(&self, headers: &HeaderMap) -> Option<By> {
        self.find_at(headers, unix_now_s())
    }

    fn find_at(&self, headers: &HeaderMap, now: u64) -> Option<By> {
        let presented = self.presented(headers)?;
        let hash = hash(presented);
        let mut kept = self.kept();
        let mut found = None;
        // All are looked at, so that the time tells nothing of which.
        for (at, session) in kept.sessions.iter().enumerate() {
            if bool::from(session.sha256.as_bytes().ct_eq(hash.as_bytes())) {
                found = Some(at);
            }
        }
        let session = kept.sessions.get_mut(found?)?;
        if !session.is_good(now) {
            return None;
        }
        session.last_used_unix_s = session.last_used_unix_s.max(now);
        let by = session.by;
        kept.stale = true;
        Some(by)
    }

    /// Ends the session of the sender of these fields. Blocks on the disk.
    ///
    /// # Errors
    /// When the file cannot be written; the session then goes on.
    pub(super) fn end(&self, headers: &HeaderMap) -> Result<(), SessionError> {
        let Some(presented) = self.presented(headers) else {
            return Ok(());
        };
        let hash = hash(presented);
        self.change(|sessions| sessions.retain(|session| session.sha256 != hash))?;
        Ok(())
    }

    /// Writes when each was last used. Blocks on the disk.
    pub fn flush(&self) {
        if !self.kept().stale {
            return;
        }
        if let Err(error) = self.change(|_| {}) {
            tracing::warn!(%error, "could not note when browsers were last here");
        }
    }

    /// The field that gives a browser its cookie, or takes it away.
    pub(super) fn field(&self, cookie: Option<&Cookie>, tls: bool) -> Option<HeaderValue> {
        let (text, life) = cookie.map_or(("", 0), |cookie| (&cookie.0, SESSION_LIFE.as_secs()));
        let secure = if tls { "; Secure" } else { "" };
        let field = format!(
            "{}={text}; Path=/; HttpOnly; SameSite=Strict; Max-Age={life}{secure}",
            self.name
        );
        let mut field = HeaderValue::from_str(&field).ok()?;
        field.set_sensitive(true);
        Some(field)
    }

    /// Whether this address may try a secret, a key or a password now; if not, how many seconds are left until then. It counts as
    /// wrong until [`Sessions::was_right`], so that many at once are no way around that.
    pub(super) fn try_one(&self, address: IpAddr) -> Result<(), u64> {
        let (address, now) = (household(address), unix_now_s());
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        Self::may_try(&wrong, address, now)?;
        Self::count(&mut wrong, address, now);
        Ok(())
    }

    fn may_try(wrong: &HashMap<IpAddr, Wrong>, address: IpAddr, now: u64) -> Result<(), u64> {
        match wrong.get(&address) {
            Some(some) if some.count >= SIGN_INS_WRONG_MAX && some.left(now) > 0 => {
                Err(some.left(now))
            }
            None if wrong.len() >= SIGN_INS_ADDRESSES => {
                let soonest = wrong.values().map(|wrong| wrong.left(now)).min();
                soonest.filter(|&left| left > 0).map_or(Ok(()), Err)
            }
            _ => Ok(()),
        }
    }

    /// One that counted as wrong while it was looked at was right.
    pub(super) fn was_right(&self, address: IpAddr) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wrong) = wrong.get_mut(&household(address)) {
            wrong.count = wrong.count.saturating_sub(1);
        }
    }

    fn count(wrong: &mut HashMap<IpAddr, Wrong>, address: IpAddr, now: u64) {
        wrong.retain(|_, wrong| wrong.left(now) > 0);
        if wrong.len() < SIGN_INS_ADDRESSES || wrong.contains_key(&address) {
            let counted = wrong.entry(address).or_insert(Wrong {
                since_unix_s: now,
                count: 0,
            });
            counted.count += 1;
        }
    }

    fn presented<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter(|field| field.len() <= COOKIES_BYTES_MAX)
            .filter_map(|field| field.to_str().ok())
            .flat_map(|field| field.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == self.name)
            .map(|(_, text)| text)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Session>)) -> Result<(), ServiceError> {
        let mut kept = self.kept();
        let mut changed = kept.clone();
        change(&mut changed.sessions);
        changed.stale = false;
        file::write(&self.path, &changed)?;
        *kept = changed;
        Ok(())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(..)")
    }
}

impl Session {
    /// A clock that was set back ends no session.
    fn is_good(&self, now: u64) -> bool {
        now.saturating_sub(self.last_used_unix_s) < SESSION_IDLE.as_secs()
            && now.saturating_sub(self.begun_unix_s) < SESSION_LIFE.as_secs()
    }
}

impl Wrong {
    /// Seconds until it is forgotten.
    fn left(&self, now: u64) -> u64 {
        (self.since_unix_s + SIGN_INS_WINDOW.as_secs()).saturating_sub(now)
    }
}

fn hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn sessions(folder: &tempfile::TempDir) -> Sessions {
        Sessions::open(folder.path().join("sessions.json"), NodeId([7; 16]))
    }

    impl Sessions {
        fn may_try_at(&self, address: IpAddr, now: u64) -> Result<(), u64> {
            Self::may_try(&self.wrong.lock().unwrap(), address, now)
        }

        fn was_wrong_at(&self, address: IpAddr, now: u64) {
            Self::count(&mut self.wrong.lock().unwrap(), address, now);
        }
    }

    fn headers(sessions: &Sessions, text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let field = format!("theirs=1; {}={text}; last=2", sessions.name);
        headers.insert(header::COOKIE, HeaderValue::from_str(&field).unwrap());
        headers
    }

    #[test]
    fn a_session_ends_by_itself_and_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = sessions(&folder);
        let cookie = first.begin_at(By::Key(3), 1_000).unwrap();
        let file = std::fs::read_to_string(&first.path).unwrap();
        assert!(!file.contains(&cookie.0));
        let idle = SESSION_IDLE.as_secs();
        let shown = headers(&first, &cookie.0);
        assert_eq!(first.find_at(&shown, 1_000 + idle - 1), Some(By::Key(3)));
        first.flush();
        let again = sessions(&folder);
        assert_eq!(again.find_at(&shown, 2 * idle), Some(By::Key(3)));
        assert_eq!(again.find_at(&shown, 3 * idle), None);
        // Used every hour, it ends all the same.
        let cookie = again.begin_at(By::Setup, 0).unwrap();
        let shown = headers(&again, &cookie.0);
        let mut hours = 0;
        while again.find_at(&shown, hours * 3_600).is_some() {
            hours += 1;
        }
        assert_eq!(hours * 3_600, SESSION_LIFE.as_secs());
    }

    #[test]
    fn a_cookie_that_was_signed_out_is_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        let sessions = sessions(&folder);
        let cookie = sessions.begin(By::Setup).unwrap();
        let other = sessions.begin(By::Setup).unwrap();
        let shown = headers(&sessions, &cookie.0);
        assert_eq!(sessions.find(&shown), Some(By::Setup));
        sessions.end(&shown).unwrap();
        assert_eq!(sessions.find(&shown), None);
        assert_eq!(
            sessions.find(&headers(&sessions, &other.0)),
            Some(By::Setup)
        );
        for wrong in ["", "x", &hash(&other.0)] {
            assert_eq!(sessions.find(&headers(&sessions, wrong)), None, "{wrong}");
        }
        let long = format!("{}; {}", other.0, "x".repeat(COOKIES_BYTES_MAX));
        assert_eq!(sessions.find(&headers(&sessions, &long)), None);
        assert_eq!(sessions.find(&HeaderMap::new()), None);
    }

    #[test]
    fn the_one_that_was_idle_longest_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let sessions = sessions(&folder);
        let all: Vec<_> = (0..=SESSIONS_MAX as u64)
            .map(|at| headers(&sessions, &sessions.begin_at(By::Setup, at).unwrap().0))
            .collect();
        assert_eq!(sessions.find_at(&all[0], 99), None);
        assert_eq!(sessions.find_at(&all[1], 99), Some(By::Setup));
        assert_eq!(sessions.kept().sessions.len(), SESSIONS_MAX);
    }

    #[test]
    fn who_guesses_has_to_wait() {
        let folder = tempfile::tempdir().unwrap();
        let sessions = sessions(&folder);
        let guesser = household("2001:db8::1".parse().unwrap());
        assert_eq!(guesser, household("2001:db8::ffff:1".parse().unwrap()));
        for _ in 0..SIGN_INS_WRONG_MAX {
            assert_eq!(sessions.may_try_at(guesser, 100), Ok(()));
            sessions.was_wrong_at(guesser, 100);
        }
        assert_eq!(sessions.may_try_at(guesser, 100), Err(60));
        assert_eq!(sessions.may_try_at(guesser, 159), Err(1));
        assert_eq!(sessions.may_try_at(guesser, 160), Ok(()));
        let other = |number: u32| IpAddr::V4(Ipv4Addr::from(number));
        assert_eq!(sessions.may_try_at(other(1), 100), Ok(()));
        // Nobody makes it remember more than it may.
        for number in 0..2 * SIGN_INS_ADDRESSES as u32 {
            sessions.was_wrong_at(other(number), 100);
        }
        assert_eq!(sessions.wrong.lock().unwrap().len(), SIGN_INS_ADDRESSES);
        assert!(sessions.may_try_at(other(u32::MAX), 100).is_err());
        assert_eq!(sessions.may_try_at(other(u32::MAX), 160), Ok(()));
    }

    #[test]
    fn no_script_and_no_other_site_gets_the_cookie() {
        let folder = tempfile::tempdir().unwrap();
        let sessions = sessions(&folder);
        let cookie = sessions.begin(By::Setup).unwrap();
        let field = sessions.field(Some(&cookie), true).unwrap();
        let field = field.to_str().unwrap();
        for part in ["; Path=/", "; HttpOnly", "; SameSite=Strict", "; Secure"] {
            assert!(field.contains(part), "{field}");
        }
        assert!(
            field.starts_with(&format!("skep_session_07070707={};", cookie.0)),
            "{field}"
        );
        let field = sessions.field(None, false).unwrap();
        assert!(field.to_str().unwrap().ends_with("; Max-Age=0"));
    }
}
