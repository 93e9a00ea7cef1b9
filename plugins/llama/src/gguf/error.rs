//! Why a GGUF file is refused, or lacks what a model needs: one case per cause, each naming the culprit.

use std::fmt;

use super::{DType, ReadError, TensorType, limits::*};

/// Why a GGUF file cannot be used. Nothing of the file is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GgufError {
    #[error("not a GGUF file: it starts with `{}` instead of `GGUF`", .0.escape_ascii())]
    Magic([u8; 4]),
    #[error(
        "GGUF version {0} is not supported (2 and 3 are); convert the model again with a current converter"
    )]
    Version(u32),
    #[error("the file is big-endian, which is not supported; convert the model to little-endian")]
    ByteSwapped,
    #[error("the file declares {found} {what}, more than the {limit} allowed")]
    Count {
        what: &'static str,
        found: u64,
        limit: u64,
    },
    #[error("the file is cut off: it ends at byte {size} inside {place}; fetch it again")]
    Truncated { place: Place, size: u64 },
    #[error("the header is longer than the {HEADER_BYTES_MAX} bytes allowed, at {0}")]
    HeaderTooLong(Place),
    #[error("could not read the file at byte {at}, in {place}")]
    Read {
        place: Place,
        at: u64,
        #[source]
        source: ReadError,
    },
    #[error("{place} has a text of {found} bytes, more than the {limit} allowed")]
    TextTooLong {
        place: Place,
        found: u64,
        limit: u64,
    },
    #[error("{place} has a text that {why}")]
    Text { place: Place, why: &'static str },
    #[error("key `{0}` appears twice")]
    DuplicateKey(String),
    #[error("key `{key}` has unknown value type {found}")]
    ValueType { key: String, found: u32 },
    #[error("key `{0}` is an array of arrays, which is not supported")]
    NestedArray(String),
    #[error(
        "key `{key}` declares an array of {count} elements, more than the rest of the file could hold"
    )]
    ArrayTooLong { key: String, count: u64 },
    #[error("key `{key}` has a boolean of value {found}, expected 0 or 1")]
    Bool { key: String, found: u8 },
    #[error("alignment {0} is not a power of two of at most {ALIGNMENT_MAX}")]
    Alignment(u32),
    #[error("tensor `{name}` has {found} dimensions, more than the {DIMS_MAX} allowed")]
    Dims { name: String, found: u32 },
    #[error("tensor `{name}` has a negative dimension: {found}")]
    NegativeDim { name: String, found: i64 },
    #[error("tensor `{name}` has more elements than can be counted: {shape:?}")]
    TooManyElements { name: String, shape: Vec<u64> },
    #[error("tensor `{name}` has more bytes than can be counted: {elements} elements of {kind}")]
    TooManyBytes {
        name: String,
        elements: u64,
        kind: TensorType,
    },
    #[error(
        "tensor `{name}` has rows of {row} elements, not a multiple of the {block} in a block of {kind}"
    )]
    PartialBlock {
        name: String,
        row: u64,
        block: u64,
        kind: TensorType,
    },
    #[error("tensor `{name}` has unknown type {found}")]
    UnknownTensorType { name: String, found: u32 },
    #[error("tensor `{0}` appears twice")]
    DuplicateTensor(String),
    #[error("tensor `{name}` is at offset {offset}, not a multiple of the alignment {alignment}")]
    Misaligned {
        name: String,
        offset: u64,
        alignment: u64,
    },
    #[error("tensor `{name}` is at offset {offset}, which is beyond any file")]
    Offset { name: String, offset: u64 },
    #[error(
        "tensor `{name}` needs bytes {start} to {end}, but the file ends at {size}; fetch it again"
    )]
    PastEnd {
        name: String,
        start: u64,
        end: u64,
        size: u64,
    },
    #[error("tensors `{first}` and `{second}` overlap")]
    Overlap { first: String, second: String },
    #[error("missing key `{0}`")]
    MissingKey(String),
    #[error("key `{key}` is {found}, expected {expected}")]
    WrongType {
        key: String,
        found: String,
        expected: &'static str,
    },
    #[error("missing tensor `{0}`")]
    MissingTensor(String),
    #[error(
        "tensor `{name}` has unsupported type {kind}; supported are {}",
        DType::NAMES
    )]
    UnsupportedType { name: String, kind: TensorType },
}

/// The part of the header that was being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Magic, version and counts.
    Start,
    /// The name of the key with this number, from 0.
    Key(u64),
    /// The value of this key.
    Value(String),
    /// The name of the tensor with this number, from 0.
    TensorName(u64),
    /// The shape, type or offset of this tensor.
    Tensor(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => write!(f, "the file's first fields"),
            Self::Key(index) => write!(f, "the name of key {index}"),
            Self::Value(key) => write!(f, "the value of key `{key}`"),
            Self::TensorName(index) => write!(f, "the name of tensor {index}"),
            Self::Tensor(name) => write!(f, "the description of tensor `{name}`"),
        }
    }
}
