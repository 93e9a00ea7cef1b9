//! What changes in a text, as people read it.

use skep_core::install::Action;

use super::place::Place;
use super::wanted::{self, What};
use crate::limits::{DIFF_BYTES_MAX, DIFF_TEXT_BYTES_MAX};

/// The difference that an action makes to a file of text; none where there is no text or nothing may be read.
pub(super) fn of(place: &Place, action: &Action) -> Option<String> {
    let text_of = matches!(
        action,
        Action::WriteFile { .. } | Action::EditBlock { .. } | Action::OpenPort { .. }
    );
    if !text_of {
        return None;
    }
    let all = wanted::of(place, action).ok()??;
    let mut shown = String::new();
    for one in &all {
        let What::File { bytes, .. } = &one.what else {
            continue;
        };
        let before = place
            .root
            .read(&one.path, DIFF_TEXT_BYTES_MAX)
            .ok()?
            .unwrap_or_default();
        let before = String::from_utf8(before).ok()?;
        let after = std::str::from_utf8(bytes).ok()?;
        shown.push_str(&between(&one.path, &before, after));
    }
    Some(shown).filter(|shown| !shown.is_empty())
}

fn between(path: &str, before: &str, after: &str) -> String {
    let from = if before.is_empty() {
        "/dev/null".to_owned()
    } else {
        format!("a{path}")
    };
    let mut text = similar::TextDiff::from_lines(before, after)
        .unified_diff()
        .context_radius(3)
        .header(&from, &format!("b{path}"))
        .to_string();
    if text.len() > DIFF_BYTES_MAX {
        let end = (0..=DIFF_BYTES_MAX)
            .rev()
            .find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push_str("\n… more follows\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_unified_and_bounded() {
        let text = between("/etc/a", "one\ntwo\nthree\n", "one\n2\nthree\n");
        assert_eq!(
            text,
            "--- a/etc/a\n+++ b/etc/a\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"
        );
        assert!(between("/a", "", "new\n").starts_with("--- /dev/null\n+++ b/a\n"));
        let long = between("/a", "", &"ä\n".repeat(DIFF_BYTES_MAX));
        assert!(long.len() < DIFF_BYTES_MAX + 64);
    }
}
