//! A backup's file: a head, pieces, and a digest of all of it.
//!
//! Decides that nothing of a file is believed before the digest at its end fits, so one that was cut or altered is refused as a
//! whole. With a passphrase each piece is sealed (ChaCha20-Poly1305) under its number, whether it is the last, and the head.
//!
//! ```text
//! "skep-backup\n"  length u32  head as JSON  { length u32 with its top bit for the last, piece }…  SHA-256
//! ```

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::pbkdf2;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::BackupError;
use crate::limits::{BACKUP_HEAD_BYTES, BACKUP_PIECE_BYTES, BACKUP_ROUNDS, BACKUP_ROUNDS_MAX};

/// What a backup says of itself, which anybody may read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Head {
    pub version: u32,
    pub made_unix_s: u64,
    /// The version of skep that made it.
    pub by: String,
    /// Whose it is.
    pub node: String,
    pub node_name: String,
    /// None: whoever has the file has everything in it.
    pub sealed: Option<Sealed>,
}

/// How a passphrase opens it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sealed {
    salt: String,
    rounds: u32,
}

/// Writes pieces. [`Writer::finish`] makes it whole.
pub(super) struct Writer<W> {
    out: Hashing<W>,
    key: Option<Sealing>,
    piece: Vec<u8>,
}

struct Hashing<W> {
    out: W,
    digest: Sha256,
}

struct Sealing {
    key: LessSafeKey,
    head: [u8; 32],
    number: u64,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(
        out: W,
        head: &mut Head,
        passphrase: Option<&str>,
    ) -> Result<Self, BackupError> {
        let salt = match passphrase {
            None => None,
            Some(_) => {
                let mut salt = [0; 16];
                getrandom::fill(&mut salt).map_err(|error| BackupError::Own(error.to_string()))?;
                Some(salt)
            }
        };
        head.sealed = salt.map(|salt| Sealed {
            salt: STANDARD.encode(salt),
            rounds: BACKUP_ROUNDS,
        });
        let text = serde_json::to_vec(head).map_err(|error| BackupError::Own(error.to_string()))?;
        let mut out = Hashing {
            out,
            digest: Sha256::new(),
        };
        let key = sealing(head, &text, passphrase)?;
        out.write_all(MAGIC).map_err(BackupError::Write)?;
        out.write_all(&length(text.len()))
            .map_err(BackupError::Write)?;
        out.write_all(&text).map_err(BackupError::Write)?;
        Ok(Self {
            out,
            key,
            piece: Vec::with_capacity(BACKUP_PIECE_BYTES + TAG),
        })
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.put(true)?;
        let digest = self.out.digest.finalize();
        self.out.out.write_all(&digest)?;
        self.out.out.flush()?;
        Ok(self.out.out)
    }

