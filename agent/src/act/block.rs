//! Lines between two marks in a text that others may edit, too.

/// The first and the last line of a block.
fn marks(name: &str, comment: &str) -> (String, String) {
    (
        format!("{comment} skep: begin {name}"),
        format!("{comment} skep: end {name}"),
    )
}

/// Where a block is in a text, both marks included.
fn span(text: &str, name: &str, comment: &str) -> Option<(usize, usize)> {
    let (begin, end) = marks(name, comment);
    let mut start = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        if bare == begin {
            start = Some(at);
        }
        at += line.len();
        if let Some(start) = start.filter(|_| bare == end) {
            return Some((start, at));
        }
    }
    None
}

/// A text with the block as it should be: in its place, or at the end.
#[must_use]
pub(super) fn with(text: &str, name: &str, comment: &str, lines: &[String]) -> String {
    let (begin, end) = marks(name, comment);
    let mut block = format!("{begin}\n");
    for line in lines {
        block.push_str(line);
        block.push('\n');
    }
    block.push_str(&end);
    block.push('\n');
    match span(text, name, comment) {
        Some((from, to)) => {
            let before = text.get(..from).unwrap_or_default();
            let after = text.get(to..).unwrap_or_default();
            format!("{before}{block}{after}")
        }
        None if text.is_empty() || text.ends_with('\n') => format!("{text}{block}"),
        None => format!("{text}\n{block}"),
    }
}

/// The block as it is in a text.
#[must_use]
pub(super) fn within<'a>(text: &'a str, name: &str, comment: &str) -> Option<&'a str> {
    let (from, to) = span(text, name, comment)?;
    text.get(from..to)
}

/// A text with this in place of the block; with nothing, the block is gone.
#[must_use]
pub(super) fn replaced(text: &str, name: &str, comment: &str, by: &str) -> String {
    let Some((from, to)) = span(text, name, comment) else {
        return text.to_owned();
    };
    let before = text.get(..from).unwrap_or_default();
    let after = text.get(to..).unwrap_or_default();
    format!("{before}{by}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_change_and_go() {
        let lines = |text: &str| vec![text.to_owned()];
        for text in ["", "a = 1\n", "a = 1\n\nb = 2\n"] {
            let with_one = with(text, "skep", "#", &lines("x"));
            assert_eq!(
                with_one,
                format!("{text}# skep: begin skep\nx\n# skep: end skep\n")
            );
            let with_two = with(&with_one, "skep", "#", &lines("y"));
            assert_eq!(with_two, with_one.replace("\nx\n", "\ny\n"));
            assert_eq!(with(&with_two, "skep", "#", &lines("y")), with_two);
            assert_eq!(replaced(&with_two, "skep", "#", ""), text);
            let two = with(&with_two, "other", "#", &lines("z"));
            assert_eq!(
                within(&two, "skep", "#"),
                Some("# skep: begin skep\ny\n# skep: end skep\n")
            );
        }
        assert_eq!(
            with("a", "s", ";", &[]),
            "a\n; skep: begin s\n; skep: end s\n"
        );
        // A mark without its end is no block, and is left alone.
        let open = "# skep: begin skep\nx\n";
        assert_eq!(within(open, "skep", "#"), None);
        assert_eq!(replaced(open, "skep", "#", ""), open);
    }
}
