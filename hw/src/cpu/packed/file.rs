//! Packed weights in a file, so that the next start need not pack them.
//!
//! Decides what such a file looks like, when one is believed, and that one is whole before it has its
//! name. Refuses to know where it lies and which model it belongs to.
//!
//! Little-endian numbers: a head (magic, bytes of the model file, number of entries), an entry for each
//! weight (where it begins in the model file and in this one, its type, rows and columns), and from
//! the next multiple of 2 MiB on the strips of one weight after the other, as `packed.rs` lays them out.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use super::{Memory, Packed, size_of_strips};
use crate::cpu::mapping::FileBytes;
use crate::dtype::Dtype;
use crate::limits::MAX_WEIGHTS;
use crate::weight::Place;

/// The last two digits are the order of `packed.rs`: any change there is another number here.
const MAGIC: [u8; 8] = *b"skepPK01";

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
    for entry in entries.as_chunks::<ENTRY_BYTES>().0 {
        let (offset, start) = (number(entry, 0), number(entry, 8));
        let dtype = Dtype::ALL.get(short(entry, 16) as usize).copied();
        let (rows, columns) = (short(entry, 20), short(entry, 24));
        let dtype = dtype.filter(|dtype| dtype.is_quantised() && columns.is_multiple_of(32));
        let Some(dtype) = dtype else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let size = size_of_strips(dtype, rows, columns) as u64;
        let there = start.checked_add(size).is_some_and(|end| end <= bytes);
        if !there || !start.is_multiple_of(64) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let packed = Packed {
            memory: Arc::clone(&memory),
            start: start as usize,
            dtype,
            rows: rows as usize,
            blocks: columns as usize / 32,
        };
        all.push(((offset as usize, dtype, rows, columns), packed));
    }
    Ok(all)
}

/// Writes `weights` of a model file of `source_bytes` so that they have the name `path` once they are on
/// the disk.
///
/// # Errors
/// What the system says; nothing is left behind then.
pub(crate) fn write(path: &Path, source_bytes: u64, weights: &[(Place, Packed)]) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let part = folder.join(format!(".new-{}", std::process::id()));
    let written = write_whole(&part, source_bytes, weights)
        .and_then(|()| fs::rename(&part, path))
        .and_then(|()| File::open(folder)?.sync_all());
    if written.is_err() {
        // Whatever went wrong, the part is of no use; the error that is told is the first.
        let _ = fs::remove_file(&part);
    }
    written
}

fn write_whole(part: &Path, source_bytes: u64, weights: &[(Place, Packed)]) -> io::Result<()> {
    let mut to = BufWriter::with_capacity(1 << 20, File::create(part)?);
    to.write_all(&MAGIC)?;
    to.write_all(&source_bytes.to_le_bytes())?;
    to.write_all(&(weights.len() as u64).to_le_bytes())?;
    let head = (HEAD_BYTES + weights.len() * ENTRY_BYTES) as u64;
    let first = head.next_multiple_of(ALIGNMENT);
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
    file.sync_all()
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from(short(bytes, at)) | u64::from(short(bytes, at + 4)) << 32
}

fn short(bytes: &[u8], at: usize) -> u32 {
    let bytes = &bytes[at..at + 4];
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
