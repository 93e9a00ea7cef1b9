//! Files that a step wants to see: what they are, and their text where that may be told.
//!
//! Decides what is never told, whoever runs the agent and whatever the step: what is known to hold secrets by where it lies or by what is
//! in it, and what its owner keeps from everybody else. Lists of public keys are told.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Instant;

use super::read::open;
use super::{About, Places};
use crate::host::installer::FileFacts;
use crate::limits::{FACTS_FILE_BYTES, FACTS_TEXT_BYTES};

pub(super) fn look(
    places: &Places,
    about: &About,
    wanted: &[String],
    until: Instant,
) -> Vec<FileFacts> {
    let names = Names::read(places);
    let mut files = Vec::new();
    for path in wanted {
        if Instant::now() >= until {
            break;
        }
        let path = match path.strip_prefix("~/") {
            Some(rest) => format!("{}/{rest}", about.home.trim_end_matches('/')),
            None => path.clone(),
        };
        if is_plain(&path) {
            files.extend(file(places, about, &names, path));
        }
    }
    files
}

/// Absolute and normalised.
fn is_plain(path: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
    let parts = path.strip_prefix('/');
    path.len() <= FACTS_TEXT_BYTES && parts.is_some_and(|parts| parts.split('/').all(part))
}

fn file(places: &Places, about: &About, names: &Names, path: String) -> Option<FileFacts> {
    let at = places.at(&path);
    let found = fs::metadata(&at).ok()?;
    if !found.is_file() {
        return None;
    }
    // Where a link leads counts, too.
    let real = fs::canonicalize(&at).ok()?;
    let root = fs::canonicalize(&places.root).ok()?;
    let real = Path::new("/").join(real.strip_prefix(&root).ok()?);
    let mode = u16::try_from(found.permissions().mode() & 0o7777).unwrap_or_default();
    let may_be_told = !is_secret(&path, about)
        && !is_secret(&real.to_string_lossy(), about)
        && (mode & 0o044 != 0 || is_public_keys(&path));
    let content = may_be_told.then(|| text(&at)).flatten();
    Some(FileFacts {
        content,
        mode,
        owner: names.user(found.uid()),
        group: names.group(found.gid()),
        size_bytes: found.len(),
        path,
    })
}

fn text(path: &Path) -> Option<String> {
    let file = open(path).ok()?;
    let about = file.metadata().ok()?;
    if !about.is_file() || about.len() > FACTS_FILE_BYTES {
        return None;
    }
    let mut bytes = Vec::new();
    let read = file
        .take(FACTS_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .ok()?;
    if read as u64 > FACTS_FILE_BYTES {
        return None;
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.contains('\0') && !has_secrets(&text)).then_some(text)
}

fn is_public_keys(path: &str) -> bool {
    path.ends_with(".pub") || path.ends_with("/.ssh/authorized_keys")
}

/// By where it lies.
fn is_secret(path: &str, about: &About) -> bool {
    let below = |folder: &str| {
        let rest = path.strip_prefix(folder.trim_end_matches('/'));
        !folder.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let name = path.rsplit('/').next().unwrap_or_default();
    if is_public_keys(path) {
        return false;
    }
    let own = [about.state_folder.as_str(), about.runtime_folder.as_str()];
    FOLDERS.iter().copied().chain(own).any(below)
        || FOLDERS_ANYWHERE.iter().any(|folder| path.contains(folder))
        || NAMES.contains(&name)
        || ENDS.iter().any(|end| name.ends_with(end))
        || BEGINNINGS.iter().any(|begin| name.starts_with(begin))
}

/// By what is in it: a private key, or a line that gives a password or the like.
fn has_secrets(text: &str) -> bool {
    const KEYS: [&str; 3] = ["PRIVATE KEY", "AGE-SECRET-KEY-", "PuTTY-User-Key-File"];
    if KEYS.iter().any(|key| text.contains(key)) {
        return true;
    }
    text.lines().any(|line| {
        let line = line.trim();
        let Some((name, value)) = line.split_once(['=', ':']) else {
            return false;
        };
        let is_comment = line.starts_with(['#', ';', '/']);
        let value = value.trim().trim_matches(['"', '\'', ',']);
        let name = name
            .trim()
            .trim_matches(['"', '\''])
            .to_lowercase()
            .replace(['-', '.'], "_");
        !is_comment && !value.is_empty() && WORDS.iter().any(|word| name.ends_with(word))
    })
}

/// Names by their numbers.
struct Names {
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
}

impl Names {
    fn read(places: &Places) -> Self {
        let numbers = |path: &str| {
            let text = places.text(path, 2 << 20);
            let pairs = text.lines().filter_map(|line| {
                let mut fields = line.split(':');
                let name = fields.next()?.to_owned();
                Some((fields.nth(1)?.parse().ok()?, name))
            });
            pairs.collect()
        };
        Self {
            users: numbers("/etc/passwd"),
            groups: numbers("/etc/group"),
        }
    }

    fn user(&self, uid: u32) -> String {
        let name = self.users.get(&uid).cloned();
        name.unwrap_or_else(|| uid.to_string())
    }

    fn group(&self, gid: u32) -> String {
        let name = self.groups.get(&gid).cloned();
        name.unwrap_or_else(|| gid.to_string())
    }
}

const FOLDERS: [&str; 9] = [
    "/proc",
    "/dev",
    "/sys",
    "/etc/ssl/private",
    "/etc/pki/tls/private",
    "/etc/letsencrypt",
    "/etc/sudoers.d",
    "/etc/security",
    "/run/secrets",
];

const FOLDERS_ANYWHERE: [&str; 7] = [
    "/.gnupg/",
    "/.aws/",
    "/.azure/",
    "/.kube/",
    "/.docker/",
    "/.password-store/",
    "/credstore",
];

const NAMES: [&str; 16] = [
    "shadow",
    "shadow-",
    "gshadow",
    "gshadow-",
    "sudoers",
    "opasswd",
    ".netrc",
    ".pgpass",
    ".my.cnf",
    ".git-credentials",
    ".htpasswd",
    ".env",
    "credentials",
    "krb5.keytab",
    "wg0.conf",
    "random-seed",
];

const ENDS: [&str; 11] = [
    ".key", "_key", ".pem", ".p12", ".pfx", ".jks", ".kdbx", ".keytab", ".ovpn", "_history", ".asc",
];

const BEGINNINGS: [&str; 4] = ["id_rsa", "id_ed25519", "id_ecdsa", "id_dsa"];

/// What names of secret values end with.
const WORDS: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "api_key",
    "apikey",
    "access_key",
    "private_key",
    "credentials",
];
