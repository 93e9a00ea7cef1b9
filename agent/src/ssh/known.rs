//! Who a machine is believed to be: the keys of hosts that this user's ssh knows, and those that were
//! accepted here.
//!
//! Decides that a host with a known key must show that one, and that a key which was revoked is never believed. Keys that
//! are accepted here go to a file of ours; that of ssh is read and never written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use russh::keys::known_hosts::known_host_keys_path;
use russh::keys::{Algorithm, HashAlg, PublicKey};

use super::Target;
use crate::limits::SSH_KNOWN_BYTES_MAX;

/// The key of a host, for people and for comparing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKey {
    /// As `ssh-keygen -lf` writes it: `SHA256:` and 43 letters.
    pub fingerprint: String,
    /// `ssh-ed25519`, …
    pub kind: String,
    pub(super) line: String,
}

/// What is known of a host's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one that it always was.
    Known,
    /// Nobody knows that host.
    Unknown,
    /// The host was known by another.
    Changed {
        /// Where that stands.
        file: PathBuf,
        /// In which line of it.
        line: usize,
    },
    /// That key is never to be believed.
    Revoked(PathBuf),
}

/// The files in which keys of hosts stand.
#[derive(Clone, Debug)]
pub struct Known {
    ours: PathBuf,
    theirs: Vec<PathBuf>,
}

/// Why keys of hosts could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the known hosts in `{path}`: {why}")]
pub struct KnownError {
    path: PathBuf,
    why: String,
}

impl HostKey {
    pub(super) fn of(key: &PublicKey) -> Option<Self> {
        let line = key.to_openssh().ok()?;
        // What follows the key is only a remark.
        let mut words = line.split_ascii_whitespace();
        let line = format!("{} {}", words.next()?, words.next()?);
        Some(Self {
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
            kind: key.algorithm().to_string(),
            line,
        })
    }
}

impl Known {
    /// Ours, and those that ssh has for this user and for all.
    #[must_use]
    pub fn new(ours: PathBuf, home: Option<&Path>) -> Self {
        let user = home.map(|home| home.join(".ssh/known_hosts"));
        let all = PathBuf::from("/etc/ssh/ssh_known_hosts");
        Self {
            ours,
            theirs: user.into_iter().chain([all]).collect(),
        }
    }

    /// What is known of that key for that host.
    ///
    /// # Errors
    /// When a file that is there cannot be read.
    pub fn judge(&self, target: &Target, key: &PublicKey) -> Result<Verdict, KnownError> {
        let shown = key.to_openssh().unwrap_or_default();
        let blob = shown
            .split_ascii_whitespace()
            .nth(1)
            .unwrap_or_default()
            .to_owned();
        let (mut known, mut changed) = (false, None);
        for (file, recorded) in self.recorded(target)? {
            if is_revoked(&read(&file)?, &blob) {
                return Ok(Verdict::Revoked(file));
            }
            for (line, recorded) in recorded {
                if recorded.key_data() == key.key_data() {
                    known = true;
                } else if recorded.algorithm() == key.algorithm() {
                    changed.get_or_insert_with(|| (file.clone(), line));
                }
            }
        }
        // A host may well be known by several keys, of which it shows one; and where it is known only by a kind that
        // is not asked for here, a person is asked.
        Ok(match (known, changed) {
            (true, _) => Verdict::Known,
            (false, Some((file, line))) => Verdict::Changed { file, line },
            (false, None) => Verdict::Unknown,
        })
    }

    /// The kinds of keys by which a host is known: it is asked for those.
    ///
    /// # Errors
    /// As for [`Known::judge`].
    pub fn kinds(&self, target: &Target) -> Result<Vec<Algorithm>, KnownError> {
        let recorded = self.recorded(target)?;
        let all = recorded.iter().flat_map(|(_, keys)| keys.iter());
        let mut kinds: Vec<Algorithm> = all.map(|(_, key)| key.algorithm()).collect();
        kinds.dedup();
        Ok(kinds)
    }

    /// Believes that key of that host from now on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn pin(&self, target: &Target, key: &HostKey) -> Result<(), KnownError> {
        let failed = |source: io::Error| KnownError {
            path: self.ours.clone(),
            why: source.to_string(),
        };
        if let Some(folder) = self.ours.parent() {
            crate::paths::private_folder(folder).map_err(failed)?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.ours)
            .map_err(failed)?;
        // In one write, so that two commands at once write two lines.
        let line = format!("{} {}\n", target.known_as(), key.line);
        file.write_all(line.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(failed)
    }

    /// Believes no key of that host any more that was accepted here.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn forget(&self, target: &Target) -> Result<(), KnownError> {
        let text = read(&self.ours)?;
        let name = target.known_as();
        let mine = |line: &&str| line.split_ascii_whitespace().next() != Some(name.as_str());
        let kept: Vec<&str> = text.lines().filter(mine).collect();
        if kept.len() == text.lines().count() {
            return Ok(());
        }
        let mut text = kept.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        crate::paths::replace_durably(&self.ours, text.as_bytes()).map_err(|source| KnownError {
            path: self.ours.clone(),
            why: source.to_string(),
        })
    }

    fn recorded(&self, target: &Target) -> Result<Vec<(PathBuf, Recorded)>, KnownError> {
        let mut found = Vec::new();
        for file in std::iter::once(&self.ours).chain(&self.theirs) {
            if !file.exists() {
                continue;
            }
            // Before anybody else reads it, whether it has a sound size.
            let text = read(file)?;
            let keys = known_host_keys_path(&target.host, target.port, file);
            let keys = keys.map_err(|error| KnownError {
                path: file.clone(),
                why: format!("a line of `{}` cannot be read: {error}", target.known_as()),
            })?;
            // They count lines without the remarks.
            let keys = keys.into_iter();
            let keys = keys.map(|(_, key)| (line_of(&text, &key), key)).collect();
            found.push((file.clone(), keys));
        }
        Ok(found)
    }
}

