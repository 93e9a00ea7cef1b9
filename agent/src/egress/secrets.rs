//! Secrets that are used and never read. Decides what stands for one, where the text takes its place, and how texts that leave
//! a service are freed of it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use hyper::http::{HeaderMap, HeaderValue};
use skep_core::capability::SecretName;

use super::rights::{Scope, Use, held, may_use};
use super::{Egress, EgressError};
use crate::limits::{SECRET_BYTES, SECRET_PREFIX_BYTES, SECRET_REDACTED_MIN};
use crate::protocol::{Rights, SecretText};

mod path;

/// Why a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("`{0}` is no secret's name")]
    Name(String),
    #[error(
        "the secret `{name}` is not granted; `skep plugin grant {plugin} secret:{name}` would allow it"
    )]
    NotGranted { name: String, plugin: String },
    #[error("there is no secret `{0}`; `skep secret set {0}` makes it")]
    Missing(String),
    #[error("the secret `{0}` is empty, too long, or holds characters that no header carries")]
    Unfit(String),
    #[error(
        "the secret `{0}` cannot stand in a path: it holds others than letters, digits and `-._~:/`"
    )]
    Path(String),
    #[error("what stands before a secret has at most {SECRET_PREFIX_BYTES} bytes")]
    Prefix,
    #[error("the system gave no randomness")]
    Randomness,
}

/// What stands for which secret in one call.
#[derive(Debug, Default)]
pub(super) struct StandIns(HashMap<SecretName, String>);

/// Takes secrets' texts out of other texts.
#[derive(Clone, Default)]
pub struct Redactor {
    /// The longest first, since one may be a part of another.
    texts: Vec<SecretText>,
}

impl Egress {
    /// Looks up a secret for a call.
    ///
    /// # Errors
    /// When it is not granted, not there, or fits no header.
    pub fn open_secret(&self, scope: &Scope, name: &str) -> Result<SecretName, SecretError> {
        let parsed: SecretName = name
            .parse()
            .map_err(|_| SecretError::Name(name.chars().take(64).collect()))?;
        self.secret(&parsed)?;
        scope.uses(Use::Secret(parsed.clone()));
        Ok(parsed)
    }

    /// Its text, if it may be used now.
    pub(super) fn secret(&self, name: &SecretName) -> Result<SecretText, SecretError> {
        let rights = self.rights();
        if !may_use(&rights, name) {
            return Err(SecretError::NotGranted {
                name: name.as_str().to_owned(),
                plugin: self.plugin.clone(),
            });
        }
        let missing = || SecretError::Missing(name.as_str().to_owned());
        let text = rights.secrets.get(name).ok_or_else(missing)?;
        let fits = !text.reveal().is_empty()
            && text.reveal().len() <= SECRET_BYTES
            && !text.reveal().chars().any(char::is_control);
        if !fits {
            return Err(SecretError::Unfit(name.as_str().to_owned()));
        }
        Ok(text.clone())
    }

    /// What a call may put into headers in place of a secret's text: the same each time, and nobody else's.
    ///
    /// # Errors
    /// When the prefix is too long.
    pub fn stand_in(
        &self,
        scope: &Scope,
        name: &SecretName,
        prefix: &str,
    ) -> Result<String, SecretError> {
        if prefix.len() > SECRET_PREFIX_BYTES {
            return Err(SecretError::Prefix);
        }
        let mut stand_ins = held(&scope.stand_ins);
        // As many as there are secrets.
        let stand_in = match stand_ins.0.entry(name.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(random()?),
        };
        Ok(format!("{prefix}{stand_in}"))
    }

    /// Puts secrets' texts in the place of what stands for them. `clear` says that anybody on the way can read it.
    pub(super) fn fill_in(
        &self,
        scope: &Scope,
        headers: &mut HeaderMap,
        clear: bool,
    ) -> Result<(), EgressError> {
        let stand_ins = held(&scope.stand_ins);
        for (name, stand_in) in &stand_ins.0 {
            for value in headers.values_mut() {
                let Some(at) = find(value.as_bytes(), stand_in.as_bytes()) else {
                    continue;
                };
                if clear {
                    return Err(EgressError::SecretInClear);
                }
                let gone = |_| EgressError::SecretGone(name.as_str().to_owned());
                let text = self.secret(name).map_err(gone)?;
                *value = filled(value.as_bytes(), at, stand_in.len(), &text).ok_or(
                    EgressError::Malformed("a header with a secret in it is none"),
                )?;
            }
        }
        Ok(())
    }
}

/// The value with the text in place of the stand-in that begins at `at`. There is one at most: a header has one secret.
fn filled(value: &[u8], at: usize, length: usize, text: &SecretText) -> Option<HeaderValue> {
    let mut bytes = Vec::with_capacity(value.len() + text.reveal().len());
    bytes.extend_from_slice(value.get(..at)?);
    bytes.extend_from_slice(text.reveal().as_bytes());
    bytes.extend_from_slice(value.get(at + length..)?);
    let mut filled = HeaderValue::from_bytes(&bytes).ok()?;
    filled.set_sensitive(true);
    Some(filled)
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    within
        .windows(what.len().max(1))
        .position(|window| window == what)
}

/// 128 random bits: no call can guess another's.
fn random() -> Result<String, SecretError> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|_| SecretError::Randomness)?;
    Ok(format!("skep-secret-{}", crate::host::hex(&bits)))
}

impl Redactor {
    #[must_use]
    pub fn new(rights: &Rights) -> Self {
        let worth = |text: &&SecretText| text.reveal().len() >= SECRET_REDACTED_MIN;
        let mut texts: Vec<_> = rights.secrets.values().filter(worth).cloned().collect();
        texts.sort_by_key(|text| std::cmp::Reverse(text.reveal().len()));
        Self { texts }
    }

    /// The text with dots where a secret was.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut redacted = text.to_owned();
        for secret in &self.texts {
            if redacted.contains(secret.reveal()) {
                redacted = redacted.replace(secret.reveal(), "•••");
            }
        }
        redacted
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({})", self.texts.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_secret_goes_first_and_short_ones_stay() {
        let secret = |name: &str, text: &str| {
            let name: SecretName = name.parse().unwrap();
            (name, SecretText::new(text.to_owned()))
        };
        let redactor = Redactor::new(&Rights {
            granted: Vec::new(),
            secrets: [
                secret("a", "abcd"),
                secret("b", "abcdefgh"),
                secret("c", "x"),
            ]
            .into(),
        });
        assert_eq!(redactor.redact("x abcdefgh abcd!"), "x ••• •••!");
    }

    #[test]
    fn a_value_with_a_secret_is_still_one_value() {
        let text = |text: &str| SecretText::new(text.to_owned());
        let filled = |text: &SecretText| filled(b"Bearer STAND!", 7, 5, text);
        assert_eq!(filled(&text("key")).unwrap(), "Bearer key!");
        assert!(filled(&text("key")).unwrap().is_sensitive());
        assert!(filled(&text("a\r\nb")).is_none());
        assert_eq!(find(b"Bearer STAND!", b"STAND"), Some(7));
        assert_eq!(find(b"STAN", b"STAND"), None);
    }
}
