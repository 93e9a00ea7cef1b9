//! How a weight's blocks lie on a card.
//!
//! Decides that what kernels read together lies together: the quants of all blocks of a weight, each a multiple of 16 bytes,
//! then what else the blocks have. So a group of threads reads neighbouring words of 16 bytes. The sum of the bytes stays.

use crate::dtype::Dtype;

/// A field of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Where it begins in a block.
    pub(super) first: usize,
    pub(super) bytes: usize,
}

/// The fields of a type's blocks in the order of their planes; none if blocks stay as they are.
pub(super) fn fields(dtype: Dtype) -> &'static [Field] {
    const fn field(first: usize, bytes: usize) -> Field {
        Field { first, bytes }
    }
    match dtype {
        Dtype::Q8_0 => const { &[field(2, 32), field(0, 2)] },
        Dtype::Q4_0 => const { &[field(2, 16), field(0, 2)] },
        Dtype::Q4_1 => const { &[field(4, 16), field(0, 4)] },
        Dtype::Q5_0 => const { &[field(6, 16), field(2, 4), field(0, 2)] },
        Dtype::Q5_1 => const { &[field(8, 16), field(4, 4), field(0, 4)] },
        Dtype::Q6K => const { &[field(0, 128), field(128, 64), field(192, 16), field(208, 2)] },
        // Their blocks are multiples of 16 bytes already.
        Dtype::Q4K | Dtype::Q5K | Dtype::F32 | Dtype::F16 | Dtype::Bf16 => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_the_whole_block_once() {
        for dtype in Dtype::ALL {
            let mut fields = fields(dtype).to_vec();
            fields.sort_by_key(|field| field.first);
            let end = fields.iter().fold(0, |end, field| {
                assert_eq!(field.first, end, "{}", dtype.name());
                end + field.bytes
            });
            if !fields.is_empty() {
                assert_eq!(end, dtype.block_bytes(), "{}", dtype.name());
            } else if dtype.is_quantised() {
                assert_eq!(dtype.block_bytes() % 16, 0, "{}", dtype.name());
            }
        }
    }
}
