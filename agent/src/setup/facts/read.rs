//! Reading text without being held up or flooded.

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::Places;
use crate::limits::{FACTS_ITEMS_MAX, FACTS_TEXT_BYTES};

impl Places {
    /// A file of the kernel's or the system's, up to `bytes_max` of it; empty when it cannot be read.
    pub(super) fn text(&self, path: &str, bytes_max: u64) -> String {
        let mut bytes = Vec::new();
        if let Ok(file) = open(&self.at(path)) {
            // What was read before an error counts.
            let _ = file.take(bytes_max).read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A file with one line.
    pub(super) fn line(&self, path: &str) -> String {
        let text = self.text(path, FACTS_TEXT_BYTES as u64);
        text.lines().next().unwrap_or_default().trim().to_owned()
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.at(path).exists()
    }

    /// The names in a folder, sorted, so many as anybody needs.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.at(path)) else {
            return Vec::new();
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.take(16 * FACTS_ITEMS_MAX).collect();
        names.sort();
        names
    }

    /// The last part of where a link leads.
    pub(super) fn link(&self, path: &str) -> Option<String> {
        let target = fs::read_link(self.at(path)).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }
}

/// Opens without waiting for whoever is at the other end of a pipe.
pub(super) fn open(path: &Path) -> std::io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}