    fn put(&mut self, last: bool) -> io::Result<()> {
        if let Some(key) = &mut self.key {
            let nonce = key.nonce(last);
            let aad = Aad::from(key.head);
            key.key
                .seal_in_place_append_tag(nonce, aad, &mut self.piece)
                .map_err(|_| io::Error::other("could not seal"))?;
        }
        let mut length = length(self.piece.len());
        if last {
            length[0] |= LAST;
        }
        self.out.write_all(&length)?;
        self.out.write_all(&self.piece)?;
        self.piece.clear();
        Ok(())
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() >= BACKUP_PIECE_BYTES {
            self.put(false)?;
        }
        let room = BACKUP_PIECE_BYTES - self.piece.len();
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.piece.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.digest.update(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads pieces of a file whose digest fits.
pub(super) struct Reader {
    file: io::BufReader<File>,
    key: Option<Sealing>,
    piece: Vec<u8>,
    at: usize,
    ended: bool,
}

/// Looks whether the whole file is what was written, and says what it is.
pub(super) fn check(file: &mut File) -> Result<Head, BackupError> {
    let bytes = file.metadata().map_err(BackupError::Read)?.len();
    file.seek(SeekFrom::Start(0)).map_err(BackupError::Read)?;
    let (head, _) = head(file)?;
    let Some(hashed) = bytes.checked_sub(DIGEST) else {
        return Err(BackupError::Torn);
    };
    file.seek(SeekFrom::Start(0)).map_err(BackupError::Read)?;
    let mut digest = Sha256::new();
    let mut part = (&mut *file).take(hashed);
    let mut buffer = vec![0; BACKUP_PIECE_BYTES];
    loop {
        let read = part.read(&mut buffer).map_err(BackupError::Read)?;
        if read == 0 {
            break;
        }
        digest.update(buffer.get(..read).unwrap_or_default());
    }
    let mut kept = [0; 32];
    file.read_exact(&mut kept).map_err(|_| BackupError::Torn)?;
    if <[u8; 32]>::from(digest.finalize()) != kept {
        return Err(BackupError::Torn);
    }
    Ok(head)
}

impl Reader {
    /// Of a file that [`check`] found whole.
    pub(super) fn new(mut file: File, passphrase: Option<&str>) -> Result<Self, BackupError> {
        file.seek(SeekFrom::Start(0)).map_err(BackupError::Read)?;
        let (head, text) = head(&mut file)?;
        if head.sealed.is_some() && passphrase.is_none() {
            return Err(BackupError::Locked);
        }
        Ok(Self {
            key: sealing(&head, &text, passphrase)?,
            file: io::BufReader::new(file),
            piece: Vec::new(),
            at: 0,
            ended: false,
        })
    }

    fn next(&mut self) -> io::Result<()> {
        let mut length = [0; 4];
        self.file.read_exact(&mut length)?;
        let last = length[0] & LAST != 0;
        length[0] &= !LAST;
        let length = u32::from_be_bytes(length) as usize;
        if length > BACKUP_PIECE_BYTES + TAG {
            return Err(io::Error::other("a piece is too long"));
        }
        self.piece.resize(length, 0);
        self.file.read_exact(&mut self.piece)?;
        if let Some(key) = &mut self.key {
            let nonce = key.nonce(last);
            let aad = Aad::from(key.head);
            let opened = key.key.open_in_place(nonce, aad, &mut self.piece);
            let length = opened
                .map_err(|_| {
                    io::Error::new(
                        io::ErrorKind::PermissionDenied,
                        "the passphrase does not open it",
                    )
                })?
                .len();
            self.piece.truncate(length);
        }
        self.at = 0;
        self.ended = last;
        Ok(())
    }
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            if self.ended {
                return Ok(0);
            }
            self.next()?;
        }
        let left = self.piece.get(self.at..).unwrap_or_default();
        let count = left.len().min(into.len());
        if let (Some(into), Some(left)) = (into.get_mut(..count), left.get(..count)) {
            into.copy_from_slice(left);
        }
        self.at += count;
        Ok(count)
    }
}

impl Sealing {
    /// No two pieces of one key have the same: the number, and whether more follow.
    fn nonce(&mut self, last: bool) -> Nonce {
        let mut nonce = [0; 12];
        let (number, flag) = nonce.split_at_mut(8);
        number.copy_from_slice(&self.number.to_be_bytes());
        flag.fill(u8::from(last));
        self.number += 1;
        Nonce::assume_unique_for_key(nonce)
    }
}

fn sealing(
    head: &Head,
    text: &[u8],
    passphrase: Option<&str>,
) -> Result<Option<Sealing>, BackupError> {
    let (Some(sealed), Some(passphrase)) = (&head.sealed, passphrase) else {
        return Ok(None);
    };
    let salt = STANDARD
        .decode(&sealed.salt)
        .map_err(|_| BackupError::Torn)?;
    let rounds = NonZeroU32::new(sealed.rounds).filter(|rounds| rounds.get() <= BACKUP_ROUNDS_MAX);
    let rounds = rounds.ok_or(BackupError::Torn)?;
    let mut key = Zeroizing::new([0; 32]);
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        rounds,
        &salt,
        passphrase.as_bytes(),
        &mut *key,
    );
    let key = UnboundKey::new(&CHACHA20_POLY1305, &*key)
        .map_err(|_| BackupError::Own("no key came of the passphrase".to_owned()))?;
    Ok(Some(Sealing {
        key: LessSafeKey::new(key),
        head: Sha256::digest(text).into(),
        number: 0,
    }))
}

