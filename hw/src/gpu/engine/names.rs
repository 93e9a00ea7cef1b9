//! Kernels by type, and types by number, as `kernels/portable/blocks.h` has them.

use crate::dtype::Dtype;

pub(super) fn number(dtype: Dtype) -> u64 {
    dtype as u64
}

pub(super) fn embed(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "embed_F32",
        Dtype::F16 => "embed_F16",
        Dtype::Bf16 => "embed_BF16",
        Dtype::Q8_0 => "embed_Q8_0",
        Dtype::Q4_0 => "embed_Q4_0",
        Dtype::Q4_1 => "embed_Q4_1",
        Dtype::Q5_0 => "embed_Q5_0",
        Dtype::Q5_1 => "embed_Q5_1",
        Dtype::Q4K => "embed_Q4_K",
        Dtype::Q5K => "embed_Q5_K",
        Dtype::Q6K => "embed_Q6_K",
    }
}

pub(super) fn matmul(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "matmul_F32",
        Dtype::F16 => "matmul_F16",
        Dtype::Bf16 => "matmul_BF16",
        Dtype::Q8_0 => "matmul_Q8_0",
        Dtype::Q4_0 => "matmul_Q4_0",
        Dtype::Q4_1 => "matmul_Q4_1",
        Dtype::Q5_0 => "matmul_Q5_0",
        Dtype::Q5_1 => "matmul_Q5_1",
        Dtype::Q4K => "matmul_Q4_K",
        Dtype::Q5K => "matmul_Q5_K",
        Dtype::Q6K => "matmul_Q6_K",
    }
}

/// The kernel for many rows; none for floats.
pub(super) fn tile(dtype: Dtype) -> Option<&'static str> {
    Some(match dtype {
        Dtype::F32 | Dtype::F16 | Dtype::Bf16 => return None,
        Dtype::Q8_0 => "tile_Q8_0",
        Dtype::Q4_0 => "tile_Q4_0",
        Dtype::Q4_1 => "tile_Q4_1",
        Dtype::Q5_0 => "tile_Q5_0",
        Dtype::Q5_1 => "tile_Q5_1",
        Dtype::Q4K => "tile_Q4_K",
        Dtype::Q5K => "tile_Q5_K",
        Dtype::Q6K => "tile_Q6_K",
    })
}
