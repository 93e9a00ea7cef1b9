//! Reading the small files that the kernel shows.
//!
//! Decides what a file must look like to count: short, and a number where a number is wanted.
//! Everything else is `None`, since a driver of another year may write anything, or nothing.

use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;

/// A folder of such files.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub(super) fn exists(&self) -> bool {
        self.0.is_dir()
    }

    pub(super) fn folder(&self, name: &str) -> Self {
        Self(self.0.join(name))
    }

    /// Names in the folder, sorted; none when it cannot be listed.
    pub(super) fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.0) else {
            return Vec::new();
        };
        let mut names: Vec<_> = entries
            .take(MAX_ENTRIES)
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// The file's bytes, up to the largest that such a file may have.
    pub(super) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = File::open(self.0.join(name)).ok()?;
        file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// The file's text without space around it; `None` when empty or no UTF-8.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let text = String::from_utf8(self.bytes(name)?).ok()?;
        Some(text.trim().to_owned()).filter(|t| !t.is_empty())
    }

    /// A decimal number that is the whole file.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// A share in whole percent; more than all of it is nonsense.
    pub(super) fn percent(&self, name: &str) -> Option<f32> {
        self.number(name).filter(|&n| n <= 100).map(|n| n as f32)
    }

    /// A temperature in thousandths of a degree, as hwmon tells it.
    pub(super) fn celsius(&self, name: &str) -> Option<f32> {
        let thousandths: i64 = self.text(name)?.parse().ok()?;
        // 0 K to far above melting; a broken sensor tells things like 2^31.
        (-273_000..=1_000_000)
            .contains(&thousandths)
            .then_some(thousandths as f32 / 1000.0)
    }

    /// Power in millionths of a watt, as hwmon tells it.
    pub(super) fn watts(&self, name: &str) -> Option<f32> {
        let millionths = self.number(name).filter(|&n| n <= MAX_MICROWATTS)?;
        Some((millionths as f64 / 1e6) as f32)
    }

    /// The current and the highest clock in a table such as `1: 2482Mhz *`.
    pub(super) fn clock_table(&self, name: &str) -> (Option<u32>, Option<u32>) {
        let Some(text) = self.text(name) else {
            return (None, None);
        };
        let mut now = None;
        let mut highest = None;
        for line in text.lines() {
            let Some((_, value)) = line.split_once(':') else {
                continue;
            };
            let digits = value
                .trim_start()
                .split(|c: char| !c.is_ascii_digit())
                .next();
            let Some(mhz) = digits.and_then(|d| d.parse::<u32>().ok()) else {
                continue;
            };
            highest = highest.max(Some(mhz));
            if line.trim_end().ends_with('*') {
                now = Some(mhz);
            }
        }
        (now, highest)
    }
}

/// The largest of these files, the list of bad pages, stays far below it.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// No folder that is listed here has more.
const MAX_ENTRIES: usize = 4096;

/// A megawatt.
const MAX_MICROWATTS: u64 = 1_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(content: &[u8]) -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), content).unwrap();
        let folder = Folder::new(dir.path());
        (dir, folder)
    }

    #[test]
    fn numbers_are_whole_files_or_nothing() {
        fn check(content: &[u8], expect: Option<u64>) {
            let (_dir, folder) = folder(content);
            assert_eq!(folder.number("f"), expect, "{content:?}");
        }
        check(b"42\n", Some(42));
        check(b"18446744073709551615", Some(u64::MAX));
        check(b"18446744073709551616", None);
        check(b"-1", None);
        check(b"", None);
        check(b"\n\n", None);
        check(b"12 W", None);
        check(b"\xff\xfe12", None);
    }

    #[test]
    fn nonsense_from_a_sensor_is_not_told() {
        fn check(content: &[u8], celsius: Option<f32>, watts: Option<f32>, percent: Option<f32>) {
            let (_dir, folder) = folder(content);
            assert_eq!(folder.celsius("f"), celsius, "{content:?}");
            assert_eq!(folder.watts("f"), watts, "{content:?}");
            assert_eq!(folder.percent("f"), percent, "{content:?}");
        }
        check(b"55000\n", Some(55.0), Some(0.055), None);
        check(b"-4000\n", Some(-4.0), None, None);
        check(b"100", Some(0.1), Some(0.0001), Some(100.0));
        check(b"101", Some(0.101), Some(0.000_101), None);
        check(b"2147483648000", None, None, None);
        check(b"9223372036854775808", None, None, None);
        check(b"abc", None, None, None);
    }

    #[test]
    fn the_star_marks_the_clock_in_use() {
        fn check(content: &[u8], expect: (Option<u32>, Option<u32>)) {
            let (_dir, folder) = folder(content);
            assert_eq!(folder.clock_table("f"), expect, "{content:?}");
        }
        check(b"0: 500Mhz *\n1: 2482Mhz \n", (Some(500), Some(2482)));
        check(
            b"S: 19Mhz *\n0: 615Mhz \n1: 800Mhz \n2: 1600Mhz",
            (Some(19), Some(1600)),
        );
        check(b"0: 96Mhz \n", (None, Some(96)));
        check(b"0: Mhz *\nrubbish\n1: 99999999999Mhz *\n", (None, None));
        check(b"", (None, None));
        check(b"0: \xff *", (None, None));
    }
}
