//! What an action wants to be at which paths.
//!
//! Decides what counts as the same file and what would replace it. Refuses to know how it gets there (`paths`), and what a
//! program has to do besides.

use std::fs::File;
use std::sync::OnceLock;

use skep_core::install::{Action, Command, Entry, Firewall, Owner, Scope};

use super::kept::{sha256, sha256_of};
use super::place::Place;
use super::root::Rights;
use super::{ActError, block, commands, firewall, keys, units};
use crate::limits::EDITED_FILE_BYTES_MAX;

/// Something that should be at a path.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) path: String,
    pub(super) what: What,
}

/// What.
#[derive(Debug)]
pub(super) enum What {
    File {
        bytes: Vec<u8>,
        rights: Rights,
    },
    /// A file that is fetched when it is needed.
    Fetched {
        url: String,
        sha256: String,
        size_bytes: u64,
        rights: Rights,
    },
    /// This program itself.
    Program {
        sha256: String,
        rights: Rights,
    },
    Folder {
        rights: Rights,
    },
    Link {
        to: String,
    },
}

impl Wanted {
    pub(super) fn file(path: &str, bytes: Vec<u8>, rights: Rights) -> Self {
        let path = path.to_owned();
        Self {
            path,
            what: What::File { bytes, rights },
        }
    }

    /// A folder that is left as it is where there is one.
    pub(super) fn folder_at_least(
        place: &Place,
        path: &str,
        rights: impl FnOnce() -> Result<Rights, ActError>,
    ) -> Result<Self, ActError> {
        let rights = match place.root.entry(path)? {
            Entry::Folder { mode, uid, gid } => Rights { mode, uid, gid },
            _ => rights()?,
        };
        Ok(Self {
            path: path.to_owned(),
            what: What::Folder { rights },
        })
    }

    /// What is there once it is done.
    pub(super) fn entry(&self) -> Entry {
        match &self.what {
            What::File { bytes, rights } => file_entry(sha256(bytes), *rights),
            What::Fetched { sha256, rights, .. } | What::Program { sha256, rights } => {
                file_entry(sha256.clone(), *rights)
            }
            What::Folder {
                rights: Rights { mode, uid, gid },
            } => Entry::Folder {
                mode: *mode,
                uid: *uid,
                gid: *gid,
            },
            What::Link { to } => Entry::Link { to: to.clone() },
        }
    }
}

fn file_entry(sha256: String, rights: Rights) -> Entry {
    let Rights { mode, uid, gid } = rights;
    Entry::File {
        sha256,
        mode,
        uid,
        gid,
    }
}

/// What an action wants at paths; none for actions that are about something else.
pub(super) fn of(place: &Place, action: &Action) -> Result<Option<Vec<Wanted>>, ActError> {
    let all = match action {
        Action::WriteFile {
            path,
            content,
            mode,
            owner,
        } => {
            let rights = place.rights(u32::from(*mode), owner)?;
            vec![Wanted::file(path, content.clone().into_bytes(), rights)]
        }
        Action::EditBlock {
            path,
            name,
            comment,
            lines,
        } => vec![edited(place, path, name, comment, lines)?],
        Action::MakeFolder { path, mode, owner } => {
            // One that is there is somebody's, and stays as it is.
            vec![Wanted::folder_at_least(place, path, || {
                place.rights(u32::from(*mode), owner)
            })?]
        }
        Action::Download {
            url,
            sha256,
            size_bytes,
            path,
            mode,
            owner,
        } => vec![Wanted {
            path: path.clone(),
            what: What::Fetched {
                url: url.clone(),
                sha256: sha256.clone(),
                size_bytes: *size_bytes,
                rights: place.rights(u32::from(*mode), owner)?,
            },
        }],
        Action::InstallProgram { path } => vec![Wanted {
            path: path.clone(),
            what: What::Program {
                sha256: own_program()?,
                rights: place.rights(0o755, &Owner::default())?,
            },
        }],
        Action::GenerateKey {
            path,
            kind,
            comment,
            owner,
        } => keys::wanted_key(place, path, *kind, comment, owner)?,
        Action::GenerateCertificate {
            path,
            key,
            names,
            days,
            owner,
        } => {
            vec![keys::wanted_certificate(
                place, path, key, names, *days, owner,
            )?]
        }
        Action::EnableUnit { name, scope, .. } if !units::is_live(place, *scope) => {
            units::wanted_links(place, name, *scope)?
        }
        Action::OpenPort {
            firewall: Firewall::Nftables,
            protocol,
            port,
            from,
        } => firewall::wanted_rules(place, *protocol, *port, from.as_deref())?,
        Action::Run {
            command: Command::KeepRunning { user },
        } if !place.has_systemd() => commands::wanted_linger(place, user)?,
        _ => return Ok(None),
    };
    Ok(Some(all))
}

/// A file with a block in it. Whose it is stays so.
fn edited(
    place: &Place,
    path: &str,
    name: &str,
    comment: &str,
    lines: &[String],
) -> Result<Wanted, ActError> {
    let rights = match place.root.entry(path)? {
        Entry::File { mode, uid, gid, .. } => Rights { mode, uid, gid },
        // In somebody's folder it is theirs, as if they had made it.
        Entry::Absent => {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let (uid, gid) = match place.root.entry(folder) {
                Ok(Entry::Folder { uid, gid, .. }) if place.is_root() => (uid, gid),
                _ => (place.uid, place.gid),
            };
            Rights {
                mode: 0o644,
                uid,
                gid,
            }
        }
        Entry::Folder { .. } | Entry::Link { .. } | Entry::Other => {
            return Err(ActError::Conflict(format!("`{path}` is no file")));
        }
    };
    let bytes = place
        .root
        .read(path, EDITED_FILE_BYTES_MAX)?
        .unwrap_or_default();
    let text =
        String::from_utf8(bytes).map_err(|_| ActError::Conflict(format!("`{path}` is no text")))?;
    let text = block::with(&text, name, comment, lines);
    Ok(Wanted::file(path, text.into_bytes(), rights))
}

/// Whose units a scope means, for words.
pub(super) fn scope_word(scope: Scope) -> &'static str {
    match scope {
        Scope::System => "the machine",
        Scope::User => "this user",
    }
}

/// This program, wherever it was started from.
pub(super) const OWN_PROGRAM: &str = "/proc/self/exe";

/// Its digest: it is large, and stays the same while it runs.
fn own_program() -> Result<String, ActError> {
    static DIGEST: OnceLock<String> = OnceLock::new();
    if let Some(digest) = DIGEST.get() {
        return Ok(digest.clone());
    }
    let read = ActError::io("read", OWN_PROGRAM);
    let mut program = File::open(OWN_PROGRAM).map_err(read)?;
    let digest =
        sha256_of(&mut program, &mut std::io::sink()).map_err(ActError::io("read", OWN_PROGRAM))?;
    Ok(DIGEST.get_or_init(|| digest).clone())
}
