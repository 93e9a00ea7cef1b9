//! The name that somebody probably meant.
//!
//! Decides which of some names is nearest to a given one, and when none is near enough; refuses
//! to know what the names stand for.

/// The name nearest to `wanted`: one that it is the beginning of, or one that few letters
/// (a third of its length) tell apart; case does not count. None when nothing is near.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Names are at most 128 bytes; a longer wish is near to none of them.
    if wanted.len() > 256 {
        return None;
    }
    let wanted = wanted.to_lowercase();
    names
        .into_iter()
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let away = if !wanted.is_empty() && lower.starts_with(&wanted) {
                0
            } else {
                distance(&wanted, &lower)
            };
            (away <= (wanted.chars().count() / 3).max(1)).then_some((away, name))
        })
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be changed, added, taken away or swapped with their neighbour
/// (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&above, j) + usize::from(from != to))
                .min(at(&above, j + 1) + 1)
                .min(at(&row, j) + 1);
            let swapped = j > 0 && i > 0 && b.get(j - 1) == Some(from) && a.get(i - 1) == Some(to);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = above;
        above = row;
    }
    above.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes() {
        let names = ["tiny", "qwen3:0.6b", "llama-3.2-1b"];
        let check = |wanted: &str, expect: Option<&str>| {
            assert_eq!(nearest(wanted, names), expect, "{wanted}");
        };
        check("tniy", Some("tiny"));
        check("TINY", Some("tiny"));
        check("tin", Some("tiny"));
        check("qwen3", Some("qwen3:0.6b"));
        check("llama3.2-1b", Some("llama-3.2-1b"));
        check("gpt-4", None);
        check("", None);
        check(&"x".repeat(100_000), None);
    }
}
