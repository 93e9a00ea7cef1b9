//! Journals that nobody needs any more.
//!
//! Decides that only a run goes of which nothing can be undone or gone on with, the oldest first, and that what was kept for undoing
//! goes with the last journal that names it. With a damaged journal beside them all contents stay: it may name any of them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use skep_core::install::{Before, Entry, Run, RunState, Stage};

use super::{ENDING, all, failed, kept};
use crate::act::ActError;
use crate::limits::JOURNALS_OVER_KEPT;

/// Removes what is over and old. Only whoever is alone in the folder may.
pub(super) fn prune(folder: &Path) -> Result<(), ActError> {
    let mut runs = all(folder)?;
    let over = runs.iter().filter(|(run, busy)| !busy && is_over(run));
    let over: Vec<_> = over.map(|(run, _)| run.id.clone()).collect();
    let old = over.len().saturating_sub(JOURNALS_OVER_KEPT);
    if old == 0 {
        return Ok(());
    }
    for id in over.iter().take(old) {
        let path = folder.join(format!("{id}{ENDING}"));
        fs::remove_file(&path).map_err(failed(&path))?;
        runs.retain(|(run, _)| run.id != *id);
    }
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed(folder))?;
    forget(folder, &runs).map_err(failed(folder))
}

/// Whether nothing of it is left to be done, to be gone on with, or to be undone.
fn is_over(run: &Run) -> bool {
    match run.state() {
        RunState::Undone => true,
        RunState::Done => run.items().iter().all(|item| item.stage == Stage::Already),
        RunState::Running | RunState::Failed | RunState::Undoing => false,
    }
}

/// Removes contents that no journal names.
fn forget(folder: &Path, runs: &[(Run, bool)]) -> io::Result<()> {
    let mut damaged = fs::read_dir(folder)?.flatten();
    if damaged.any(|entry| entry.file_name().to_string_lossy().contains(".damaged-")) {
        return Ok(());
    }
    let items = runs.iter().flat_map(|(run, _)| run.items());
    let named: BTreeSet<&str> = items
        .filter_map(|item| item.before.as_ref())
        .flat_map(contents)
        .collect();
    let kept = kept(folder);
    for entry in fs::read_dir(kept.folder())? {
        let entry = entry?;
        let name = entry.file_name();
        // What a crash left half written has another name; nobody is at it, since we are alone.
        if name.to_str().is_none_or(|name| !named.contains(name)) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The contents that a journal needs for undoing, by their digests.
fn contents(before: &Before) -> Vec<&str> {
    match before {
        Before::Paths { changes } => {
            let was = changes.iter().filter_map(|change| match &change.was {
                Entry::File { sha256, .. } => Some(sha256.as_str()),
                _ => None,
            });
            was.collect()
        }
        Before::Packages { installed, .. } => vec![installed],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::journal::JournalFile;
    use skep_core::install::{Action, Change, Owner, Plan, Planned, Record, RunId};

    /// A run of one action, as far as these records bring it.
    fn run(folder: &Path, number: u64, content: &str, undone: bool) -> RunId {
        let id: RunId = format!("{number:05}").parse().unwrap();
        let action = Action::WriteFile {
            path: "/etc/skep/a".into(),
            content: "new".into(),
            mode: 0o644,
            owner: Owner::default(),
        };
        let begun = Record::Begun {
            run: id.clone(),
            part: "test".into(),
            by: "somebody".into(),
            at_unix_s: number,
            plan: Plan {
                actions: vec![Planned {
                    action,
                    why: String::new(),
                }],
                notes: Vec::new(),
            },
        };
        let mut journal = JournalFile::create(folder, &id, begun).unwrap();
        let sha256 = kept(folder).keep(&mut content.as_bytes()).unwrap();
        let entry = |sha256| Entry::File {
            sha256,
            mode: 0o644,
            uid: 0,
            gid: 0,
        };
        let change = Change {
            path: "/etc/skep/a".into(),
            was: entry(sha256),
            becomes: entry("0".repeat(64)),
        };
        let before = Before::Paths {
            changes: vec![change],
        };
        journal.write(Record::Intend { action: 0, before }).unwrap();
        if undone {
            journal
                .write(Record::Undo {
                    by: "somebody".into(),
                    at_unix_s: number,
                })
                .unwrap();
            journal.write(Record::UndoIntend { action: 0 }).unwrap();
            journal
                .write(Record::Undone {
                    action: 0,
                    left: None,
                })
                .unwrap();
            journal.write(Record::Ended { at_unix_s: number }).unwrap();
        }
        id
    }

    #[test]
    fn only_what_is_over_goes_with_what_was_kept_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let open = run(folder.path(), 0, "open", false);
        let many = u64::try_from(JOURNALS_OVER_KEPT).unwrap() + 6;
        for number in 1..=many {
            run(folder.path(), number, &format!("content {number}"), true);
        }
        let runs = all(folder.path()).unwrap();
        assert!(runs.iter().any(|(run, _)| run.id == open));
        // The newest was made after the last look.
        assert_eq!(runs.len(), JOURNALS_OVER_KEPT + 2);
        let contents = fs::read_dir(folder.path().join("kept")).unwrap().count();
        assert_eq!(contents, runs.len());

        // Beside a damaged one, contents stay.
        fs::write(folder.path().join("x.journal.damaged-0"), "").unwrap();
        run(folder.path(), many + 1, "one more", true);
        let contents = fs::read_dir(folder.path().join("kept")).unwrap().count();
        assert_eq!(contents, JOURNALS_OVER_KEPT + 3);
    }
}
