//! One manifest: the small file that gives some bytes a name.
//!
//! Decides what is written and what is believed on reading: nothing in a manifest becomes a path
//! before it has been parsed into a name or a digest. Refuses to mend or delete a damaged one.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::catalogue::Model;
use super::digest::Digest;
use super::file;
use super::format::Format;
use super::limits::{MANIFEST_BYTES_MAX, MODEL_BYTES_MAX};
use super::name::ModelName;

/// What a manifest says, once it has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) name: ModelName,
    pub(super) digest: Digest,
    pub(super) bytes: u64,
    pub(super) format: Format,
    pub(super) source: String,
    pub(super) added_unix_s: u64,
    /// Set when the blob is a second name of somebody's file: its time of change at the pull.
    pub(super) linked_modified_ns: Option<i64>,
}

impl Manifest {
    /// Reads and checks one; the text of the error says what is wrong with it.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = file::read_small(path, MANIFEST_BYTES_MAX).map_err(|e| e.to_string())?;
        let stored: Stored = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
        let manifest = stored.check()?;
        if path.file_name() != Some(manifest_file_name(&manifest.name).as_ref()) {
            return Err(format!("it names another model, `{}`", manifest.name));
        }
        Ok(manifest)
    }

    /// Writes it durably into the folder of manifests.
    pub(super) fn write(&self, folder: &Path) -> std::io::Result<()> {
        let stored = Stored {
            version: VERSION,
            name: self.name.to_string(),
            sha256: self.digest.to_hex(),
            bytes: self.bytes,
            format: self.format.to_string(),
            source: self.source.clone(),
            added_unix_s: self.added_unix_s,
            linked_modified_ns: self.linked_modified_ns,
        };
        let mut text = serde_json::to_vec_pretty(&stored)?;
        text.push(b'\n');
        file::replace(&folder.join(manifest_file_name(&self.name)), &text)
    }

    /// The model, if its bytes are there as the manifest says.
    pub(super) fn with_blob(self, blob: PathBuf) -> Result<Model, String> {
        let about = blob
            .symlink_metadata()
            .map_err(|e| format!("its file `{}` cannot be found: {e}", blob.display()))?;
        if !about.is_file() {
            return Err(format!("`{}` is not a regular file", blob.display()));
        }
        if about.len() != self.bytes {
            let (found, expected) = (about.len(), self.bytes);
            return Err(format!("its file has {found} bytes, expected {expected}"));
        }
        if self
            .linked_modified_ns
            .is_some_and(|then| then != modified_ns(&about))
        {
            return Err("its file was changed after the pull; pull it again".to_owned());
        }
        Ok(Model {
            manifest: self,
            path: blob,
        })
    }
}

/// What the manifest of a name is called.
pub(super) fn manifest_file_name(name: &ModelName) -> String {
    format!("{name}.json")
}

/// A file's time of change, in nanoseconds since 1970.
pub(super) fn modified_ns(about: &std::fs::Metadata) -> i64 {
    use std::os::unix::fs::MetadataExt as _;
    about
        .mtime()
        .saturating_mul(1_000_000_000)
        .saturating_add(about.mtime_nsec())
}

/// The file as it stands on the disk.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    name: String,
    sha256: String,
    bytes: u64,
    format: String,
    source: String,
    added_unix_s: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    linked_modified_ns: Option<i64>,
}

impl Stored {
    fn check(self) -> Result<Manifest, String> {
        if self.version != VERSION {
            return Err(format!(
                "version {} is not known to this skep",
                self.version
            ));
        }
        if self.bytes > MODEL_BYTES_MAX {
            return Err(format!("{} bytes are more than any model has", self.bytes));
        }
        Ok(Manifest {
            name: self.name.parse().map_err(|e| format!("name: {e}"))?,
            digest: self.sha256.parse().map_err(|e| format!("sha256: {e}"))?,
            bytes: self.bytes,
            format: Format::named(&self.format).ok_or("its format is not known to this skep")?,
            // It is shown on terminals.
            source: self.source.chars().filter(|c| !c.is_control()).collect(),
            added_unix_s: self.added_unix_s,
            linked_modified_ns: self.linked_modified_ns,
        })
    }
}

const VERSION: u32 = 1;
