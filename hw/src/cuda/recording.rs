//! Launches that were recorded once and start together.
//!
//! Decides that what goes wrong while recording leaves the stream as it was. A launch costs the processor microseconds, a
//! recording of hundreds about as much as one.

use std::sync::Arc;

use super::card::{Card, Raw};
use super::driver::CudaError;

/// The card's launches of one kind of batch.
#[derive(Debug)]
pub(super) struct Recording {
    card: Arc<Card>,
    recording: Raw,
}

/// Only this thread's calls are recorded, and only they are held to what may be.
const THREAD_LOCAL: i32 = 1;

impl Recording {
    /// Records what `launches` starts, none of which runs; none if the driver cannot record.
    pub(super) fn of(
        card: &Arc<Card>,
        launches: impl FnOnce() -> Result<(), CudaError>,
    ) -> Result<Option<Self>, CudaError> {
        let driver = card.enter()?;
        // SAFETY: a stream of this context.
        match unsafe { driver.begin_capture(card.stream(), THREAD_LOCAL) } {
            Err(CudaError::Missing(_)) => return Ok(None),
            begun => begun?,
        }
        let launched = launches();
        let mut graph = Raw(std::ptr::null_mut());
        // SAFETY: a stream that records, and a place to write to.
        let mut end = || unsafe { driver.end_capture(card.stream(), &raw mut graph.0) };
        let ended = end();
        if ended.is_err() {
            // A stream that still records can do nothing else.
            let _ = end();
        }
        let mut made = Self {
            card: Arc::clone(card),
            recording: Raw(std::ptr::null_mut()),
        };
        let instantiated = launched.and(ended).and_then(|()| {
            // SAFETY: a place to write to, and a graph that was made just now.
            unsafe { driver.instantiate(&raw mut made.recording.0, graph.0, 0) }
        });
        if !graph.0.is_null() {
            // SAFETY: what was made of it does not need it.
            let _ = unsafe { driver.destroy_graph(graph.0) };
        }
        instantiated.map(|()| Some(made))
    }

    /// Starts all of it.
    ///
    /// # Safety
    /// Everything that the launches were given is still there and as large.
    pub(super) unsafe fn start(&self) -> Result<(), CudaError> {
        let driver = self.card.enter()?;
        // SAFETY: a recording and a stream of this context; the rest is the caller's.
        unsafe { driver.start(self.recording.0, self.card.stream()) }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if let (false, Ok(driver)) = (self.recording.0.is_null(), self.card.enter()) {
            // SAFETY: nobody starts it any more; the driver keeps what still runs until it is done.
            let _ = unsafe { driver.destroy_recording(self.recording.0) };
        }
    }
}
