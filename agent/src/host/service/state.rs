//! What a store of a service holds: limits, handles, what its imports work on. One store is one call, or one exchange.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use skep_core::capability::SecretName;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, ResourceLimiter, Result, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::clocks::{Monotonic, Wall};
use super::http::Hooks;
use super::meter::Meter;
use super::output::{Lines, Stdio};
use crate::egress::{Egress, Scope, Tally};
use crate::host::state::{Caps, Denied};
use crate::limits::{
    OUT_HEADERS_BYTES, RANDOM_BYTES, SERVICE_HANDLES, SERVICE_HOSTCALL_BYTES,
    SERVICE_MEMORIES_BYTES, SERVICE_MEMORY_BYTES,
};
use crate::protocol::LineLevel;

/// The state of a service component's store.
pub(super) struct ServiceState {
    pub(super) table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    pub(super) memory: Memory,
    pub(super) egress: Arc<Egress>,
    pub(super) scope: Arc<Scope>,
    pub(super) meter: Arc<Meter>,
    pub(super) words: Arc<Mutex<Lines>>,
}

/// A secret that was opened: its name alone. Its text is looked up where it is used.
#[derive(Debug)]
#[allow(unreachable_pub, reason = "generated code exports it again")]
pub struct HeldSecret(pub(super) SecretName);

/// The memory of all calls of a service together.
#[derive(Debug, Default)]
pub(super) struct Pool(AtomicUsize);

/// The memory of one call: its own limit, and its part of the pool.
pub(super) struct Memory {
    pub(super) caps: Caps,
    pool: Arc<Pool>,
    taken: usize,
}

impl ServiceState {
    pub(super) fn new(
        egress: Arc<Egress>,
        scope: Arc<Scope>,
        meter: Arc<Meter>,
        pool: Arc<Pool>,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(SERVICE_HANDLES);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(OUT_HEADERS_BYTES);
        let words = Arc::new(Mutex::new(Lines::default()));
        let stdio = |level| Stdio::new(Arc::clone(&egress), Arc::clone(&words), level);
        // No arguments, no environment, no folders, no input; sockets are not even linked.
        let wasi = WasiCtxBuilder::new()
            .stdout(stdio(LineLevel::Info))
            .stderr(stdio(LineLevel::Error))
            .monotonic_clock(Monotonic::new())
            .wall_clock(Wall)
            .max_random_size(RANDOM_BYTES)
            .build();
        Self {
            table,
            wasi,
            http,
            hooks: Hooks::new(Arc::clone(&egress), Arc::clone(&scope)),
            memory: Memory {
                caps: Caps::new(SERVICE_MEMORY_BYTES),
                pool,
                taken: 0,
            },
            egress,
            scope,
            meter,
            words,
        }
    }

    pub(super) fn store(
        engine: &Engine,
        egress: Arc<Egress>,
        scope: Arc<Scope>,
        meter: Arc<Meter>,
        pool: Arc<Pool>,
    ) -> Store<Self> {
        let mut store = Store::new(engine, Self::new(egress, scope, meter, pool));
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(SERVICE_HOSTCALL_BYTES);
        // Each tick is somebody else's turn, and a look at the deadline.
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| {
            Ok(if store.data().meter.is_over() {
                UpdateDeadline::Interrupt
            } else {
                UpdateDeadline::Yield(1)
            })
        });
        store
    }

    pub(super) fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.meter)
    }
}

impl WasiView for ServiceState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for ServiceState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        let more = desired.saturating_sub(current);
        let before = self.pool.0.fetch_add(more, Ordering::Relaxed);
        if before.saturating_add(more) > SERVICE_MEMORIES_BYTES {
            self.pool.0.fetch_sub(more, Ordering::Relaxed);
            self.caps.deny(Denied::Memories(SERVICE_MEMORIES_BYTES));
            return Ok(false);
        }
        let fits = self.caps.memory_growing(current, desired, maximum)?;
        if fits {
            self.taken += more;
        } else {
            self.pool.0.fetch_sub(more, Ordering::Relaxed);
        }
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        self.caps.table_growing(current, desired, maximum)
    }

    fn instances(&self) -> usize {
        self.caps.instances()
    }

    fn tables(&self) -> usize {
        self.caps.tables()
    }

    fn memories(&self) -> usize {
        self.caps.memories()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.pool.0.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

impl Drop for ServiceState {
    fn drop(&mut self) {
        let peak = self.memory.caps.memory_bytes() as u64;
        let tally: &Tally = self.egress.tally();
        tally.memory_peak_bytes.fetch_max(peak, Ordering::Relaxed);
    }
}
