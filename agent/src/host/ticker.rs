//! The clock behind deadlines: a thread that moves an engine's epoch while a call runs and sleeps otherwise.
//!
//! Decides nothing about deadlines; `state` does when an epoch passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use wasmtime::Engine;

use crate::limits::TICKS_IDLE;

pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// While it lives, epochs pass.
pub(super) struct Armed<'a>(&'a Shared);

#[derive(Default)]
struct Shared {
    /// A call is under way.
    armed: AtomicBool,
    /// The thread sleeps until it is woken.
    asleep: AtomicBool,
    stop: AtomicBool,
}

impl Ticker {
    /// Epochs are `period` apart.
    pub(super) fn start(engine: Engine, period: Duration) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("epochs".to_owned())
            .stack_size(64 << 10)
            .spawn(move || tick(&engine, &theirs, period))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Costs a store and a load; a wake-up only after a second of quiet.
    pub(super) fn arm(&self) -> Armed<'_> {
        self.shared.armed.store(true, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.wake();
        }
        Armed(&self.shared)
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.as_ref().map(JoinHandle::thread) {
            Thread::unpark(thread);
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // It runs no code of ours that can panic, and nothing is lost if it did.
            drop(thread.join());
        }
    }
}

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        self.0.armed.store(false, Ordering::SeqCst);
    }
}

fn tick(engine: &Engine, shared: &Shared, period: Duration) {
    let mut idle = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        std::thread::park_timeout(period);
        engine.increment_epoch();
        if shared.armed.load(Ordering::SeqCst) {
            idle = 0;
            continue;
        }
        idle += 1;
        if idle < TICKS_IDLE {
            continue;
        }
        shared.asleep.store(true, Ordering::SeqCst);
        // Whoever armed before seeing `asleep` is seen here; whoever arms later wakes us.
        while !shared.armed.load(Ordering::SeqCst) && !shared.stop.load(Ordering::SeqCst) {
            std::thread::park();
        }
        shared.asleep.store(false, Ordering::SeqCst);
        idle = 0;
    }
}
