//! Memory of a card.
//!
//! Decides that it goes with its owner, and that copies stay within it.

use std::sync::Arc;

use super::card::Card;
use super::driver::{Address, CudaError};

/// Some bytes of a card.
#[derive(Debug)]
pub(crate) struct Memory {
    card: Arc<Card>,
    address: Address,
    bytes: usize,
}

impl Memory {
    /// Some bytes of any content; at least one, so that it has an address.
    pub(crate) fn allocate(card: &Arc<Card>, bytes: usize) -> Result<Self, CudaError> {
        let mut address = 0;
        let driver = card.enter()?;
        // SAFETY: a place to write to.
        unsafe { driver.allocate(&raw mut address, bytes.max(1)) }?;
        Ok(Self {
            card: Arc::clone(card),
            address,
            bytes,
        })
    }

    /// The same, of zeros.
    pub(crate) fn zeroed(card: &Arc<Card>, bytes: usize) -> Result<Self, CudaError> {
        let memory = Self::allocate(card, bytes)?;
        let driver = card.enter()?;
        // SAFETY: as many bytes as were allocated.
        unsafe { driver.fill(memory.address, 0, bytes, card.stream()) }?;
        card.wait()?;
        Ok(memory)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Where byte `offset` is, to give to a kernel.
    pub(super) fn at(&self, offset: usize) -> u64 {
        self.address + offset as u64
    }

    /// Copies `from` to byte `offset`, in the card's order of things; `from` may go once this returns.
    pub(super) fn write(&self, offset: usize, from: &[u8]) -> Result<(), CudaError> {
        assert!(
            offset + from.len() <= self.bytes,
            "a copy beyond its memory"
        );
        let driver = self.card.enter()?;
        // SAFETY: within the memory; the driver takes pageable bytes over before it returns.
        unsafe {
            driver.copy_in(
                self.at(offset),
                from.as_ptr().cast(),
                from.len(),
                self.card.stream(),
            )
        }
    }

    /// Copies from byte `offset` to `to`, after all that the card was told to do before.
    pub(super) fn read(&self, offset: usize, to: &mut [f32]) -> Result<(), CudaError> {
        let bytes = size_of_val(to);
        assert!(offset + bytes <= self.bytes, "a copy beyond its memory");
        let driver = self.card.enter()?;
        // SAFETY: within the memory, and as much room as is copied; the wait ends before `to` may go.
        unsafe {
            driver.copy_out(
                to.as_mut_ptr().cast(),
                self.at(offset),
                bytes,
                self.card.stream(),
            )
        }?;
        self.card.wait()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // A kernel may still be at it.
        let _ = self.card.wait();
        if let Ok(driver) = self.card.enter() {
            // SAFETY: it was allocated here, and nobody has its address any more.
            let _ = unsafe { driver.free(self.address) };
        }
    }
}
