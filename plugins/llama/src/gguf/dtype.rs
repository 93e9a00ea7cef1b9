//! The element types a tensor can have: all that ggml numbers, and the ones that kernels exist for. Knows their
//! block sizes; how a block is decoded is the kernels' business.
//!
//! Numbers and sizes: `enum ggml_type` and the block structures of the ggml repository.

use std::fmt;

/// A type as the file numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorType(&'static Row);

/// A type that kernels exist for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    F32,
    F16,
    BF16,
    Q8_0,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q4K,
    Q5K,
    Q6K,
}

impl TensorType {
    /// The type with ggml's number `code`; `None` for numbers never given or withdrawn.
    pub fn from_code(code: u32) -> Option<Self> {
        TABLE.iter().find(|row| row.code == code).map(Self)
    }

    /// ggml's number.
    pub fn code(self) -> u32 {
        self.0.code
    }

    /// ggml's name, such as `Q4_K`.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Elements in one block; rows are whole blocks.
    pub fn block_elements(self) -> u64 {
        self.0.block_elements
    }

    /// Bytes of one block.
    pub fn block_bytes(self) -> u64 {
        self.0.block_bytes
    }

    /// The same type if kernels exist for it.
    pub fn supported(self) -> Option<DType> {
        self.0.dtype
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl DType {
    /// The names of all variants, for messages.
    pub(super) const NAMES: &'static str =
        "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K";
}

#[derive(Debug, PartialEq, Eq)]
struct Row {
    code: u32,
    name: &'static str,
    block_elements: u64,
    block_bytes: u64,
    dtype: Option<DType>,
}

const fn known(code: u32, name: &'static str, block_elements: u64, block_bytes: u64) -> Row {
    Row {
        code,
        name,
        block_elements,
        block_bytes,
        dtype: None,
    }
}

const fn usable(code: u32, name: &'static str, elements: u64, bytes: u64, dtype: DType) -> Row {
    Row {
        code,
        name,
        block_elements: elements,
        block_bytes: bytes,
        dtype: Some(dtype),
    }
}

/// Withdrawn numbers are left out: 4, 5 (Q4_2, Q4_3), 31 to 33 and 36 to 38 (repacked Q4_0 and IQ4_NL).
static TABLE: [Row; 34] = [
    usable(0, "F32", 1, 4, DType::F32),
    usable(1, "F16", 1, 2, DType::F16),
    usable(2, "Q4_0", 32, 18, DType::Q4_0),
    usable(3, "Q4_1", 32, 20, DType::Q4_1),
    usable(6, "Q5_0", 32, 22, DType::Q5_0),
    usable(7, "Q5_1", 32, 24, DType::Q5_1),
    usable(8, "Q8_0", 32, 34, DType::Q8_0),
    known(9, "Q8_1", 32, 36),
    known(10, "Q2_K", 256, 84),
    known(11, "Q3_K", 256, 110),
    usable(12, "Q4_K", 256, 144, DType::Q4K),
    usable(13, "Q5_K", 256, 176, DType::Q5K),
    usable(14, "Q6_K", 256, 210, DType::Q6K),
    known(15, "Q8_K", 256, 292),
    known(16, "IQ2_XXS", 256, 66),
    known(17, "IQ2_XS", 256, 74),
    known(18, "IQ3_XXS", 256, 98),
    known(19, "IQ1_S", 256, 50),
    known(20, "IQ4_NL", 32, 18),
    known(21, "IQ3_S", 256, 110),
    known(22, "IQ2_S", 256, 82),
    known(23, "IQ4_XS", 256, 136),
    known(24, "I8", 1, 1),
    known(25, "I16", 1, 2),
    known(26, "I32", 1, 4),
    known(27, "I64", 1, 8),
    known(28, "F64", 1, 8),
    known(29, "IQ1_M", 256, 56),
    usable(30, "BF16", 1, 2, DType::BF16),
    known(34, "TQ1_0", 256, 54),
    known(35, "TQ2_0", 256, 66),
    known(39, "MXFP4", 32, 17),
    known(40, "NVFP4", 64, 36),
    known(41, "Q1_0", 128, 18),
];
