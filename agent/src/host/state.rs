//! What a store holds beside the component: limits, handles, and what its imports work on.
//!
//! Decides how large a component may grow and when a call is over. Refuses to know what is computed.

use std::time::{Duration, Instant};

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Result, Store, UpdateDeadline};

use super::compute::Budget;
use super::log::Pen;
use super::wasi::Wasi;
use crate::limits::{
    ENGINE_MEMORY_BYTES, HANDLES, HOSTCALL_BYTES, INSTANCES, MEMORIES, TABLE_ELEMENTS, TABLES, TICK,
};

/// The state of an engine component's store.
pub(super) struct State {
    pub(super) table: ResourceTable,
    pub(super) caps: Caps,
    pub(super) pen: Pen,
    pub(super) wasi: Wasi,
    pub(super) device: skep_hw::Device,
    pub(super) budget: Budget,
    pub(super) clock: CallClock,
}

impl State {
    pub(super) fn new(device: skep_hw::Device, budget: Budget) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self {
            table,
            caps: Caps::new(ENGINE_MEMORY_BYTES),
            pen: Pen::new(),
            wasi: Wasi::new(),
            device,
            budget,
            clock: CallClock::default(),
        }
    }

    pub(super) fn store(
        engine: &wasmtime::Engine,
        device: skep_hw::Device,
        budget: Budget,
    ) -> Store<Self> {
        let mut store = Store::new(engine, Self::new(device, budget));
        store.limiter(|state| &mut state.caps);
        store.set_hostcall_fuel(HOSTCALL_BYTES);
        store.epoch_deadline_callback(|store| Ok(store.data().clock.on_deadline()));
        store
    }
}

/// How long the call under way has run, without what kernels took.
#[derive(Default)]
pub(super) struct CallClock {
    started: Option<Instant>,
    kernels: Duration,
    limit: Duration,
}

impl CallClock {
    /// A call begins; returns the epochs after which to look again.
    pub(super) fn begin(&mut self, limit: Duration) -> u64 {
        *self = Self {
            started: Some(Instant::now()),
            kernels: Duration::ZERO,
            limit,
        };
        ticks(limit)
    }

    /// Time that native kernels took on the call's behalf.
    pub(super) fn add_kernels(&mut self, took: Duration) {
        self.kernels += took;
    }

    /// All of that.
    pub(super) fn kernels(&self) -> Duration {
        self.kernels
    }

    fn on_deadline(&self) -> UpdateDeadline {
        let ran = self
            .started
            .map(|start| start.elapsed())
            .unwrap_or_default()
            .saturating_sub(self.kernels);
        match self.limit.checked_sub(ran) {
            Some(left) if !left.is_zero() => UpdateDeadline::Continue(ticks(left)),
            _ => UpdateDeadline::Interrupt,
        }
    }
}

/// Rounded up, and one more since the first epoch may pass at once.
fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos()))
        .unwrap_or(u64::MAX)
        .saturating_add(1)
}

/// How large a component may grow, and what it was refused.
pub(super) struct Caps {
    memory_bytes: usize,
    memory_bytes_max: usize,
    denied: Option<Denied>,
}

/// A limit that was reached.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum Denied {
    #[error("memory limit of {} MiB", .0 >> 20)]
    Memory(usize),
    #[error("memory limit of {} MiB for all calls of a service together", .0 >> 20)]
    Memories(usize),
    #[error("limit of {TABLE_ELEMENTS} table elements")]
    Table,
    #[error("stack limit of {} KiB", crate::limits::WASM_STACK_BYTES >> 10)]
    Stack,
}

impl Caps {
    pub(super) fn new(memory_bytes_max: usize) -> Self {
        Self {
            memory_bytes: 0,
            memory_bytes_max,
            denied: None,
        }
    }

    pub(super) fn denied(&self) -> Option<Denied> {
        self.denied
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Something was refused for another reason than these limits.
    pub(super) fn deny(&mut self, denied: Denied) {
        self.denied.get_or_insert(denied);
    }
}

impl ResourceLimiter for Caps {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        // All memories together: a limit for each would be as many times larger as there are memories.
        let total = self
            .memory_bytes
            .saturating_add(desired.saturating_sub(current));
        if total > self.memory_bytes_max {
            self.denied = Some(Denied::Memory(self.memory_bytes_max));
            return Ok(false);
        }
        self.memory_bytes = total;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        if desired > TABLE_ELEMENTS {
            self.denied = Some(Denied::Table);
            return Ok(false);
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}
