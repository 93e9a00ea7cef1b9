//! Backups that are not made.

use super::{facts, sentence};
use crate::alerts::Condition;
use crate::backup::Backups;
use crate::protocol::Severity;

pub(super) fn missing(backups: &Backups, here: &str) -> Option<Condition> {
    let standing = backups.standing();
    let why = standing.why.as_deref()?;
    let folder = backups.settings().folder.display().to_string();
    let state = match &standing.last {
        None => "there is none yet".to_owned(),
        Some(last) => format!("the last good one is `{}`", last.display()),
    };
    Some(Condition {
        id: format!("backup/{here}"),
        kind: "backup.failed".to_owned(),
        severity: Severity::Warning,
        title: format!("No backup of `{here}` was made; {state}"),
        text: format!(
            "{} Is the disk of `{folder}` full, or may the agent not write there? It tries again by itself.",
            sentence(why)
        ),
        node: Some(here.to_owned()),
        facts: facts([("why", why.to_owned()), ("folder", folder.clone())]),
    })
}
