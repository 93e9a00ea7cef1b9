//! Where texts of secrets lie between an answer and the action that keeps them: among this node's other secrets, under names of the
//! setup's own.
//!
//! Decides those names. Refuses to read a text.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use skep_core::capability::SecretName;

use crate::services::{Secrets, ServiceError};

/// The secrets that a part asked for.
#[derive(Clone, Debug)]
pub(super) struct Drawer {
    secrets: Secrets,
    part: String,
}

impl Drawer {
    pub(super) fn of(secrets: &Secrets, part: &str) -> Self {
        Self {
            secrets: secrets.clone(),
            part: part.to_owned(),
        }
    }

    /// Keeps an answer's text. Blocks on the disk.
    pub(super) fn put(&self, question: &str, text: &str) -> Result<(), ServiceError> {
        self.secrets.set(&self.name("setup", question)?, text)
    }

    /// Forgets it. Blocks on the disk.
    pub(super) fn empty(&self, question: &str) -> Result<(), ServiceError> {
        self.forget(&self.name("setup", question)?)
    }

    /// Whether this node's secret is as the answer wants it; none: there is neither an answer nor a secret.
    pub(super) fn is_kept(&self, question: &str, secret: &SecretName) -> Option<bool> {
        let answer = self.name("setup", question).ok()?;
        match (self.secrets.has(&answer), self.secrets.has(secret)) {
            (false, false) => None,
            (false, true) => Some(true),
            (true, _) => Some(self.secrets.are_same(&answer, secret)),
        }
    }

    /// Puts the text that this node's secret has now aside, so that it can be put back. Returns whether there is one.
    pub(super) fn set_aside(
        &self,
        question: &str,
        secret: &SecretName,
    ) -> Result<bool, ServiceError> {
        if !self.secrets.has(secret) {
            return Ok(false);
        }
        // Once the answer is kept, what would be put aside is the answer.
        if self.is_kept(question, secret) != Some(true) {
            self.secrets
                .copy(secret, &self.name("before", secret.as_str())?)?;
        }
        Ok(true)
    }

    /// Makes the answer this node's secret, and leaves it nowhere else.
    pub(super) fn keep(&self, question: &str, secret: &SecretName) -> Result<(), ServiceError> {
        let answer = self.name("setup", question)?;
        if !self.secrets.has(&answer) && self.secrets.has(secret) {
            return Ok(());
        }
        self.secrets.copy(&answer, secret)?;
        self.forget(&answer)
    }

    /// Puts back what was put aside, or forgets the secret where nothing was.
    pub(super) fn put_back(&self, secret: &SecretName, had: bool) -> Result<(), ServiceError> {
        if !had {
            return self.forget(secret);
        }
        let before = self.name("before", secret.as_str())?;
        if self.secrets.has(&before) {
            self.secrets.copy(&before, secret)?;
            self.forget(&before)?;
        }
        Ok(())
    }

    fn forget(&self, name: &SecretName) -> Result<(), ServiceError> {
        match self.secrets.remove(name) {
            Ok(()) | Err(ServiceError::UnknownSecret(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A name that says what it is, or where that is too long for one, a hash of it.
    fn name(&self, what: &str, of: &str) -> Result<SecretName, ServiceError> {
        let plain = format!("{what}.{}.{of}", self.part);
        if let Ok(name) = plain.parse() {
            return Ok(name);
        }
        let mut hashed = format!("{what}.");
        for byte in Sha256::digest(plain.as_bytes()).iter().take(16) {
            // Writing to a string cannot fail.
            let _ = write!(hashed, "{byte:02x}");
        }
        hashed.parse().map_err(|_| ServiceError::Name(hashed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_kept_once_and_what_was_there_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(folder.path().join("secrets")).unwrap();
        let name: SecretName = "openai".parse().unwrap();
        let drawer = Drawer::of(&secrets, "step-backends");
        let text = |name: &SecretName| {
            std::fs::read_to_string(folder.path().join("secrets").join(name.as_str())).ok()
        };
        assert_eq!(drawer.is_kept("key", &name), None);
        for (before, had) in [(None, false), (Some("old"), true)] {
            if let Some(before) = before {
                secrets.set(&name, before).unwrap();
            }
            drawer.put("key", "new").unwrap();
            assert_eq!(drawer.is_kept("key", &name), Some(false));
            // Each may come twice, after a crash.
            for _ in 0..2 {
                assert_eq!(drawer.set_aside("key", &name).unwrap(), had);
            }
            for _ in 0..2 {
                drawer.keep("key", &name).unwrap();
            }
            assert_eq!(drawer.is_kept("key", &name), Some(true));
            assert_eq!(text(&name).as_deref(), Some("new"));
            for _ in 0..2 {
                drawer.put_back(&name, had).unwrap();
            }
            assert_eq!(text(&name).as_deref(), before);
            let left = secrets.list().unwrap();
            assert_eq!(left.len(), usize::from(had), "{left:?}");
        }
    }

    #[test]
    fn any_question_has_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(folder.path().join("secrets")).unwrap();
        let drawer = Drawer::of(&secrets, &"p".repeat(64));
        let (one, other) = ("a".repeat(64), "b".repeat(64));
        drawer.put(&one, "1").unwrap();
        drawer.put(&other, "2").unwrap();
        assert_eq!(secrets.list().unwrap().len(), 2);
        drawer.empty(&one).unwrap();
        drawer.empty(&one).unwrap();
        assert_eq!(secrets.list().unwrap().len(), 1);
    }
}
