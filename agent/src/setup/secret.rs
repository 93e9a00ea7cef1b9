//! The one-time secret that lets a browser into the setup.
//!
//! Decides what it looks like, that only its hash is kept, that it is good once and for a day. Refuses to know who shows it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::limits::SETUP_LINK_LIFE;

/// The text, shown once to whoever sits at the machine. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct OneTime(String);

impl OneTime {
    /// 192 random bits: 32 letters, which a small picture for cameras holds together with an address.
    pub(super) fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0_u8; 24];
        getrandom::fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The text.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OneTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTime(..)")
    }
}

/// What is kept of one that nobody used yet. It proves nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    /// In Base64.
    sha256: String,
    made_unix_s: u64,
}

impl Link {
    pub(super) fn to(secret: &OneTime, now_unix_s: u64) -> Self {
        Self {
            sha256: hash(secret.reveal()),
            made_unix_s: now_unix_s,
        }
    }

    /// When it stops being good.
    pub(super) fn until_unix_s(&self) -> u64 {
        self.made_unix_s + SETUP_LINK_LIFE.as_secs()
    }

    /// Whether this is the secret, and it is still good. A clock that was set back makes no link older than it is.
    pub(super) fn admits(&self, presented: &str, now_unix_s: u64) -> bool {
        let same = self.sha256.as_bytes().ct_eq(hash(presented).as_bytes());
        bool::from(same) && now_unix_s < self.until_unix_s()
    }
}

fn hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_good_for_a_day_and_never_written_down() {
        let secret = OneTime::generate().unwrap();
        let other = OneTime::generate().unwrap();
        let link = Link::to(&secret, 1_000);
        assert_eq!(secret.reveal().len(), 32);
        assert!(link.admits(secret.reveal(), 1_000));
        assert!(link.admits(secret.reveal(), 1_000 + 86_399));
        assert!(!link.admits(secret.reveal(), 1_000 + 86_400));
        for wrong in [other.reveal(), "", &secret.reveal()[1..]] {
            assert!(!link.admits(wrong, 1_000), "{wrong}");
        }
        let kept = serde_json::to_string(&link).unwrap();
        assert!(!kept.contains(secret.reveal()));
        assert!(!link.admits(&link.sha256, 1_000));
        assert_eq!(format!("{secret:?}"), "OneTime(..)");
    }
}
