//! The tarball: everything below one folder, `SKEP-VERSION-PROCESSOR-linux`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};

use super::Release;
use super::binary::{Binary, Libc};
use super::tree::{Entry, Tree};

pub(super) fn write(
    into: &Path,
    release: &Release,
    binary: &Binary,
    tree: &Tree,
) -> Result<PathBuf> {
    let libc = match binary.libc {
        Libc::Gnu(_) => "linux",
        Libc::None => "linux-static",
    };
    let name = format!(
        "skep-{}-{}-{libc}",
        release.version,
        binary.processor.name()
    );
    let path = into.join(format!("{name}.tar.gz"));
    let file =
        File::create(&path).with_context(|| format!("could not write `{}`", path.display()))?;
    let mut entries = tree.entries(&name, "share/zsh/site-functions");
    entries.push(Entry::program(format!("{name}/bin/skep"), &binary.path)?);
    // What a binary that is too new for a machine needs there is asked before it is copied.
    let needs = match &binary.libc {
        Libc::Gnu(version) => format!("glibc {version}\n"),
        Libc::None => "nothing\n".to_owned(),
    };
    entries.push(Entry::text(format!("{name}/share/skep/needs"), &needs));
    archive(BufWriter::new(file), release.epoch, entries)?.flush()?;
    Ok(path)
}

/// A compressed archive: sorted, of root, of one time.
pub(super) fn archive<W: Write>(into: W, epoch: u64, mut entries: Vec<Entry>) -> Result<W> {
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    // The time in the header of gzip is that of the packing, and is left out.
    let packed = GzBuilder::new()
        .mtime(0)
        .write(into, Compression::default());
    let mut tar = tar::Builder::new(packed);
    let mut folders = std::collections::BTreeSet::new();
    for entry in &entries {
        for folder in entry.folders() {
            if folders.insert(folder.clone()) {
                let mut header = header(epoch, 0o755, 0);
                header.set_entry_type(tar::EntryType::Directory);
                tar.append_data(&mut header, format!("{folder}/"), std::io::empty())?;
            }
        }
        let mut header = header(epoch, entry.mode, entry.content.len() as u64);
        header.set_entry_type(tar::EntryType::Regular);
        tar.append_data(&mut header, &entry.path, &*entry.content)?;
    }
    Ok(tar.into_inner()?.finish()?)
}

fn header(epoch: u64, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mtime(epoch);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    // Such names fit.
    let _ = header.set_username("root");
    let _ = header.set_groupname("root");
    header
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_same_files_are_the_same_bytes() {
        let entries = |order: &[&str]| {
            order
                .iter()
                .map(|name| Entry::text((*name).to_owned(), name))
                .collect::<Vec<_>>()
        };
        let one = archive(Vec::new(), 1_000, entries(&["a/b/c", "a/a"])).unwrap();
        let other = archive(Vec::new(), 1_000, entries(&["a/a", "a/b/c"])).unwrap();
        assert_eq!(one, other);
        assert_ne!(
            one,
            archive(Vec::new(), 1_001, entries(&["a/a", "a/b/c"])).unwrap()
        );
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&*one)
            .read_to_end(&mut plain)
            .unwrap();
        let mut tar = tar::Archive::new(&*plain);
        let names: Vec<String> = tar
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["a/", "a/a", "a/b/", "a/b/c"]);
    }
}
