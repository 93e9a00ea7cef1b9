//! Pulls against servers that misbehave, catalogues that are damaged, processes that are killed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::*;

mod damage;
mod downloads;
mod hubs;
mod imports;
mod killed;
mod server;

/// A catalogue in a folder of its own.
struct Place {
    folder: tempfile::TempDir,
    catalogue: Catalogue,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::open(&folder.path().join("models")).unwrap();
        Self { folder, catalogue }
    }

    /// Names in a folder of the catalogue.
    fn files(&self, folder: &str) -> Vec<String> {
        let path = self.folder.path().join("models").join(folder);
        let entries = std::fs::read_dir(path).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Until the partial file has so many bytes: what is in it belongs to it, however it ends.
    fn wait_for_bytes(&self, bytes: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let length = || {
            let parts = self
                .files("partial")
                .into_iter()
                .filter(|name| name.ends_with(".part"));
            let size = |name: String| {
                self.path(&format!("partial/{name}"))
                    .metadata()
                    .unwrap()
                    .len()
            };
            parts.map(size).sum::<u64>()
        };
        while length() < bytes as u64 {
            assert!(
                Instant::now() < deadline,
                "{} of {bytes} bytes arrived",
                length()
            );
            std::thread::yield_now();
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("models").join(path)
    }
}

/// What could be a model, as far as its first bytes tell.
fn gguf(bytes: usize) -> Vec<u8> {
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    let mut state = 1u32;
    while file.len() < bytes {
        // Numbers after Numerical Recipes' generator; any would do.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        file.push((state >> 24) as u8);
    }
    file
}

fn name(text: &str) -> ModelName {
    text.parse().unwrap()
}

fn pull(source: &str) -> Pull {
    Pull {
        source: source.parse().unwrap(),
        name: name("model"),
        expected: None,
        hub: "http://127.0.0.1:1".parse().unwrap(),
    }
}
