//! One card in use, and the weights that it holds.
//!
//! Decides that plans which have a weight in common share its copy. Refuses to know whose card it is.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::driver::{Driver, GpuError};
use super::memory::Memory;
use crate::weight::Weight;

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

    /// The bytes of a weight in its memory, copied there if they are not yet.
    pub(crate) fn weight(self: &Arc<Self>, weight: &Weight) -> Result<Arc<Memory>, GpuError> {
        let mut hasher = DefaultHasher::new();
        weight.identity().hash(&mut hasher);
        let key = hasher.finish();
        let mut weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        weights.retain(|_, (_, memory)| memory.strong_count() > 0);
        let known = weights.get(&key);
        let same = known.filter(|(known, _)| known.identity() == weight.identity());
        if let Some(memory) = same.and_then(|(_, memory)| memory.upgrade()) {
            return Ok(memory);
        }
        let memory = Memory::allocate(self, weight.data().len())?;
        memory.write(0, weight.data())?;
        self.wait()?;
        let memory = Arc::new(memory);
        weights.insert(key, (weight.clone(), Arc::downgrade(&memory)));
        Ok(memory)
    }
}
