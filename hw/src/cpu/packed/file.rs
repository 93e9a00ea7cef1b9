//! Packed weights in a file, so that the next start need not pack them.
//!
//! Decides what such a file looks like, when one is believed, and that one is whole before it has its
//! name. Refuses to know where it lies and which model it belongs to.
//!
//! Little-endian numbers: a head (magic, bytes of the model file, number of entries), an entry for each
//! weight (where it begins in the model file and in this one, its type, rows and columns), and from
//! the next multiple of 2 MiB on the strips of one weight after the other, as `packed.rs` lays them out.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use super::{Memory, Packed, size_of_strips};
use crate::cpu::mapping::FileBytes;
use crate::dtype::Dtype;
use crate::limits::{MAX_WEIGHT_ROWS, MAX_WEIGHTS, MAX_WIDTH};
use crate::weight::Place;

/// The last two digits are the order of `packed.rs`: any change there is another number here.
const MAGIC: [u8; 8] = *b"skepPK02";

const HEAD_BYTES: usize = 24;

const ENTRY_BYTES: usize = 28;

/// Large pages begin at multiples of it.
const ALIGNMENT: u64 = 2 << 20;

/// What `path` holds for a model file of `source_bytes`.
///
/// # Errors
/// What the system says, `NotFound` if there is no file; `InvalidData` if it is damaged, of another
/// version or of another model.
pub(crate) fn read(path: &Path, source_bytes: u64) -> io::Result<Vec<(Place, Packed)>> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut head = [0; HEAD_BYTES];
    file.read_exact(&mut head)?;
    let count = number(&head, 16);
    if head.get(..8) != Some(&MAGIC[..])
        || number(&head, 8) != source_bytes
        || count > MAX_WEIGHTS as u64
    {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut entries = vec![0; count as usize * ENTRY_BYTES];
    file.read_exact(&mut entries)?;
    let memory = Arc::new(Memory::File(FileBytes::map(&file)?));
    let mut all = Vec::new();
    let mut expected = first_strip(count);
    for entry in entries.as_chunks::<ENTRY_BYTES>().0 {
        let (offset, start) = (number(entry, 0), number(entry, 8));
        let dtype = Dtype::ALL.get(short(entry, 16) as usize).copied();
        let (rows, columns) = (short(entry, 20), short(entry, 24));
        let sane = rows <= MAX_WEIGHT_ROWS && columns <= MAX_WIDTH;
        let dtype = dtype.filter(|dtype| sane && dtype.row_bytes(columns as usize).is_some());
        let Some(dtype) = dtype else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let size = size_of_strips(dtype, rows, columns) as u64;
        // Strips follow each other without a gap, so a type or a size that is not what was written is
        // seen by the next entry, or by the end.
        if start != expected || size > bytes.saturating_sub(start) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        expected = start + size;
        let packed = Packed {
            memory: Arc::clone(&memory),
            start: start as usize,
            dtype,
            rows: rows as usize,
            columns: columns as usize,
        };
        all.push(((offset as usize, dtype, rows, columns), packed));
    }
    if expected != bytes {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(all)
}

/// Writes `weights` of a model file of `source_bytes` so that they have the name `path` once they are on
/// the disk. Does nothing while another process does the same.
///
/// # Errors
/// What the system says; nothing is left behind then.
pub(crate) fn write(path: &Path, source_bytes: u64, weights: &[(Place, Packed)]) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut name = OsString::from(".new-");
    name.push(path.file_name().unwrap_or_default());
    let part = folder.join(name);
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&part)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(()),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Who had the lock before may have given the file its name by now.
    let ours = fs::metadata(&part).is_ok_and(|there| {
        let opened = file.metadata().map(|opened| (opened.dev(), opened.ino()));
        opened.is_ok_and(|opened| opened == (there.dev(), there.ino()))
    });
    if !ours {
        return Ok(());
    }
    let written = write_whole(file, source_bytes, weights).and_then(|file| {
        fs::rename(&part, path)?;
        drop(file);
        File::open(folder)?.sync_all()
    });
    if written.is_err() {
        // Whatever went wrong, the part is of no use; the error that is told is the first.
        let _ = fs::remove_file(&part);
    }
    written
}

/// Yields the file, which is locked until it is dropped.
fn write_whole(file: File, source_bytes: u64, weights: &[(Place, Packed)]) -> io::Result<File> {
    // One that was killed here may have left something.
    file.set_len(0)?;
    let mut to = BufWriter::with_capacity(1 << 20, file);
    to.write_all(&MAGIC)?;
    to.write_all(&source_bytes.to_le_bytes())?;
    to.write_all(&(weights.len() as u64).to_le_bytes())?;
    let first = first_strip(weights.len() as u64);
    let mut start = first;
    for ((offset, dtype, rows, columns), packed) in weights {
        let dtype = Dtype::ALL.iter().position(|other| other == dtype);
        to.write_all(&(*offset as u64).to_le_bytes())?;
        to.write_all(&start.to_le_bytes())?;
        to.write_all(&(dtype.unwrap_or_default() as u32).to_le_bytes())?;
        to.write_all(&rows.to_le_bytes())?;
        to.write_all(&columns.to_le_bytes())?;
        start += packed.bytes().len() as u64;
    }
    to.seek(SeekFrom::Start(first))?;
    for (_, packed) in weights {
        to.write_all(packed.bytes())?;
    }
    let file = to.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(file)
}

/// Where the strips of `count` weights begin.
const fn first_strip(count: u64) -> u64 {
    (HEAD_BYTES as u64 + count * ENTRY_BYTES as u64).next_multiple_of(ALIGNMENT)
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from(short(bytes, at)) | u64::from(short(bytes, at + 4)) << 32
}

fn short(bytes: &[u8], at: usize) -> u32 {
    let bytes = &bytes[at..at + 4];
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
