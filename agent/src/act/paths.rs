//! Changing paths and changing them back.
//!
//! Decides that a path is changed only from what was seen before to what was said before, and that undoing touches nothing that
//! somebody changed since. Refuses to know which action wants it.

use std::fs::File;
use std::io::Write as _;

use skep_core::install::{Action, Before, Change, Entry};

use super::place::Place;
use super::root::Rights;
use super::view::{Found, entry_words};
use super::wanted::{self, Wanted, What};
use super::{ActError, block, fetch};
use crate::limits::EDITED_FILE_BYTES_MAX;

/// Whether it is so already.
pub(super) fn look(place: &Place, all: &[Wanted]) -> Result<Found, ActError> {
    let mut state = Found::Already;
    for one in all {
        let now = place.root.entry(&one.path)?;
        if now == one.entry() {
            continue;
        }
        let replaceable = matches!(
            (&one.what, &now),
            (_, Entry::Absent)
                | (
                    What::File { .. } | What::Fetched { .. } | What::Program { .. },
                    Entry::File { .. },
                )
        );
        if !replaceable {
            let found = entry_words(&now);
            return Ok(Found::Conflict(format!("at {}, {found}", one.path)));
        }
        state = Found::Needed;
    }
    Ok(state)
}

/// Keeps what is there. `first` is what was there before an attempt that was cut off: that is what counts.
pub(super) fn before(
    place: &Place,
    all: &[Wanted],
    first: Option<&Before>,
) -> Result<Before, ActError> {
    let first = match first {
        Some(Before::Paths { changes }) => changes.as_slice(),
        _ => &[],
    };
    let mut changes = Vec::new();
    for one in all {
        let becomes = one.entry();
        let earlier = first.iter().find(|change| change.path == one.path);
        let was = match earlier {
            Some(change) => change.was.clone(),
            None => keep(place, &one.path)?,
        };
        changes.push(Change {
            path: one.path.clone(),
            was,
            becomes,
        });
    }
    Ok(Before::Paths { changes })
}

/// What is at a path, with the content of a file kept.
fn keep(place: &Place, path: &str) -> Result<Entry, ActError> {
    let now = place.root.entry(path)?;
    let Entry::File { sha256, .. } = &now else {
        return Ok(now);
    };
    if place.kept.open_content(sha256).is_ok() {
        return Ok(now);
    }
    let mut copy =
        tempfile::tempfile_in(place.kept.folder()).map_err(ActError::io("keep", path))?;
    let copied = place.root.entry_into(path, &mut copy)?;
    let kept = (|| {
        use std::io::Seek as _;
        copy.rewind()?;
        place.kept.keep(&mut copy)
    })();
    let kept = kept.map_err(ActError::io("keep", path))?;
    if copied != now || kept != *sha256 {
        return Err(ActError::Conflict(format!(
            "`{path}` is being changed by somebody else"
        )));
    }
    Ok(now)
}

/// Makes it so.
pub(super) fn carry_out(place: &Place, all: &[Wanted], before: &Before) -> Result<(), ActError> {
    let Before::Paths { changes } = before else {
        return Err(ActError::Agent(
            "what was there before is not known".to_owned(),
        ));
    };
    for (one, change) in all.iter().zip(changes) {
        let now = place.root.entry(&one.path)?;
        if now == change.becomes {
            // A crash came after it; what it left beside is gone by then.
            place.root.clear(&one.path)?;
            continue;
        }
        if now != change.was {
            return Err(ActError::Conflict(format!(
                "somebody changed `{}` meanwhile: {}",
                one.path,
                entry_words(&now)
            )));
        }
        match &one.what {
            What::File { bytes, rights } => {
                place.root.put_file(&one.path, *rights, &now, |file| {
                    file.write_all(bytes)
                        .map_err(ActError::io("write", &one.path))
                })?
            }
            What::Fetched {
                url,
                sha256,
                size_bytes,
                rights,
            } => {
                place.root.put_file(&one.path, *rights, &now, |file| {
                    fetch::fetch(url, sha256, *size_bytes, file)
                })?;
            }
            What::Program { sha256, rights } => {
                place.root.put_file(&one.path, *rights, &now, |file| {
                    let failed = ActError::io("copy", wanted::OWN_PROGRAM);
                    let mut program = File::open(wanted::OWN_PROGRAM).map_err(failed)?;
                    let copied = super::kept::sha256_of(&mut program, file)
                        .map_err(ActError::io("copy", wanted::OWN_PROGRAM))?;
                    if copied == *sha256 {
                        return Ok(());
                    }
                    Err(ActError::Conflict(
                        "this program was changed while it runs".to_owned(),
                    ))
                })?;
            }
            What::Folder { rights } => place.root.put_folder(&one.path, *rights)?,
            What::Link { to } => place.root.put_link(&one.path, to, &now)?,
        }
        let now = place.root.entry(&one.path)?;
        if now != change.becomes {
            return Err(ActError::Conflict(format!(
                "`{}` is not as it was written: {}",
                one.path,
                entry_words(&now)
            )));
        }
    }
    Ok(())
}

