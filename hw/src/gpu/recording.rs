//! Launches that were recorded once and start together.
//!
//! Decides that what goes wrong while recording leaves the card as it was. A launch costs the processor microseconds, a
//! recording of hundreds about as much as one.

use std::sync::Arc;

use super::card::Card;
use super::driver::{GpuError, Recorded};

/// The card's launches of one kind of batch.
#[derive(Debug)]
pub(super) struct Recording {
    card: Arc<Card>,
    recorded: Recorded,
}

impl Recording {
    /// Records what `launches` starts, none of which runs; none if the driver cannot record.
    pub(super) fn of(
        card: &Arc<Card>,
        launches: impl FnOnce() -> Result<(), GpuError>,
    ) -> Result<Option<Self>, GpuError> {
        if !card.driver().begin_recording()? {
            return Ok(None);
        }
        let launched = launches();
        let made = card.driver().end_recording().map(|recorded| Self {
            card: Arc::clone(card),
            recorded,
        });
        launched.and(made).map(Some)
    }

    /// Starts all of it.
    ///
    /// # Safety
    /// Everything that the launches were given is still there and as large.
    pub(super) unsafe fn start(&self) -> Result<(), GpuError> {
        // SAFETY: it was recorded by this card; the rest is the caller's.
        unsafe { self.card.driver().start(self.recorded) }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // SAFETY: it was recorded by this card, and nobody starts it any more.
        unsafe { self.card.driver().forget(self.recorded) }
    }
}
