//! AMD devices, through the files of Linux' amdgpu driver and, for what those lack, through
//! AMD's system management library.
//!
//! Decides whose word counts: the files first, since they need no library, then the library for
//! what is still unknown. Refuses to load the library at all unless the driver shows a device:
//! without one it prints to the standard error stream.

use std::path::PathBuf;
use std::time::Instant;

use self::card::Card;
use self::rocm::Rocm;
use super::{Device, Places, SourceState, Verdict};

#[allow(
    unsafe_code,
    unsafe_op_in_unsafe_fn,
    non_camel_case_types,
    non_upper_case_globals,
    dead_code,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::expect_used,
    clippy::undocumented_unsafe_blocks,
    clippy::use_self,
    reason = "generated; only its fields are used, never its methods, which panic"
)]
mod bindings;
mod card;
mod figures;
mod files;
mod metrics;
mod rocm;

/// The devices that the driver shows, and the library where there is one.
#[derive(Debug)]
pub(super) struct AmdSource {
    cards: Vec<Card>,
    rocm: Option<Rocm>,
}

impl AmdSource {
    /// Finds devices, then the library. Tells the state of both sources.
    pub(super) fn detect(places: &Places) -> (Self, SourceState, SourceState) {
        let cards = card::find(&places.sysfs);
        if cards.is_empty() {
            let files = "no device of the amdgpu driver".to_owned();
            let library = "not looked for, since there is no AMD device".to_owned();
            let none = Self { cards, rocm: None };
            return (
                none,
                SourceState::Absent(files),
                SourceState::Absent(library),
            );
        }
        let (rocm, library) = match Rocm::load(&places.rocm_smi) {
            Ok(rocm) => {
                let version = rocm.version();
                (Some(rocm), SourceState::Present(version))
            }
            Err(reason) => (None, SourceState::Absent(reason)),
        };
        let mut source = Self { cards, rocm };
        source.name_devices();
        let driver = source.cards.first().and_then(Card::driver_version);
        (source, SourceState::Present(driver), library)
    }

    /// Whether no device was found.
    pub(super) fn is_empty(&self) -> bool {
        self.cards.is_empty()
    }

    /// Reads every device.
    pub(super) fn sample(&mut self, now: Instant) -> Vec<Device> {
        let mut devices = Vec::with_capacity(self.cards.len());
        if let Some(rocm) = &mut self.rocm {
            rocm.begin(now);
        }
        for card in &mut self.cards {
            let mut reading = card.read(now);
            let bus = card.identity.pci_bus_id.as_deref().unwrap_or_default();
            let answers = reading.lost.is_none() && card.is_awake();
            if let Some(rocm) = self.rocm.as_mut().filter(|_| answers) {
                rocm.complete(bus, &mut reading);
            }
            let verdict = Verdict::of(&reading);
            devices.push(Device {
                identity: card.identity.clone(),
                reading,
                verdict,
            });
        }
        devices
    }

    fn name_devices(&mut self) {
        let Some(rocm) = &self.rocm else { return };
        for card in &mut self.cards {
            rocm.identify(&mut card.identity);
        }
    }
}

/// The names under which the library is looked for.
///
/// ROCm counts by its release (5, 6, 7), Debian's packages by 1. The calls that are used here
/// have kept their shape through all of them.
pub(super) fn library_names() -> Vec<PathBuf> {
    [
        "librocm_smi64.so.7",
        "librocm_smi64.so.6",
        "librocm_smi64.so.5",
        "librocm_smi64.so.1",
        "librocm_smi64.so",
        "/opt/rocm/lib/librocm_smi64.so",
    ]
    .into_iter()
    .map(PathBuf::from)
    .collect()
}
