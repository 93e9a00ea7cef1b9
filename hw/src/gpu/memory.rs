//! Memory of a card.
//!
//! Decides that it goes with its owner, and that copies stay within it.

use std::sync::Arc;

use super::card::Card;
use super::driver::GpuError;

/// Some bytes of a card.
#[derive(Debug)]
pub(crate) struct Memory {
    card: Arc<Card>,
    address: u64,
    bytes: usize,
}

impl Memory {
    /// Some bytes of any content; at least one, so that it has an address.
    pub(crate) fn allocate(card: &Arc<Card>, bytes: usize) -> Result<Self, GpuError> {
        let address = card.driver().allocate(bytes.max(1))?;
        Ok(Self {
            card: Arc::clone(card),
            address,
            bytes,
        })
    }

    /// The same, of zeros.
    pub(crate) fn zeroed(card: &Arc<Card>, bytes: usize) -> Result<Self, GpuError> {
        let memory = Self::allocate(card, bytes)?;
        // SAFETY: as many bytes as were allocated.
        unsafe { card.driver().fill(memory.address, 0, bytes) }?;
        card.wait()?;
        Ok(memory)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Where byte `offset` is, to give to a kernel.
    pub(crate) fn at(&self, offset: usize) -> u64 {
        self.address + offset as u64
    }

    /// Copies `from` to byte `offset`, in the card's order of things; `from` may go once this returns.
    pub(crate) fn write(&self, offset: usize, from: &[u8]) -> Result<(), GpuError> {
        assert!(
            offset + from.len() <= self.bytes,
            "a copy beyond its memory"
        );
        // SAFETY: within the memory.
        unsafe { self.card.driver().copy_in(self.at(offset), from) }
    }

    /// Copies from byte `offset` to `to`, after all that the card was told to do before.
    pub(crate) fn read(&self, offset: usize, to: &mut [f32]) -> Result<(), GpuError> {
        let bytes = size_of_val(to);
        assert!(offset + bytes <= self.bytes, "a copy beyond its memory");
        // SAFETY: the same memory, and every pattern of bits is a float.
        let to = unsafe { std::slice::from_raw_parts_mut(to.as_mut_ptr().cast(), bytes) };
        // SAFETY: within the memory.
        unsafe { self.card.driver().copy_out(to, self.at(offset)) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it was allocated here, and nobody has its address any more.
        unsafe { self.card.driver().free(self.address) }
    }
}
