//! One card in use, and the weights that it holds.
//!
//! Decides that plans which have a weight in common share its copy. Refuses to know whose card it is.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::driver::{Driver, GpuError};
use super::memory::Memory;
use super::planes::{self, Field};
use crate::weight::Weight;

/// Bytes of weights that wait on a card to be put into planes.
const STAGE_BYTES: usize = 64 << 20;
/// Threads of a block that does it.
const THREADS: u32 = 256;

/// A card in use.
#[derive(Debug)]
pub(crate) struct Card {
    driver: Box<dyn Driver>,
    weights: Mutex<HashMap<u64, (Weight, Weak<Memory>)>>,
}

impl Card {
    /// A card that a back end has opened.
    pub(crate) fn new(driver: impl Driver + 'static) -> Arc<Self> {
        Arc::new(Self {
            driver: Box::new(driver),
            weights: Mutex::default(),
        })
    }

    /// What the driver calls it.
    pub(crate) fn name(&self) -> &str {
        self.driver.name()
    }

    /// Whether the processor does its work.
    pub(crate) fn is_processor(&self) -> bool {
        self.driver.is_processor()
    }

    /// Its name that stays the same over restarts, if the driver has one.
    pub(crate) fn id(&self) -> Option<String> {
        self.driver.id()
    }

    /// Bytes of its memory that nobody has.
    pub(crate) fn free_bytes(&self) -> Result<u64, GpuError> {
        self.driver.free_bytes()
    }

    /// Waits until it has done everything.
    pub(crate) fn wait(&self) -> Result<(), GpuError> {
        self.driver.wait()
    }

    pub(crate) fn driver(&self) -> &dyn Driver {
        &*self.driver
    }

    /// Whether it has the bytes of a weight.
    pub(super) fn holds(&self, weight: &Weight) -> bool {
        let weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        weights.get(&key_of(weight)).is_some_and(|(known, memory)| {
            known.identity() == weight.identity() && memory.strong_count() > 0
        })
    }

    /// Starts `blocks` blocks of `threads` threads; none if a count is 0.
    ///
    /// # Safety
    /// As for [`Driver::launch`].
    pub(crate) unsafe fn launch(
        &self,
        kernel: &'static str,
        blocks: [usize; 3],
        threads: u32,
        parameters: &mut [u64],
    ) -> Result<(), GpuError> {
        if blocks.contains(&0) {
            return Ok(());
        }
        let blocks = blocks.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        // SAFETY: the caller's; a grid that is too large is refused.
        unsafe { self.driver.launch(kernel, blocks, threads, parameters) }
    }

    /// Bytes that bringing a weight to the card takes beside its own.
    pub(super) fn stage_bytes(&self, weight: &Weight) -> usize {
        if planes::fields(weight.dtype()).is_empty() || !self.driver.has_planes() {
            return 0;
        }
        let block_bytes = weight.dtype().block_bytes();
        (STAGE_BYTES / block_bytes * block_bytes).min(weight.data().len())
    }

    /// Brings blocks to the card piece by piece, and there into planes.
    fn spread(
        self: &Arc<Self>,
        weight: &Weight,
        fields: &[Field],
        memory: &Memory,
    ) -> Result<(), GpuError> {
        let block_bytes = weight.dtype().block_bytes();
        let all = weight.data().len() / block_bytes;
        let at_once = self.stage_bytes(weight).max(block_bytes);
        let stage = Memory::allocate(self, at_once)?;
        let mut place = 0;
        for piece in weight.data().chunks(at_once) {
            stage.write(0, piece)?;
            let blocks = piece.len() / block_bytes;
            let mut plane = 0;
            for field in fields {
                let words = field.bytes / 2;
                let mut parameters = [
                    memory.at(plane * all),
                    stage.at(0),
                    place as u64,
                    blocks as u64,
                    (block_bytes / 2) as u64,
                    (field.first / 2) as u64,
                    words as u64,
                ];
                let grid = [(blocks * words).div_ceil(THREADS as usize), 1, 1];
                // SAFETY: the parameters are those of `spread.cu`; the planes of all blocks have as many bytes as the
                // weight, and the piece as many blocks as are said.
                unsafe { self.launch("spread", grid, THREADS, &mut parameters) }?;
                plane += field.bytes;
            }
            place += blocks;
        }
        // The stage goes once the card is done with it.
        Ok(())
    }

    /// The bytes of a weight in its memory, copied there if they are not yet.
    pub(crate) fn weight(self: &Arc<Self>, weight: &Weight) -> Result<Arc<Memory>, GpuError> {
        let key = key_of(weight);
        let mut weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        weights.retain(|_, (_, memory)| memory.strong_count() > 0);
        let known = weights.get(&key);
        let same = known.filter(|(known, _)| known.identity() == weight.identity());
        if let Some(memory) = same.and_then(|(_, memory)| memory.upgrade()) {
            return Ok(memory);
        }
        let memory = Memory::allocate(self, weight.data().len())?;
        let fields = planes::fields(weight.dtype());
        if fields.is_empty() || !self.driver.has_planes() {
            memory.write(0, weight.data())?;
        } else {
            self.spread(weight, fields, &memory)?;
        }
        self.wait()?;
        let memory = Arc::new(memory);
        weights.insert(key, (weight.clone(), Arc::downgrade(&memory)));
        Ok(memory)
    }
}

fn key_of(weight: &Weight) -> u64 {
    let mut hasher = DefaultHasher::new();
    weight.identity().hash(&mut hasher);
    hasher.finish()
}
