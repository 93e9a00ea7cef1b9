//! Weights of random bits, mapped out of a file as a model's are.

use std::error::Error;
use std::io::{BufWriter, Write as _};

use skep_hw::{Dtype, Region, Weight};

/// `count` weights of `rows` x `columns` in one file.
pub(crate) fn random(
    dtype: Dtype,
    rows: u32,
    columns: u32,
    count: usize,
) -> Result<Vec<Weight>, Box<dyn Error>> {
    let row_bytes = dtype.row_bytes(columns as usize).ok_or("no whole blocks")?;
    let bytes = row_bytes * rows as usize;
    let mut file = BufWriter::with_capacity(1 << 20, tempfile::tempfile()?);
    let mut state = 0x1234_5678_9abc_def1_u64;
    let size = dtype.block_bytes();
    let mut block = vec![0_u8; size * (4096 / size).max(1)];
    let mut left = bytes * count;
    while left > 0 {
        for byte in &mut block {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = (state >> 32) as u8;
        }
        for one in block.chunks_mut(size) {
            scale(dtype, one);
        }
        let part = block.get(..left.min(block.len())).unwrap_or_default();
        file.write_all(part)?;
        left -= part.len();
    }
    let file = file.into_inner()?;
    let region = Region::map(&file)?;
    (0..count)
        .map(|i| {
            let offset = (i * bytes) as u64;
            Ok(Weight::from_region(&region, offset, dtype, rows, columns)?)
        })
        .collect()
}

/// Small scales, so that a deep chain of products stays finite.
fn scale(dtype: Dtype, block: &mut [u8]) {
    let half = |block: &mut [u8], at: usize, value: f32| {
        let bytes = half::f16::from_f32(value).to_le_bytes();
        if let Some(to) = block.get_mut(at..at + 2) {
            to.copy_from_slice(&bytes);
        }
    };
    match dtype {
        Dtype::F32 => block.copy_from_slice(&small(block).to_le_bytes()),
        Dtype::F16 => block.copy_from_slice(&half::f16::from_f32(small(block)).to_le_bytes()),
        Dtype::Bf16 => block.copy_from_slice(&half::bf16::from_f32(small(block)).to_le_bytes()),
        Dtype::Q8_0 => half(block, 0, 2e-4),
        Dtype::Q6K => half(block, 208, 1e-5),
        Dtype::Q4_0 | Dtype::Q5_0 => half(block, 0, 2e-3),
        Dtype::Q4_1 | Dtype::Q5_1 => {
            half(block, 0, 2e-3);
            half(block, 2, -0.015);
        }
        Dtype::Q4K | Dtype::Q5K => {
            half(block, 0, 5e-5);
            half(block, 2, 3e-4);
        }
    }
}

fn small(block: &[u8]) -> f32 {
    let byte = block.first().copied().unwrap_or(0);
    (f32::from(byte) - 127.5) * 2e-4
}
