//! Reading the small files that the kernel shows.
//!
//! Decides what a file must look like to count: short, and a number where a number is wanted.
//! Everything else is `None`, since a driver of another year may write anything, or nothing. A file
//! whose reading the driver refuses is not opened again for a while: some of them ask the device's
//! firmware only to be told no.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;

/// A folder of such files. It and the folders in it remember together what was refused.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
    refused: Arc<Mutex<Refused>>,
}

impl Folder {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            refused: Arc::default(),
        }
    }

    pub(super) fn exists(&self) -> bool {
        self.path.is_dir()
    }

    pub(super) fn folder(&self, name: &str) -> Self {
        Self {
            path: self.path.join(name),
            refused: self.refused.clone(),
        }
    }

    /// The same folder with a memory of its own, as each device has.
    pub(super) fn apart(&self) -> Self {
        Self::new(self.path.clone())
    }

    /// Forgets refusals that are old.
    pub(super) fn begin(&self, now: Instant) {
        self.with_refused(|refused| {
            let since = *refused.since.get_or_insert(now);
            if now.saturating_duration_since(since) >= FORGET_REFUSALS_AFTER {
                *refused = Refused::default();
            }
        });
    }

    /// Forgets every refusal: the device was gone.
    pub(super) fn forget(&self) {
        self.with_refused(|refused| *refused = Refused::default());
    }

    fn with_refused<T>(&self, work: impl FnOnce(&mut Refused) -> T) -> T {
        // What is in it is whole at every moment, so a panic elsewhere spoils nothing.
        work(&mut self.refused.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Names in the folder, sorted; none when it cannot be listed.
    pub(super) fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.path) else {
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
        let path = self.path.join(name);
        if self.with_refused(|refused| refused.files.contains(&path)) {
            return None;
        }
        match read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if is_refusal(&error) => {
                self.with_refused(|refused| refused.remember(path));
                None
            }
            Err(_) => None,
        }
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

    /// A voltage in thousandths of a volt, as hwmon tells it.
    pub(super) fn volts(&self, name: &str) -> Option<f32> {
        let thousandths = self.number(name).filter(|&n| n <= MAX_MILLIVOLTS)?;
        Some(thousandths as f32 / 1000.0)
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

/// Files that the driver refused to let be read.
#[derive(Debug, Default)]
struct Refused {
    files: BTreeSet<PathBuf>,
    since: Option<Instant>,
}

impl Refused {
    fn remember(&mut self, path: PathBuf) {
        if self.files.len() < MAX_ENTRIES {
            self.files.insert(path);
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether it would be the same the next time. A file that is not there costs nothing and may come;
/// `EPERM` and `EBUSY` are what amdgpu answers while the device is reset or wakes.
fn is_refusal(error: &io::Error) -> bool {
    [
        Errno::OPNOTSUPP,
        Errno::INVAL,
        Errno::NOSYS,
        Errno::NODEV,
        Errno::ACCESS,
    ]
    .iter()
    .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// As for what NVIDIA's library refuses.
const FORGET_REFUSALS_AFTER: Duration = Duration::from_secs(600);

/// Ten volts; chips run at about one.
const MAX_MILLIVOLTS: u64 = 10_000;

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
    fn what_is_refused_is_not_opened_again_for_a_while() {
        let (dir, folder) = folder(b"7");
        let path = dir.path().join("sub/refuses");
        fs::create_dir(dir.path().join("sub")).unwrap();
        // Nobody may read this one: `EINVAL` for the superuser, `EACCES` for others.
        std::os::unix::fs::symlink("/proc/self/clear_refs", &path).unwrap();
        let start = Instant::now();
        let number_at = |s| {
            folder.begin(start + Duration::from_secs(s));
            folder.folder("sub").number("refuses")
        };
        assert_eq!(number_at(0), None);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "5").unwrap();
        assert_eq!(number_at(1), None);
        assert_eq!(folder.number("f"), Some(7));
        assert_eq!(folder.apart().folder("sub").number("refuses"), Some(5));
        assert_eq!(number_at(599), None);
        assert_eq!(number_at(600), Some(5));
    }

    #[test]
    fn a_file_that_is_missing_or_busy_is_asked_again() {
        for (errno, expect) in [
            (Errno::OPNOTSUPP, true),
            (Errno::INVAL, true),
            (Errno::NOENT, false),
            (Errno::BUSY, false),
            (Errno::PERM, false),
            (Errno::IO, false),
        ] {
            assert_eq!(is_refusal(&errno.into()), expect, "{errno}");
        }
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
