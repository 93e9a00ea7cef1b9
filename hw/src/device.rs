//! What plans run on.
//!
//! Decides which instructions and how many threads are used. Refuses to know plans.

use std::ffi::OsStr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::cpu::level::{Isa, Level};
use crate::cpu::pool::{Lead, Pool, threads_worth};
use crate::cuda::{self, Vendor};
use crate::gpu::{Card, GpuError};
use crate::limits::MAX_THREADS;
use crate::vulkan::Vulkan;

mod memory;

/// How to use the processor. The default is all usable cores and the best instructions.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuSettings {
    /// Threads, the caller's included; without, one for each core of the process's affinity mask, however many
    /// hardware threads it has, and no more than its control group's quota allows.
    pub threads: Option<NonZeroUsize>,
    /// Instructions; without, the best that the processor has.
    pub isa: Option<Isa>,
}

/// Where plans run. Copies share its threads.
#[derive(Clone, Debug)]
pub struct Device(Arc<Inner>);

impl Device {
    /// This machine's processor.
    ///
    /// # Errors
    /// [`DeviceError`] when the instructions asked for are missing or a thread cannot be started.
    pub fn cpu(settings: CpuSettings) -> Result<Self, DeviceError> {
        let level = match settings.isa {
            Some(isa) => Level::of(isa).ok_or_else(|| DeviceError::Isa(isa.name()))?,
            None => Level::best(),
        };
        let threads = settings
            .threads
            .map_or_else(threads_worth, NonZeroUsize::get)
            .min(MAX_THREADS);
        let processor = memory::processor_name().unwrap_or_else(|| "CPU".to_owned());
        let plural = if threads == 1 { "" } else { "s" };
        let name = format!(
            "{processor}, {threads} thread{plural}, {}",
            level.isa().name()
        );
        let helpers = if level.isa() == Isa::Reference {
            1
        } else {
            threads
        };
        Ok(Self(Arc::new(Inner {
            level,
            pool: Pool::start(helpers).map_err(DeviceError::Thread)?,
            name,
            kind: "cpu",
            card: None,
        })))
    }

    /// NVIDIA card `index`, by the system's driver or by another `library` that stands in for it.
    ///
    /// # Errors
    /// [`DeviceError`] when there is no driver or no such card, or when it cannot be used.
    pub fn cuda(index: u32, library: Option<&OsStr>) -> Result<Self, DeviceError> {
        let card = cuda::Device::open(Vendor::Nvidia, index, library)?;
        Self::of_card("cuda", Card::new(card))
    }

    /// AMD card `index`, by the system's HIP runtime or by another `library` that stands in for it.
    ///
    /// # Errors
    /// [`DeviceError`] when there is no runtime or no such card, or when it cannot be used.
    pub fn hip(index: u32, library: Option<&OsStr>) -> Result<Self, DeviceError> {
        let card = cuda::Device::open(Vendor::Amd, index, library)?;
        Self::of_card("hip", Card::new(card))
    }

    /// Device `index` of those that Vulkan finds, by the system's loader or by another `library` that stands in for it.
    ///
    /// # Errors
    /// [`DeviceError`] when there is no loader or no such device, or when it cannot be used.
    pub fn vulkan(index: u32, library: Option<&OsStr>) -> Result<Self, DeviceError> {
        Self::of_card("vulkan", Card::new(Vulkan::open(index, library)?))
    }

    fn of_card(kind: &'static str, card: Arc<Card>) -> Result<Self, DeviceError> {
        Ok(Self(Arc::new(Inner {
            level: Level::best(),
            pool: Pool::start(1).map_err(DeviceError::Thread)?,
            name: card.name().to_owned(),
            kind,
            card: Some(card),
        })))
    }

    /// `cpu`, `cuda`, `hip` or `vulkan`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.0.kind
    }

    /// For people: `Intel Xeon, 2 threads, AVX-512`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether the processor computes: the usual device, or a driver for cards that stands in for one.
    #[must_use]
    pub fn is_processor(&self) -> bool {
        let card = self.0.card.as_ref();
        card.is_none_or(|card| card.is_processor())
    }

    /// A card's name that stays the same over restarts, as telemetry has it, where its driver tells one.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        self.0.card.as_ref()?.id()
    }

    /// Threads of the processor that a run uses, the caller's included.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.0.pool.threads()
    }

    /// The processor's instructions in use.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.0.level.isa()
    }

    /// Bytes that weights and caches may still take: what the system or the control group has
    /// left, the smaller. Mapped files can be dropped by the system and count as free. Of a card, its own.
    #[must_use]
    pub fn memory_free_bytes(&self) -> u64 {
        // A card that cannot tell has nothing to give.
        self.memory_free().unwrap_or_default()
    }

    /// The same.
    ///
    /// # Errors
    /// A card that cannot tell has failed.
    pub fn memory_free(&self) -> Result<u64, GpuError> {
        match &self.0.card {
            Some(card) => card.free_bytes(),
            None => Ok(memory::free_bytes()),
        }
    }

    /// The card that it is, if it is one.
    pub(crate) fn card(&self) -> Option<&Arc<Card>> {
        self.0.card.as_ref()
    }

    pub(crate) fn level(&self) -> Level {
        self.0.level
    }

    /// The right to use its threads; waits while another run has it.
    pub(crate) fn lead(&self) -> Lead<'_> {
        self.0.pool.lead()
    }
}

/// Why there is no such device.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The processor lacks the instructions.
    #[error("this processor has no {0}")]
    Isa(&'static str),
    /// The system refused a thread.
    #[error("could not start a thread")]
    Thread(#[source] std::io::Error),
    /// The card cannot be used.
    #[error(transparent)]
    Card(#[from] GpuError),
}

#[derive(Debug)]
struct Inner {
    level: Level,
    pool: Pool,
    name: String,
    kind: &'static str,
    card: Option<Arc<Card>>,
}