/// The line that gives a key, from 1.
fn line_of(text: &str, key: &PublicKey) -> usize {
    let line = key.to_openssh().unwrap_or_default();
    let blob = line.split_ascii_whitespace().nth(1);
    let gives = |line: &str| {
        let remark = line.starts_with('#');
        !remark && line.split_ascii_whitespace().any(|word| Some(word) == blob)
    };
    text.lines().position(gives).map_or(1, |index| index + 1)
}

type Recorded = Vec<(usize, PublicKey)>;

/// Lines that begin with a mark are no host's for those who read keys: what is revoked has to be looked for.
fn is_revoked(text: &str, blob: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start);
    lines.any(|line| {
        line.starts_with("@revoked") && line.split_ascii_whitespace().any(|word| word == blob)
    })
}

fn read(path: &Path) -> Result<String, KnownError> {
    let failed = |why: String| KnownError {
        path: path.to_owned(),
        why,
    };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(failed(error.to_string())),
        Ok(found) if found.len() > SSH_KNOWN_BYTES_MAX => {
            return Err(failed(format!(
                "it has more than {SSH_KNOWN_BYTES_MAX} bytes"
            )));
        }
        Ok(_) => {}
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    file.take(SSH_KNOWN_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(error.to_string()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use russh::keys::parse_public_key_base64;

    use super::*;

    const ONE: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIHBrjQ0XDkgSmo4EHzkypLkLeI3N1I9FSxKG+ckeeDBp";
    const OTHER: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJFTiQ15Mc0PxDE0hlrp8S5HOLT3pClEkttQA4gFWhst";

    const OF_ANOTHER_KIND: &str = "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmRlB27yF1UlaScbh2gmx15n0KY1KrH1RGVuUeCIlOgulqM3sUTXNF3Myv4YOv8qqP0vxxjycNCV0FSsrQrMAU=";

    #[test]
    fn a_host_must_show_the_key_that_it_is_known_by() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        fs::create_dir_all(home.join(".ssh")).unwrap();
        let theirs = home.join(".ssh/known_hosts");
        let ours = folder.path().join("state/known_hosts");
        let known = Known::new(ours.clone(), Some(&home));
        let target: Target = "sam@attic:2222".parse().unwrap();
        let (one, other) = (
            parse_public_key_base64(ONE).unwrap(),
            parse_public_key_base64(OTHER).unwrap(),
        );
        let judge = |key: &PublicKey| known.judge(&target, key).unwrap();
        assert_eq!(judge(&one), Verdict::Unknown);
        let key = HostKey::of(&one).unwrap();
        assert!(key.fingerprint.starts_with("SHA256:"), "{key:?}");
        known.pin(&target, &key).unwrap();
        assert_eq!(judge(&one), Verdict::Known);
        let file = ours.clone();
        assert_eq!(judge(&other), Verdict::Changed { file, line: 1 });
        known.forget(&target).unwrap();
        assert_eq!(judge(&other), Verdict::Unknown);
        // What ssh knows counts as much.
        fs::write(
            &theirs,
            format!("# mine\n[attic]:2222 ssh-ed25519 {ONE} sam\n"),
        )
        .unwrap();
        assert_eq!(judge(&one), Verdict::Known);
        let file = theirs.clone();
        assert_eq!(judge(&other), Verdict::Changed { file, line: 2 });
        // A second key that it may show.
        known.pin(&target, &HostKey::of(&other).unwrap()).unwrap();
        assert_eq!(judge(&other), Verdict::Known);
        // Another port is another host.
        let elsewhere: Target = "sam@attic".parse().unwrap();
        assert_eq!(known.judge(&elsewhere, &one).unwrap(), Verdict::Unknown);
        // A kind that it was never known by is nobody's yet.
        let line = format!("[attic]:2222 ecdsa-sha2-nistp256 {OF_ANOTHER_KIND}\n");
        fs::write(&theirs, line).unwrap();
        known.forget(&target).unwrap();
        assert_eq!(judge(&one), Verdict::Unknown);
        let kinds = known.kinds(&target).unwrap();
        assert_eq!(kinds[0].as_str(), "ecdsa-sha2-nistp256");
        // Revoked for all, whoever it belongs to.
        fs::write(&theirs, format!("@revoked * ssh-ed25519 {ONE}\n")).unwrap();
        known.pin(&target, &key).unwrap();
        assert_eq!(judge(&one), Verdict::Revoked(theirs.clone()));
        // What cannot be read is no reason to believe.
        fs::write(&theirs, "[attic]:2222 ssh-ed25519 !!!\n").unwrap();
        assert!(known.judge(&target, &one).is_err());
        let huge = vec![b'x'; usize::try_from(SSH_KNOWN_BYTES_MAX).unwrap() + 1];
        fs::write(&theirs, huge).unwrap();
        assert!(known.judge(&target, &one).is_err());
    }
}
