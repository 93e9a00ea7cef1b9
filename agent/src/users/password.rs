//! Passwords and their hashes.
//!
//! Decides which passwords are taken, by what they become a hash, that a name that nobody has costs as much as one that somebody has,
//! and that a flood of sign-ins gets no more of this machine than [`PASSWORDS_AT_ONCE`].

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash as Parsed;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use skep_core::state::PasswordHash;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::limits::{
    PASSWORD_BYTES_MAX, PASSWORD_LANES, PASSWORD_LETTERS_MIN, PASSWORD_MEMORY_KIB, PASSWORD_PASSES,
    PASSWORDS_AT_ONCE, PASSWORDS_WAITING,
};

/// Computes hashes, a few at a time. Copies share the turns.
#[derive(Clone, Debug)]
pub struct Passwords {
    /// One for each that computes.
    turns: Arc<Semaphore>,
    /// One for each that computes or waits.
    places: Arc<Semaphore>,
}

/// Why a password was not hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("a password has at least {PASSWORD_LETTERS_MIN} letters")]
    Short,
    #[error("a password has at most {PASSWORD_BYTES_MAX} bytes")]
    Long,
    #[error("a password has no control characters")]
    Control,
    #[error("the password is the user's name")]
    Name,
    #[error("too many people sign in at once: try again in some seconds")]
    Busy,
    #[error("the system has no randomness to give: {0}")]
    Random(getrandom::Error),
    #[error("the password could not be hashed: {0}")]
    Hash(String),
}

impl Passwords {
    #[must_use]
    pub fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(PASSWORDS_AT_ONCE)),
            places: Arc::new(Semaphore::new(PASSWORDS_AT_ONCE + PASSWORDS_WAITING)),
        }
    }

    /// The hash of a new password for this user.
    ///
    /// # Errors
    /// When it is none that is taken, or cannot be hashed now.
    pub async fn hash(
        &self,
        user: &str,
        password: Zeroizing<String>,
    ) -> Result<PasswordHash, PasswordError> {
        check(user, &password)?;
        self.compute(move || {
            let mut salt = [0; 16];
            getrandom::fill(&mut salt).map_err(PasswordError::Random)?;
            make(&password, &salt)
        })
        .await?
    }

    /// Whether the password is the one of the hash. Without a hash, nobody's, which takes as long.
    ///
    /// # Errors
    /// When too many wait already.
    pub async fn matches(
        &self,
        hash: Option<String>,
        password: Zeroizing<String>,
    ) -> Result<bool, PasswordError> {
        self.compute(move || {
            let Some(hash) = hash else {
                // What it comes to is of no interest.
                let _ = make(cut(&password), &[0; 16]);
                return false;
            };
            let Ok(parsed) = Parsed::new(&hash) else {
                return false;
            };
            // With the parameters that it was made with.
            let (verifier, password) = (Argon2::default(), cut(&password).as_bytes());
            let right = verifier.verify_password(password, &parsed).is_ok();
            right && !password.is_empty()
        })
        .await
    }

    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            return Err(PasswordError::Busy);
        };
        let turn = self.turns.clone().acquire_owned().await;
        let turn = turn.map_err(|_| PasswordError::Busy)?;
        // They are held by the work itself: it goes on when nobody waits for it any more.
        let done = tokio::task::spawn_blocking(move || {
            let _held = (place, turn);
            work()
        });
        done.await
            .map_err(|error| PasswordError::Hash(error.to_string()))
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

/// What is longer than any password is none, and costs no more.
fn cut(password: &str) -> &str {
    if password.len() > PASSWORD_BYTES_MAX {
        return "";
    }
    password
}

/// Whether it is one that is taken.
pub(crate) fn check(user: &str, password: &str) -> Result<(), PasswordError> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(PasswordError::Long);
    }
    if password.chars().count() < PASSWORD_LETTERS_MIN {
        return Err(PasswordError::Short);
    }
    if password.chars().any(char::is_control) {
        return Err(PasswordError::Control);
    }
    if password.eq_ignore_ascii_case(user) {
        return Err(PasswordError::Name);
    }
    Ok(())
}

fn make(password: &str, salt: &[u8]) -> Result<PasswordHash, PasswordError> {
    let failed = |error: &dyn std::fmt::Display| PasswordError::Hash(error.to_string());
    let params = Params::new(PASSWORD_MEMORY_KIB, PASSWORD_PASSES, PASSWORD_LANES, None);
    let params = params.map_err(|error| failed(&error))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: Parsed = argon2
        .hash_password_with_salt(password.as_bytes(), salt)
        .map_err(|error| failed(&error))?;
    Ok(PasswordHash(hash.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_core::limits::PASSWORD_HASH_BYTES_MAX;

    fn text(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn only_the_password_matches_its_hash() {
        let passwords = Passwords::new();
        let hash = passwords.hash("ada", text("correct horse")).await.unwrap();
        let owasp = "$argon2id$v=19$m=19456,t=2,p=1$";
        assert!(hash.0.starts_with(owasp), "{}", hash.0);
        assert!(hash.0.len() <= PASSWORD_HASH_BYTES_MAX);
        let again = passwords.hash("ada", text("correct horse")).await.unwrap();
        assert_ne!(hash.0, again.0);
        for (tried, right) in [
            ("correct horse", true),
            ("correct horsE", false),
            ("", false),
            (&*"x".repeat(100_000), false),
        ] {
            let found = passwords.matches(Some(hash.0.clone()), text(tried)).await;
            assert_eq!(found.unwrap(), right, "{}", tried.len());
        }
        assert!(
            !passwords
                .matches(None, text("correct horse"))
                .await
                .unwrap()
        );
        let broken = passwords.matches(Some("$argon2id$".into()), text("x"));
        assert!(!broken.await.unwrap());
    }

    #[tokio::test]
    async fn what_is_no_password_is_not_taken() {
        let passwords = Passwords::new();
        for wrong in [
            "",
            "seven77",
            "ADALOVELACE",
            "with\0nothing",
            &"x".repeat(1_025),
        ] {
            let hashed = passwords.hash("adalovelace", text(wrong)).await;
            assert!(hashed.is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_flood_is_turned_away() {
        let passwords = Passwords::new();
        let tries = PASSWORDS_AT_ONCE + PASSWORDS_WAITING + 8;
        let held = passwords
            .turns
            .clone()
            .acquire_many_owned(PASSWORDS_AT_ONCE as u32);
        let held = held.await.unwrap();
        let mut under_way = tokio::task::JoinSet::new();
        for _ in 0..tries {
            let passwords = passwords.clone();
            under_way.spawn(async move { passwords.compute(|| ()).await });
        }
        // Nobody has a turn, so whoever is done was turned away.
        for _ in 0..tries - passwords_places() {
            let answer = under_way.join_next().await.unwrap().unwrap();
            assert!(matches!(answer, Err(PasswordError::Busy)));
        }
        drop(held);
        while let Some(answer) = under_way.join_next().await {
            answer.unwrap().unwrap();
        }
    }

    fn passwords_places() -> usize {
        PASSWORDS_AT_ONCE + PASSWORDS_WAITING
    }
}
