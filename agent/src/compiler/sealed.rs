//! Compiled components that travel at the end of the executable, so that a first start need not compile.
//!
//! Decides their format: the components, a list of them in `postcard`, the list's length and a mark. They are as trustworthy as
//! the program in front of them. One that was made for a processor with other features is refused when it is
//! loaded, and compiled again.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::limits::{COMPILED_BYTES, COMPILED_FILES};

const MARK: &[u8; 16] = b"skep compiled 01";
const FOOTER_BYTES: u64 = 8 + MARK.len() as u64;
/// A list of `COMPILED_FILES` entries of some 150 bytes.
const LIST_BYTES_MAX: u64 = 64 << 10;

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    /// The name of its file in the cache.
    name: String,
    offset: u64,
    length: u64,
    sha256: [u8; 32],
}

/// Copies `executable` to `output` with compiled components, each a name and its bytes, behind it.
///
/// # Errors
/// When a file cannot be read or written; `output` may then be there in part.
pub(super) fn append(
    executable: &Path,
    output: &Path,
    components: &[(String, Vec<u8>)],
) -> io::Result<()> {
    std::fs::copy(executable, output)?;
    let mut file = File::options().read(true).write(true).open(output)?;
    // What an earlier sealing put there goes.
    let mut end = match read_list(&mut file)? {
        Some(list) => list.iter().map(|entry| entry.offset).min().unwrap_or(0),
        None => file.metadata()?.len(),
    };
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    let mut list = Vec::with_capacity(components.len());
    for (name, bytes) in components {
        file.write_all(bytes)?;
        let length = bytes.len() as u64;
        list.push(Entry {
            name: name.clone(),
            offset: end,
            length,
            sha256: Sha256::digest(bytes).into(),
        });
        end += length;
    }
    let list = postcard::to_stdvec(&list).map_err(io::Error::other)?;
    file.write_all(&list)?;
    file.write_all(&(list.len() as u64).to_le_bytes())?;
    file.write_all(MARK)?;
    file.sync_all()
}

/// Copies the component of this name out of `executable`; whether there is one.
///
/// # Errors
/// When a file cannot be read or written, or the component is not what it was when it was put there.
pub(super) fn extract(executable: &Path, name: &str, output: &Path) -> io::Result<bool> {
    let mut file = File::open(executable)?;
    let Some(list) = read_list(&mut file)? else {
        return Ok(false);
    };
    let Some(entry) = list.into_iter().find(|entry| entry.name == name) else {
        return Ok(false);
    };
    if entry.length > COMPILED_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    file.seek(SeekFrom::Start(entry.offset))?;
    let mut bytes = Vec::new();
    file.take(entry.length).read_to_end(&mut bytes)?;
    if <[u8; 32]>::from(Sha256::digest(&bytes)) != entry.sha256 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut out = File::create_new(output)?;
    out.write_all(&bytes)?;
    out.sync_all()?;
    Ok(true)
}

/// The list at the end, if this executable has one.
fn read_list(file: &mut File) -> io::Result<Option<Vec<Entry>>> {
    let length = file.metadata()?.len();
    let Some(footer_at) = length.checked_sub(FOOTER_BYTES) else {
        return Ok(None);
    };
    let mut footer = [0; 8 + MARK.len()];
    file.seek(SeekFrom::Start(footer_at))?;
    file.read_exact(&mut footer)?;
    let (list_bytes, mark) = footer.split_at(8);
    if mark != MARK {
        return Ok(None);
    }
    let list_bytes = list_bytes.try_into().map_or(u64::MAX, u64::from_le_bytes);
    let Some(list_at) = footer_at
        .checked_sub(list_bytes)
        .filter(|_| list_bytes <= LIST_BYTES_MAX)
    else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let mut list = vec![0; usize::try_from(list_bytes).unwrap_or_default()];
    file.seek(SeekFrom::Start(list_at))?;
    file.read_exact(&mut list)?;
    let list: Vec<Entry> = postcard::from_bytes(&list).map_err(io::Error::other)?;
    let inside = |entry: &Entry| {
        entry
            .offset
            .checked_add(entry.length)
            .is_some_and(|end| end <= list_at)
    };
    if list.len() > COMPILED_FILES || !list.iter().all(inside) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Some(list))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_there_comes_out_again_also_after_a_second_sealing() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("plain"), b"\x7fELF and so on").unwrap();
        assert!(!extract(&at("plain"), "a", &at("none")).unwrap());
        append(
            &at("plain"),
            &at("once"),
            &[("old".to_owned(), vec![1; 100])],
        )
        .unwrap();
        let two = [
            ("a".to_owned(), b"first".to_vec()),
            ("b".to_owned(), b"second".to_vec()),
        ];
        append(&at("once"), &at("twice"), &two).unwrap();
        assert!(!extract(&at("twice"), "old", &at("none")).unwrap());
        for (name, bytes) in two {
            assert!(extract(&at("twice"), &name, &at(&name)).unwrap());
            assert_eq!(std::fs::read(at(&name)).unwrap(), bytes);
        }
        let sealed = std::fs::read(at("twice")).unwrap();
        assert!(sealed.starts_with(b"\x7fELF and so onfirstsecond"));
    }

    #[test]
    fn damage_is_found_and_never_a_panic() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("plain"), b"program").unwrap();
        append(
            &at("plain"),
            &at("sealed"),
            &[("a".to_owned(), b"component".to_vec())],
        )
        .unwrap();
        let whole = std::fs::read(at("sealed")).unwrap();
        for position in 7..whole.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[position] ^= flip;
                std::fs::write(at("bad"), &bytes).unwrap();
                let _ = std::fs::remove_file(at("out"));
                if extract(&at("bad"), "a", &at("out")).unwrap_or(false) {
                    assert_eq!(
                        std::fs::read(at("out")).unwrap(),
                        b"component",
                        "{position}"
                    );
                }
            }
        }
    }
}
