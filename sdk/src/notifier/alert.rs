//! An alert in words: what every service shows, however it looks there. Knows no service.

use alloc::format;
use alloc::string::String;

use super::{Alert, Severity};

impl Severity {
    /// A word for people: `info`, `warning` or `critical`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl Alert {
    /// The title with what it is before it: `[critical] node b is down`, or `[resolved] node b is down`.
    #[must_use]
    pub fn headline(&self) -> String {
        let word = if self.resolved {
            "resolved"
        } else {
            self.severity.word()
        };
        format!("[{word}] {}", self.title)
    }

    /// Where and when: `cluster home · node b · 2026-11-23 09:22:24 UTC`.
    #[must_use]
    pub fn foot(&self) -> String {
        let mut foot = format!("cluster {}", self.cluster);
        if let Some(node) = &self.node {
            foot.push_str(&format!(" · node {node}"));
        }
        let time = self.time();
        foot.push_str(&format!(" · {} {} UTC", &time.0, &time.1));
        foot
    }

    /// When it happened, as RFC 3339 has it: `2026-11-23T09:22:24Z`.
    #[must_use]
    pub fn at_rfc3339(&self) -> String {
        let time = self.time();
        format!("{}T{}Z", &time.0, &time.1)
    }

    /// All but the headline, as plain text: the text, the facts, and [`Alert::foot`].
    #[must_use]
    pub fn plain(&self) -> String {
        let mut plain = String::new();
        if !self.text.is_empty() {
            plain.push_str(&self.text);
            plain.push_str("\n\n");
        }
        for (name, value) in &self.facts {
            plain.push_str(&format!("{name}: {value}\n"));
        }
        if !self.facts.is_empty() {
            plain.push('\n');
        }
        plain.push_str(&self.foot());
        plain
    }

    /// Date and time of day in UTC.
    fn time(&self) -> (String, String) {
        let second = self.at_unix_s % DAY_S;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        // Years are counted from March on, so that the day of a leap year is the last: 400 of them have 146,097 days.
        let day = self.at_unix_s / DAY_S % CLOCK_DAYS + TO_MARCH_OF_YEAR_0;
        let (cycle, day) = (day / 146_097, day % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let year = cycle * 400 + year + u64::from(month > 9);
        let month = if month > 9 { month - 9 } else { month + 3 };
        (
            format!("{year:04}-{month:02}-{day:02}"),
            format!("{hour:02}:{minute:02}:{second:02}"),
        )
    }
}

/// Text of at most `limit` units of UTF-16, which is how most services count, with `…` at its end where something was cut off.
///
/// ```
/// assert_eq!(skep_sdk::notifier::cut("node b is down", 7), "node b…");
/// assert_eq!(skep_sdk::notifier::cut("node b", 7), "node b");
/// ```
#[must_use]
pub fn cut(text: &str, limit: usize) -> String {
    escaped(text, limit, |_| None)
}

/// As [`cut`], with characters replaced that have a meaning where the text is shown; the limit is kept by what comes out.
///
/// ```
/// use skep_sdk::notifier::escaped;
///
/// let html = |character| match character {
///     '<' => Some("&lt;"),
///     '&' => Some("&amp;"),
///     _ => None,
/// };
/// assert_eq!(escaped("a<b", 100, html), "a&lt;b");
/// assert_eq!(escaped("a<b", 5, html), "a…");
/// ```
#[must_use]
pub fn escaped(text: &str, limit: usize, instead: impl Fn(char) -> Option<&'static str>) -> String {
    let mut made = String::new();
    let mut units = 0;
    // Where `made` still has room for the mark of a cut.
    let mut room_until = 0;
    for character in text.chars() {
        let before = made.len();
        match instead(character) {
            Some(replacement) => made.push_str(replacement),
            None => made.push(character),
        }
        let added = made.get(before..).unwrap_or_default();
        units += added.encode_utf16().count();
        if units > limit {
            made.truncate(room_until);
            if limit > 0 {
                made.push('…');
            }
            return made;
        }
        if units < limit {
            room_until = made.len();
        }
    }
    made
}

const DAY_S: u64 = 86_400;
/// From 1 March of the year 0 to 1 January 1970.
const TO_MARCH_OF_YEAR_0: u64 = 719_468;
/// Until the year 9999, after which the text would change its shape.
const CLOCK_DAYS: u64 = 2_932_897;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn alert(at_unix_s: u64) -> Alert {
        Alert {
            id: "1".into(),
            kind: "node.down".into(),
            severity: Severity::Critical,
            title: "node b is down".into(),
            text: "It was last heard a minute ago.".into(),
            cluster: "home".into(),
            node: Some("b".into()),
            at_unix_s,
            resolved: false,
            facts: vec![("address".into(), "10.0.0.2".into())],
        }
    }

    #[test]
    fn an_alert_is_said_in_words() {
        let mut it = alert(1_795_425_744);
        assert_eq!(it.headline(), "[critical] node b is down");
        assert_eq!(
            it.plain(),
            "It was last heard a minute ago.\n\naddress: 10.0.0.2\n\n\
             cluster home · node b · 2026-11-23 09:22:24 UTC"
        );
        it.resolved = true;
        it.node = None;
        it.text.clear();
        it.facts.clear();
        assert_eq!(it.headline(), "[resolved] node b is down");
        assert_eq!(it.plain(), "cluster home · 2026-11-23 09:22:24 UTC");
    }

    #[test]
    fn dates_are_right_around_leap_days() {
        for (at_unix_s, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(alert(at_unix_s).at_rfc3339(), expected);
        }
        assert_eq!(alert(u64::MAX).at_rfc3339().len(), 20);
    }

    #[test]
    fn what_is_cut_keeps_to_the_limit() {
        let double = |character| (character == '*').then_some("\\*");
        for text in ["", "a*b**c", "***", "\u{1f600}\u{1f600}a", "plain text"] {
            for limit in 0..12 {
                let made = escaped(text, limit, double);
                assert!(
                    made.encode_utf16().count() <= limit,
                    "{text} {limit} {made}"
                );
                let whole = escaped(text, 1000, double);
                let is_whole = whole.encode_utf16().count() <= limit;
                assert_eq!(made == whole, is_whole, "{text} {limit} {made}");
                let kept = made.strip_suffix('…').unwrap_or(&made);
                assert!(whole.starts_with(kept));
                // Never half of a replacement.
                assert!(!kept.ends_with('\\'), "{text} {limit} {made}");
            }
        }
    }
}
