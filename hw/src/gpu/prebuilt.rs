//! Kernels as the program carries them.
//!
//! Decides that only what a card takes is unpacked, when it is taken.

use std::io::Read as _;

use ruzstd::decoding::StreamingDecoder;

use super::driver::GpuError;

/// What `cargo xtask kernels` packed, with a zero behind it, which ends a text.
pub(crate) fn unpacked(packed: &[u8]) -> Result<Vec<u8>, GpuError> {
    let mut bytes = Vec::new();
    StreamingDecoder::new(packed)
        .map_err(|error| GpuError::Prebuilt(error.to_string()))?
        .read_to_end(&mut bytes)
        .map_err(|error| GpuError::Prebuilt(error.to_string()))?;
    bytes.push(0);
    Ok(bytes)
}