/// Puts back what was there, the last first. `Some`: something was left as it is, for this reason.
pub(super) fn undo(
    place: &Place,
    action: &Action,
    changes: &[Change],
) -> Result<Option<String>, ActError> {
    let mut left = Vec::new();
    for change in changes.iter().rev() {
        place.root.clear(&change.path)?;
        left.extend(undo_one(place, action, change)?);
    }
    Ok((!left.is_empty()).then(|| left.join("; ")))
}

fn undo_one(place: &Place, action: &Action, change: &Change) -> Result<Option<String>, ActError> {
    let path = &change.path;
    let now = place.root.entry(path)?;
    if now == change.was {
        return Ok(None);
    }
    if now != change.becomes {
        if let Action::EditBlock { name, comment, .. } = action {
            return undo_block(place, change, &now, name, comment);
        }
        return Ok(Some(match now {
            Entry::Absent => format!("somebody removed {path}"),
            _ => format!("somebody changed {path}: {}", entry_words(&now)),
        }));
    }
    match &change.was {
        Entry::Absent => {
            if !place.root.remove(path, &now)? {
                return Ok(Some(format!("other things are in {path}")));
            }
        }
        Entry::File {
            sha256,
            mode,
            uid,
            gid,
        } => {
            let rights = Rights {
                mode: *mode,
                uid: *uid,
                gid: *gid,
            };
            place.root.put_file(path, rights, &now, |file| {
                let mut content = place
                    .kept
                    .open_content(sha256)
                    .map_err(ActError::io("read what was kept of", path))?;
                let found = super::kept::sha256_of(&mut content, file)
                    .map_err(ActError::io("put back", path))?;
                if found == *sha256 {
                    return Ok(());
                }
                Err(ActError::Conflict(format!(
                    "what was kept of `{path}` is damaged"
                )))
            })?;
        }
        Entry::Link { to } => place.root.put_link(path, to, &now)?,
        // Nothing of ours ever takes the place of such a thing.
        Entry::Folder { .. } | Entry::Other => {
            return Ok(Some(format!(
                "{path} was something that cannot be put back"
            )));
        }
    }
    Ok(None)
}

/// Others wrote elsewhere in the file: only the block goes, or is again what it was.
fn undo_block(
    place: &Place,
    change: &Change,
    now: &Entry,
    name: &str,
    comment: &str,
) -> Result<Option<String>, ActError> {
    let path = &change.path;
    let changed = Ok(Some(format!("somebody changed the block in {path}")));
    let (Entry::File { mode, uid, gid, .. }, Entry::File { sha256: ours, .. }) =
        (now, &change.becomes)
    else {
        return Ok(Some(format!("somebody removed {path}")));
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap_or_default();
    let bytes = place
        .root
        .read(path, EDITED_FILE_BYTES_MAX)?
        .unwrap_or_default();
    let current = text(bytes);
    let before = match &change.was {
        Entry::File { sha256, .. } => text(
            place
                .kept
                .read(sha256)
                .map_err(ActError::io("read what was kept of", path))?,
        ),
        _ => String::new(),
    };
    // What we wrote is what was there with the block, which nobody kept: made again, it has the same digest.
    let Some(block) = block::within(&current, name, comment) else {
        return Ok(None);
    };
    let lines: Vec<String> = block.lines().map(str::to_owned).collect();
    let inner = lines
        .get(1..lines.len().saturating_sub(1))
        .unwrap_or_default();
    let again = block::with(&before, name, comment, inner);
    if super::kept::sha256(again.as_bytes()) != *ours {
        return changed;
    }
    let old = block::within(&before, name, comment).unwrap_or_default();
    let restored = block::replaced(&current, name, comment, old);
    let rights = Rights {
        mode: *mode,
        uid: *uid,
        gid: *gid,
    };
    place.root.put_file(path, rights, now, |file| {
        file.write_all(restored.as_bytes())
            .map_err(ActError::io("write", path))
    })?;
    Ok(None)
}

/// What of it is no longer so.
pub(super) fn drifted(
    place: &Place,
    action: &Action,
    changes: &[Change],
) -> Result<Option<String>, ActError> {
    let mut found = Vec::new();
    for change in changes {
        let now = place.root.entry(&change.path)?;
        if now == change.becomes {
            continue;
        }
        if let (
            Action::EditBlock {
                name,
                comment,
                lines,
                ..
            },
            Entry::File { .. },
        ) = (action, &now)
        {
            // What others write beside the block is theirs.
            let bytes = place
                .root
                .read(&change.path, EDITED_FILE_BYTES_MAX)?
                .unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            if block::with(&text, name, comment, lines) == text {
                continue;
            }
        }
        found.push(format!("at {}, {}", change.path, entry_words(&now)));
    }
    Ok((!found.is_empty()).then(|| found.join("; ")))
}