fn head(file: &mut File) -> Result<(Head, Vec<u8>), BackupError> {
    let mut magic = [0; MAGIC.len()];
    if file.read_exact(&mut magic).is_err() || magic != *MAGIC {
        return Err(BackupError::Foreign);
    }
    let mut length = [0; 4];
    file.read_exact(&mut length)
        .map_err(|_| BackupError::Torn)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > BACKUP_HEAD_BYTES {
        return Err(BackupError::Torn);
    }
    let mut text = vec![0; length];
    file.read_exact(&mut text).map_err(|_| BackupError::Torn)?;
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let said: Version = serde_json::from_slice(&text).map_err(|_| BackupError::Torn)?;
    if said.version != VERSION {
        return Err(BackupError::Version(said.version));
    }
    let head = serde_json::from_slice(&text).map_err(|_| BackupError::Torn)?;
    Ok((head, text))
}

fn length(length: usize) -> [u8; 4] {
    // Pieces and heads are bounded far below.
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

/// Raised when the meaning of what is in a file changes.
pub(super) const VERSION: u32 = 1;
const MAGIC: &[u8; 12] = b"skep-backup\n";
const DIGEST: u64 = 32;
const TAG: usize = 16;
const LAST: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    fn write(content: &[u8], passphrase: Option<&str>) -> Vec<u8> {
        let mut head = Head {
            version: VERSION,
            made_unix_s: 1,
            by: "test".into(),
            node: "n".into(),
            node_name: "n".into(),
            sealed: None,
        };
        let mut writer = Writer::new(Vec::new(), &mut head, passphrase).unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap()
    }

    fn read(bytes: &[u8], passphrase: Option<&str>) -> Result<Vec<u8>, BackupError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        check(&mut file)?;
        let mut content = Vec::new();
        let mut reader = Reader::new(file, passphrase)?;
        reader
            .read_to_end(&mut content)
            .map_err(BackupError::Read)?;
        Ok(content)
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let content: Vec<u8> = (0..200_000_u32).map(|n| (n * 7) as u8).collect();
        for passphrase in [None, Some("correct horse")] {
            for length in [
                0,
                1,
                BACKUP_PIECE_BYTES,
                BACKUP_PIECE_BYTES + 1,
                content.len(),
            ] {
                let bytes = write(&content[..length], passphrase);
                assert_eq!(read(&bytes, passphrase).unwrap(), &content[..length]);
            }
            let bytes = write(&content, passphrase);
            // Cut anywhere, or changed anywhere, it is refused.
            for end in (0..bytes.len()).step_by(997).chain([bytes.len() - 1]) {
                assert!(read(&bytes[..end], passphrase).is_err(), "cut at {end}");
            }
            for at in (0..bytes.len()).step_by(9_973) {
                let mut bad = bytes.clone();
                bad[at] ^= 0x10;
                assert!(read(&bad, passphrase).is_err(), "changed at {at}");
            }
        }
    }

    #[test]
    fn a_passphrase_keeps_it_from_others() {
        let bytes = write(b"secret secret secret", Some("correct horse"));
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
        assert!(matches!(read(&bytes, None), Err(BackupError::Locked)));
        assert!(read(&bytes, Some("battery staple")).is_err());
        let open = write(b"secret", None);
        assert_eq!(read(&open, Some("not needed")).unwrap(), b"secret");
        assert!(matches!(
            read(b"GGUF and more", None),
            Err(BackupError::Foreign)
        ));
    }

    #[test]
    fn pieces_cannot_change_places() {
        let content: Vec<u8> = (0..3 * BACKUP_PIECE_BYTES).map(|n| (n / 7) as u8).collect();
        let bytes = write(&content, Some("pass"));
        let head = 16 + u32::from_be_bytes(bytes[12..16].try_into().unwrap()) as usize;
        let each = 4 + BACKUP_PIECE_BYTES + TAG;
        let mut swapped = bytes.clone();
        let (first, second) = swapped[head..head + 2 * each].split_at_mut(each);
        first.swap_with_slice(second);
        let end = swapped.len() - 32;
        let digest = Sha256::digest(&swapped[..end]);
        swapped[end..].copy_from_slice(&digest);
        assert!(read(&swapped, Some("pass")).is_err());
    }
}
