//! Figures for people: sizes, times, rates.
//!
//! Decides units and rounding: sizes of files in powers of 1000, as file managers and disks
//! count; memory in powers of 1024, with its own names.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A file's size: `4.5 MB`.
pub(super) fn size(bytes: u64) -> String {
    scaled(bytes, 1000.0, ["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// An amount of memory: `2.3 GiB`.
pub(super) fn memory(bytes: u64) -> String {
    scaled(
        bytes,
        1024.0,
        ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"],
    )
}

/// A number of parameters: `4.2 M`.
pub(super) fn count(count: u64) -> String {
    scaled(count, 1000.0, ["", "k", "M", "B", "T", "Q", "Qi"])
}

/// How many there are of something: `1 call`, `12,345 calls`.
pub(super) fn many(count: u64, one: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {one}{plural}", grouped(count))
}

/// All digits of a number: `12,345,678`.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How long something took: `420 ms`, `1.4 s`, `3 min`.
pub(super) fn duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{:.1} s", duration.as_secs_f64()),
        _ => span(duration.as_secs()),
    }
}

/// A long time: `42 s`, `5 min`, `3 h`, `12 days`.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// How long ago a moment was: `5 min ago`.
pub(super) fn ago(unix_s: u64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    match now.saturating_sub(unix_s) {
        0..5 => "just now".to_owned(),
        seconds => format!("{} ago", span(seconds)),
    }
}

/// A moment in universal time: `2026-11-21 19:18:30`.
pub(super) fn moment(unix_ms: u64) -> String {
    let (days, ms) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let (year, month, day) = date(days);
    let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
    let (second, ms) = (ms / 1000 % 60, ms % 1000);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{ms:03}")
}

/// Days since 1970 as a date of the Gregorian calendar, after Howard Hinnant's
/// `civil_from_days` (<https://howardhinnant.github.io/date_algorithms.html>).
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

fn scaled(amount: u64, base: f64, units: [&str; 7]) -> String {
    // Precise enough: three figures are shown.
    #[expect(clippy::cast_precision_loss, reason = "three figures are shown")]
    let mut rest = amount as f64;
    let mut unit = units.first().copied().unwrap_or_default();
    for next in units.iter().skip(1) {
        if rest < base {
            break;
        }
        rest /= base;
        unit = next;
    }
    let small = rest < 9.95 && amount >= 1000;
    let text = if small {
        format!("{rest:.1} {unit}")
    } else {
        format!("{rest:.0} {unit}")
    };
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(999), "999 B");
        assert_eq!(size(4_516_288), "4.5 MB");
        assert_eq!(size(u64::MAX), "18 EB");
        assert_eq!(memory(24 << 30), "24 GiB");
        assert_eq!(memory(1_600 << 20), "1.6 GiB");
        assert_eq!(count(4_200_000), "4.2 M");
        assert_eq!(many(0, "call"), "0 calls");
        assert_eq!(many(1, "call"), "1 call");
        assert_eq!(many(999, "call"), "999 calls");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(duration(Duration::from_millis(1_449)), "1.4 s");
        assert_eq!(duration(Duration::from_secs(200)), "3 min");
        assert_eq!(span(200_000), "2 days");
        assert_eq!(moment(0), "1970-01-01 00:00:00.000");
        // `date -u -d @951782400`
        assert_eq!(moment(951_782_400_123), "2000-02-29 00:00:00.123");
        assert_eq!(moment(1_795_288_710_000), "2026-11-21 19:18:30.000");
    }
}
