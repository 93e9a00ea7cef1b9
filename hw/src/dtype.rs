//! How numbers are stored: plain types and the quantised blocks of the GGUF format.
//!
//! Decides sizes and alignment. Refuses to know what the numbers mean; what a block holds is in
//! `reference/blocks.rs`.

/// A storage type. The quantised ones are blocks as GGUF stores them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of an f32.
    Bf16,
    /// 32 signed bytes and one scale.
    Q8_0,
    /// 32 numbers of 4 bits around zero and one scale.
    Q4_0,
    /// 32 numbers of 4 bits, one scale and one minimum.
    Q4_1,
    /// 32 numbers of 5 bits around zero and one scale.
    Q5_0,
    /// 32 numbers of 5 bits, one scale and one minimum.
    Q5_1,
    /// 256 numbers of 4 bits; each 32 with a scale and a minimum of 6 bits.
    Q4K,
    /// 256 numbers of 5 bits; each 32 with a scale and a minimum of 6 bits.
    Q5K,
    /// 256 numbers of 6 bits; each 16 with a scale of 8 bits.
    Q6K,
}

impl Dtype {
    /// Every type, in the order of the contract.
    pub const ALL: [Self; 11] = [
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::Q8_0,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    /// Numbers in one block; 1 for the plain types.
    #[must_use]
    pub const fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q8_0 | Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 => 32,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
        }
    }

    /// Bytes of one block.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q8_0 => 34,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// Bytes of a row of `columns` numbers; `None` unless that is a whole number of blocks.
    #[must_use]
    pub const fn row_bytes(self, columns: usize) -> Option<usize> {
        if columns.is_multiple_of(self.block_len()) {
            (columns / self.block_len()).checked_mul(self.block_bytes())
        } else {
            None
        }
    }

    /// What the offset of a weight in its file must be a multiple of.
    #[must_use]
    pub const fn alignment(self) -> u64 {
        match self {
            Self::F32 => 4,
            _ => 2,
        }
    }

    /// Whether matmul rounds activations to bytes for this type.
    #[must_use]
    pub const fn is_quantised(self) -> bool {
        !matches!(self, Self::F32 | Self::F16 | Self::Bf16)
    }

    /// The name as the contract spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8-0",
            Self::Q4_0 => "q4-0",
            Self::Q4_1 => "q4-1",
            Self::Q5_0 => "q5-0",
            Self::Q5_1 => "q5-1",
            Self::Q4K => "q4-k",
            Self::Q5K => "q5-k",
            Self::Q6K => "q6-k",
        }
    }
}
