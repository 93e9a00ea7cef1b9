//! Processor time of one call or exchange, waiting not counted. Decides when it has computed enough; wakes the ticker while it computes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::egress::Tally;
use crate::host::ticker::Ticker;

/// How much one call has computed, in nanoseconds of this thread's processor time.
#[derive(Debug)]
pub(super) struct Meter {
    limit: u64,
    spent: AtomicU64,
    /// When it was last given the processor.
    since: AtomicU64,
}

/// A call while it is waited for.
pub(super) struct Metered<'a, F> {
    call: Pin<Box<F>>,
    meter: Arc<Meter>,
    ticker: &'a Ticker,
    tally: &'a Tally,
}

impl Meter {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit: u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX),
            spent: AtomicU64::new(0),
            since: AtomicU64::new(0),
        }
    }

    /// Whether the call that has the processor now has had enough of it.
    pub(super) fn is_over(&self) -> bool {
        let now = processor_ns().saturating_sub(self.since.load(Ordering::Relaxed));
        self.spent.load(Ordering::Relaxed).saturating_add(now) > self.limit
    }

    pub(super) fn limit(&self) -> Duration {
        Duration::from_nanos(self.limit)
    }
}

impl<'a, F> Metered<'a, F> {
    pub(super) fn new(call: F, meter: Arc<Meter>, ticker: &'a Ticker, tally: &'a Tally) -> Self {
        Self {
            call: Box::pin(call),
            meter,
            ticker,
            tally,
        }
    }
}

impl<F: Future> Future for Metered<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let began = processor_ns();
        this.meter.since.store(began, Ordering::Relaxed);
        let armed = this.ticker.arm();
        let result = this.call.as_mut().poll(cx);
        drop(armed);
        let took = processor_ns().saturating_sub(began);
        this.meter.spent.fetch_add(took, Ordering::Relaxed);
        Tally::add(&this.tally.computing_us, took / 1_000);
        result
    }
}

/// All calls of a service run on one thread, one at a time.
fn processor_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(time.tv_nsec).unwrap_or_default())
}
