//! How much of a card's memory a model took when it was last opened on one, beside its packed form.
//!
//! Decides nothing: a figure that is not there, or was taken under other settings, is none.

use std::io;

use super::file;
use super::{CatalogueError, Model};

impl Model {
    /// The bytes that it took when it was opened as `how` says, if that was the last time.
    #[must_use]
    pub fn card_bytes(&self, how: &str) -> Option<u64> {
        let text = file::read_small(&self.need_path(), NEED_BYTES_MAX).ok()?;
        let text = String::from_utf8(text).ok()?;
        let (bytes, found) = text.trim_end().split_once(' ')?;
        (found == how).then(|| bytes.parse().ok())?
    }

    /// Remembers them; `how` is one line.
    ///
    /// # Errors
    /// When the file cannot be written. What was remembered before is then still there.
    pub fn remember_card_bytes(&self, how: &str, bytes: u64) -> Result<(), CatalogueError> {
        let path = self.need_path();
        let text = format!("{bytes} {how}\n");
        let write = || {
            if text.len() as u64 > NEED_BYTES_MAX {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            file::replace(&path, text.as_bytes())
        };
        write().map_err(CatalogueError::io("write", &path))
    }
}

/// A figure and the settings: some 300 bytes.
const NEED_BYTES_MAX: u64 = 4 << 10;
