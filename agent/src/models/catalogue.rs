//! The catalogue: which models this node has.
//!
//! Decides when a name exists (its manifest and its bytes are whole) and when bytes may go (no
//! name uses them). Refuses to delete what it does not understand: damage is reported and left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use super::digest::Digest;
use super::error::CatalogueError;
use super::file;
use super::format::Format;
use super::limits::{MANIFEST_BYTES_MAX, MANIFESTS_MAX};
use super::manifest::{Manifest, manifest_file_name};
use super::name::ModelName;
use super::suggest::nearest;

/// The models of one node, under one folder that this process alone changes.
///
/// Cheap to ask: names are kept in memory. Every method blocks on the disk at most; call those
/// that write from a thread that may.
#[derive(Debug)]
pub struct Catalogue {
    pub(super) folders: Folders,
    known: RwLock<BTreeMap<ModelName, Model>>,
    /// Held while names and bytes change, so that none is taken away while a name is given.
    change: Mutex<()>,
    /// Keys of the partial files that some pull is writing.
    pub(super) pulling: Mutex<BTreeSet<String>>,
}

/// A model that is here, whole.
#[derive(Clone, Debug)]
pub struct Model {
    pub(super) manifest: Manifest,
    pub(super) path: PathBuf,
}

/// Everything in the catalogue, by name, and what could not be read.
#[derive(Clone, Debug)]
pub struct Listing {
    /// What can be loaded.
    pub models: Vec<Model>,
    /// What is left alone.
    pub damaged: Vec<Damaged>,
}

/// A manifest, or something in its place, that cannot be used. It stays where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Where it lies.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// What [`Catalogue::remove`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// What the disk has won; 0 when another name uses the same bytes.
    pub freed_bytes: u64,
}

#[derive(Debug)]
pub(super) struct Folders {
    pub(super) blobs: PathBuf,
    pub(super) manifests: PathBuf,
    pub(super) partial: PathBuf,
    /// What workers have packed of blobs, in folders of the blobs' names. It may go at any time.
    packed: PathBuf,
}

impl Catalogue {
    /// Opens the catalogue in a folder, making it if it is not there, and reads every manifest.
    ///
    /// # Errors
    /// When the folders cannot be made or read. Damaged manifests are no error.
    pub fn open(folder: &Path) -> Result<Self, CatalogueError> {
        let folders = Folders {
            blobs: folder.join("blobs"),
            manifests: folder.join("manifests"),
            partial: folder.join("partial"),
            packed: folder.join(PACKED),
        };
        for folder in [
            &folders.blobs,
            &folders.manifests,
            &folders.partial,
            &folders.packed,
        ] {
            file::make_folder(folder).map_err(CatalogueError::io("make the folder", folder))?;
            sweep(folder, is_temporary);
        }
        sweep(&folders.packed, |path| {
            let name = path.file_stem().unwrap_or_default();
            // An older version kept the packed form where its folder is now.
            let old = path.extension().is_none() && !path.is_dir();
            old || !folders.blobs.join(name).exists()
        });
        let catalogue = Self {
            folders,
            known: RwLock::default(),
            change: Mutex::default(),
            pulling: Mutex::default(),
        };
        catalogue.list()?;
        Ok(catalogue)
    }

    /// Reads the folder anew: what is there and what is damaged.
    ///
    /// # Errors
    /// When the folder of manifests cannot be read.
    pub fn list(&self) -> Result<Listing, CatalogueError> {
        let _held = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let listing = self.read_all()?;
        let known = listing
            .models
            .iter()
            .map(|model| (model.name().clone(), model.clone()));
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known.collect();
        Ok(listing)
    }

