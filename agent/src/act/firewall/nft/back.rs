//! Taking a port out of the files of nftables again.
//!
//! Decides what goes with a port and what stays for others: the line that includes the files, and their folder, are shared by all ports
//! whichever run opened them. Refuses to know the rules in force.

use std::io::Write as _;

use skep_core::install::{Action, Change, Entry};

use super::super::super::root::Rights;
use super::super::super::{ActError, block, paths};
use super::super::{Place, Port};
use super::{BLOCK, FOLDER, OWN, file_of};
use crate::limits::EDITED_FILE_BYTES_MAX;

/// Takes away the file with the rule; with the last of them also the line that includes them, and their folder if it was made for them.
pub(in super::super) fn undo_paths(
    place: &Place,
    port: Port<'_>,
    action: &Action,
    changes: &[Change],
) -> Result<Option<String>, ActError> {
    let (own, shared): (Vec<Change>, Vec<Change>) = changes
        .iter()
        .cloned()
        .partition(|change| change.path == file_of(port));
    let mut left: Vec<String> = paths::undo(place, action, &own)?.into_iter().collect();
    if others(place)? {
        return Ok((!left.is_empty()).then(|| left.join("; ")));
    }
    for path in OWN {
        undo_include(place, action, path, &shared)?;
    }
    // It was made with this port, or with one before whose line was there already; one from before any of them stays.
    let made = shared.iter().any(|change| match change.path.as_str() {
        FOLDER => change.was == Entry::Absent,
        _ => change.was == change.becomes,
    });
    let folder = place.root.entry(FOLDER)?;
    if made && folder != Entry::Absent && !place.root.remove(FOLDER, &folder)? {
        left.push(format!("other things are in {FOLDER}"));
    }
    Ok((!left.is_empty()).then(|| left.join("; ")))
}

/// Takes the line out again, or puts back what was there to the byte.
fn undo_include(
    place: &Place,
    action: &Action,
    path: &str,
    shared: &[Change],
) -> Result<(), ActError> {
    let bytes = place.root.read(path, EDITED_FILE_BYTES_MAX)?;
    let Some(text) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return Ok(());
    };
    if block::within(&text, BLOCK, "#").is_none() {
        return Ok(());
    }
    let now = place.root.entry(path)?;
    let change = shared.iter().find(|change| change.path == path);
    if let Some(change) = change.filter(|change| change.becomes == now && change.was != now) {
        paths::undo(place, action, std::slice::from_ref(change))?;
        return Ok(());
    }
    // Another port put it there, or somebody wrote elsewhere in the file.
    let Entry::File { mode, uid, gid, .. } = now else {
        return Ok(());
    };
    let without = block::replaced(&text, BLOCK, "#", "");
    let rights = Rights { mode, uid, gid };
    place.root.put_file(path, rights, &now, |file| {
        file.write_all(without.as_bytes())
            .map_err(ActError::io("write", path))
    })?;
    Ok(())
}

/// Whether files of further ports are there.
fn others(place: &Place) -> Result<bool, ActError> {
    let mut entries =
        match std::fs::read_dir(place.root.path().join(FOLDER.trim_start_matches('/'))) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(ActError::io("look into", FOLDER)(error)),
        };
    Ok(entries.any(|entry| {
        entry.is_ok_and(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("skep-") && name.ends_with(".nft")
        })
    }))
}
