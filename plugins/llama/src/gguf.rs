//! Reads the header of a GGUF file: its typed metadata and where each tensor lies.
//!
//! The file is hostile until proven otherwise, and it may be tens of gigabytes long: only the header is read, in
//! chunks, and every count, length, type and offset is checked before anything is allocated or remembered for it.
//! What a key or a tensor *means* is for the model code to say; tensor data is never touched.
//!
//! Format: the GGUF specification in the ggml repository (`docs/gguf.md`), versions 2 and 3, little-endian.

use std::collections::BTreeMap;

mod cursor;
mod dtype;
mod error;
mod limits;
mod metadata;
mod tensor;
#[cfg(test)]
mod tests;
mod value;

pub use dtype::{DType, TensorType};
pub use error::{GgufError, Place};
pub use limits::*;
pub use metadata::Metadata;
pub use tensor::TensorInfo;
pub use value::{Array, FromValue, Strings, Value};

use cursor::Cursor;

/// Where the bytes of a model file come from.
pub trait Source {
    /// Length of the whole file in bytes.
    fn size_bytes(&self) -> u64;

    /// Exactly `length` bytes from `offset`. The parser only asks for ranges inside `size_bytes`.
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, ReadError>;
}

/// A source could not deliver bytes that should be there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReadError(pub String);

impl Source for [u8] {
    fn size_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, ReadError> {
        usize::try_from(offset)
            .ok()
            .and_then(|from| self.get(from..from.checked_add(length)?))
            .map(<[u8]>::to_vec)
            .ok_or_else(|| ReadError(format!("no {length} bytes at {offset}")))
    }
}

/// The header of one GGUF file, checked as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Gguf {
    /// Format version, 2 or 3.
    pub version: u32,
    /// Alignment of the tensor data in bytes, a power of two.
    pub alignment: u64,
    /// Absolute offset of the first byte after the header, aligned; tensor data starts here.
    pub data_offset: u64,
    /// Typed metadata by key.
    pub metadata: Metadata,
    /// Tensors by name. Ranges lie inside the file and do not overlap.
    pub tensors: BTreeMap<String, TensorInfo>,
}

impl Gguf {
    /// Reads and checks the header. Memory stays within a small multiple of the header's own length, which is at
    /// most [`HEADER_BYTES_MAX`].
    pub fn parse<S: Source + ?Sized>(source: &S) -> Result<Self, GgufError> {
        let mut cursor = Cursor::new(source);
        let version = read_version(&mut cursor)?;
        let tensor_count = read_count(&mut cursor, "tensors", TENSORS_MAX)?;
        let key_count = read_count(&mut cursor, "keys", KEYS_MAX)?;
        let metadata = Metadata::read(&mut cursor, key_count)?;
        let alignment = read_alignment(&metadata)?;
        let listed = tensor::read_list(&mut cursor, tensor_count)?;
        let data_offset = cursor.position().next_multiple_of(alignment);
        let tensors = tensor::place(listed, data_offset, alignment, cursor.size_bytes())?;
        Ok(Self {
            version,
            alignment,
            data_offset,
            metadata,
            tensors,
        })
    }

    /// The value of `key`, which must be there and be a `T`.
    pub fn required<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<T, GgufError> {
        self.metadata.required(key)
    }

    /// The value of `key` if it is there; an error if it is there and is not a `T`.
    pub fn optional<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<Option<T>, GgufError> {
        self.metadata.optional(key)
    }

    /// The tensor `name`, which must be there and have a type that kernels exist for.
    pub fn tensor(&self, name: &str) -> Result<&TensorInfo, GgufError> {
        let info = self
            .tensors
            .get(name)
            .ok_or_else(|| GgufError::MissingTensor(name.to_owned()))?;
        info.dtype(name)?;
        Ok(info)
    }
}

fn read_version<S: Source + ?Sized>(cursor: &mut Cursor<'_, S>) -> Result<u32, GgufError> {
    let magic = cursor.bytes::<4>()?;
    if &magic != b"GGUF" {
        return Err(GgufError::Magic(magic));
    }
    let version = u32::from_le_bytes(cursor.bytes()?);
    match version {
        2 | 3 => Ok(version),
        // A small version number read in the wrong byte order has nothing in its lower half.
        0x0001_0000.. if version & 0xffff == 0 => Err(GgufError::ByteSwapped),
        _ => Err(GgufError::Version(version)),
    }
}

fn read_count<S: Source + ?Sized>(
    cursor: &mut Cursor<'_, S>,
    what: &'static str,
    limit: u64,
) -> Result<u64, GgufError> {
    let found = u64::from_le_bytes(cursor.bytes()?);
    if found > limit {
        return Err(GgufError::Count { what, found, limit });
    }
    Ok(found)
}

fn read_alignment(metadata: &Metadata) -> Result<u64, GgufError> {
    let alignment = match metadata.get(ALIGNMENT_KEY) {
        None => ALIGNMENT_DEFAULT,
        Some(Value::U32(alignment)) => *alignment,
        Some(other) => {
            return Err(GgufError::WrongType {
                key: ALIGNMENT_KEY.to_owned(),
                found: other.describe(),
                expected: "u32",
            });
        }
    };
    if !alignment.is_power_of_two() || alignment > ALIGNMENT_MAX {
        return Err(GgufError::Alignment(alignment));
    }
    Ok(u64::from(alignment))
}

const ALIGNMENT_KEY: &str = "general.alignment";
/// The specification's default when the key is absent.
const ALIGNMENT_DEFAULT: u32 = 32;