    /// The model of a name, without touching the disk.
    ///
    /// # Errors
    /// [`CatalogueError::Unknown`], with the name that was probably meant.
    pub fn find(&self, name: &ModelName) -> Result<Model, CatalogueError> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(name).cloned().ok_or_else(|| {
            let names = known.keys().map(ModelName::as_str);
            let near = nearest(name.as_str(), names).and_then(|near| near.parse().ok());
            CatalogueError::Unknown {
                name: name.clone(),
                nearest: near,
            }
        })
    }

    /// Every usable model by name, without touching the disk.
    #[must_use]
    pub fn models(&self) -> Vec<Model> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().cloned().collect()
    }

    /// Sees to it that bytes of this binary have a name. Does nothing when they have; replaces
    /// what an older binary left under the name; leaves alone what the operator gave the name.
    ///
    /// # Errors
    /// When the bytes are not those of the digest, or cannot be written.
    pub fn ensure_embedded(
        &self,
        name: &ModelName,
        bytes: &[u8],
        digest: Digest,
    ) -> Result<Model, CatalogueError> {
        if let Ok(model) = self.find(name)
            && (model.digest() == digest || model.source() != EMBEDDED)
        {
            return Ok(model);
        }
        let found = Digest::of(bytes);
        if found != digest {
            return Err(CatalogueError::Embedded {
                expected: digest,
                found,
            });
        }
        let blob = self.folders.blobs.join(digest.blob_name());
        file::replace(&blob, bytes).map_err(CatalogueError::io("write", &blob))?;
        self.add(Manifest {
            name: name.clone(),
            digest,
            bytes: bytes.len() as u64,
            format: Format::Gguf,
            source: EMBEDDED.to_owned(),
            added_unix_s: unix_seconds(),
            linked_modified_ns: None,
        })
    }

    /// Takes a name away, and its bytes when no other name, damaged ones included, uses them.
    /// A worker that has them open keeps them until it ends.
    ///
    /// # Errors
    /// When there is no such name or the disk refuses.
    pub fn remove(&self, name: &ModelName) -> Result<Removed, CatalogueError> {
        let _held = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let model = self.find(name)?;
        let path = self.folders.manifests.join(manifest_file_name(name));
        fs::remove_file(&path).map_err(CatalogueError::io("remove", &path))?;
        file::sync_folder(&self.folders.manifests)
            .map_err(CatalogueError::io("sync", &self.folders.manifests))?;
        self.known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
        self.free(model.digest())
    }

    /// Gives bytes that lie in `blobs` already their name.
    pub(super) fn add(&self, manifest: Manifest) -> Result<Model, CatalogueError> {
        let _held = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.find(&manifest.name).ok();
        let folder = &self.folders.manifests;
        manifest
            .write(folder)
            .map_err(CatalogueError::io("write a manifest in", folder))?;
        let blob = self.folders.blobs.join(manifest.digest.blob_name());
        let model = manifest
            .with_blob(blob.clone())
            .map_err(|reason| CatalogueError::Io {
                what: "use",
                path: blob,
                source: std::io::Error::other(reason),
            })?;
        self.known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(model.name().clone(), model.clone());
        if let Some(before) = before.filter(|before| before.digest() != model.digest()) {
            self.free(before.digest())?;
        }
        Ok(model)
    }

    /// Removes bytes that no name uses. `change` must be held.
    fn free(&self, digest: Digest) -> Result<Removed, CatalogueError> {
        let listing = self.read_all()?;
        let used = listing.models.iter().any(|model| model.digest() == digest);
        let hex = digest.to_hex();
        // A damaged manifest may be mended; what it names must still be there then.
        let named = listing.damaged.iter().any(|damaged| {
            file::read_small(&damaged.path, MANIFEST_BYTES_MAX)
                .is_ok_and(|text| String::from_utf8_lossy(&text).contains(&hex))
        });
        let kept = Removed { freed_bytes: 0 };
        if used || named {
            return Ok(kept);
        }
        let blob = self.folders.blobs.join(digest.blob_name());
        let freed_bytes = fs::symlink_metadata(&blob).map_or(0, |about| about.len());
        file::remove_if_there(&blob).map_err(CatalogueError::io("remove", &blob))?;
        let packed = self.folders.packed.join(digest.blob_name());
        let of_packed = fs::symlink_metadata(packed.join(WEIGHTS)).map_or(0, |about| about.len());
        let need = packed.with_extension(NEED);
        file::remove_if_there(&need).map_err(CatalogueError::io("remove", &need))?;
        match fs::remove_dir_all(&packed) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(CatalogueError::io("remove", &packed)(error));
            }
            _ => {}
        }
        Ok(Removed {
            freed_bytes: freed_bytes + of_packed,
        })
    }

    fn read_all(&self) -> Result<Listing, CatalogueError> {
        let folder = &self.folders.manifests;
        let entries = fs::read_dir(folder).map_err(CatalogueError::io("read", folder))?;
        let mut paths: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| !is_temporary(path))
            .take(MANIFESTS_MAX)
            .collect();
        paths.sort();
        let mut listing = Listing {
            models: Vec::new(),
            damaged: Vec::new(),
        };
        for path in paths {
            let model = Manifest::read(&path).and_then(|manifest| {
                let blob = self.folders.blobs.join(manifest.digest.blob_name());
                manifest.with_blob(blob)
            });
            match model {
                Ok(model) => listing.models.push(model),
                Err(reason) => listing.damaged.push(Damaged { path, reason }),
            }
        }
        listing.models.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(listing)
    }
}

impl Model {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &ModelName {
        &self.manifest.name
    }

    /// The SHA-256 of its bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.manifest.digest
    }

    /// How many bytes it has.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.manifest.bytes
    }

    /// What kind of file it is.
    #[must_use]
    pub fn format(&self) -> Format {
        self.manifest.format
    }

    /// Where it came from: `embedded`, an absolute path, or an address without its query.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.manifest.source
    }

    /// When it got its name, in seconds since 1970.
    #[must_use]
    pub fn added_unix_s(&self) -> u64 {
        self.manifest.added_unix_s
    }

    /// Where its bytes lie. The file is never written to; it is replaced or removed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a worker keeps what it has packed of the bytes; there need not be anything. The folder is this model's alone,
    /// since its worker may write there and into no other.
    #[must_use]
    pub fn packed_path(&self) -> PathBuf {
        self.packed_folder().join(WEIGHTS)
    }

    fn packed_folder(&self) -> PathBuf {
        let blobs = self.path.parent().unwrap_or_else(|| Path::new(""));
        blobs.with_file_name(PACKED).join(self.digest().blob_name())
    }

    /// Where it is remembered how much of a card it took.
    pub(super) fn need_path(&self) -> PathBuf {
        self.packed_folder().with_extension(NEED)
    }
}

/// The source of models that come with the binary.
pub(super) const EMBEDDED: &str = "embedded";

/// What follows the name of a packed form in that of the file with what the model took of a card.
const NEED: &str = "card";

/// The folder of packed forms, beside that of blobs: a folder for each blob.
const PACKED: &str = "packed";

/// The packed form in its folder.
const WEIGHTS: &str = "weights";

pub(super) fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn is_temporary(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(".new-"))
}

/// Removes what a killed process was about to rename. Nobody else writes here.
fn sweep(folder: &Path, unwanted: impl Fn(&Path) -> bool) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if unwanted(&path) {
            // It is not in anybody's way if it stays.
            let _ = if path.is_dir() && !path.is_symlink() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            };
        }
    }
}
