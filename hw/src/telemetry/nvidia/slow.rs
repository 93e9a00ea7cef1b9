//! The figures of an NVIDIA device that cost milliseconds, or hardly ever change: link rates, links
//! to other devices, memory faults, modes, partitions, processes.
//!
//! Decides what they mean in our words; refuses to know how rarely it is called.

use std::time::Instant;

use nvml_wrapper::Device as NvmlDevice;
use nvml_wrapper::enum_wrappers::device::{EccCounter, MemoryError, PcieUtilCounter};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::sys_exports::field_id;
use nvml_wrapper_sys::bindings as sys;

use super::ask::{Answers, Field};
use super::links::NvLinks;
use super::modes::{modes, partitions};
use super::processes::processes;
use super::raw;
use crate::telemetry::{Links, MemoryFaults, Modes, Partition, Process};

/// These figures, kept between the rare times they are read.
#[derive(Debug, Default)]
pub(super) struct Slow {
    pub(super) received_bytes_per_s: Option<u64>,
    pub(super) sent_bytes_per_s: Option<u64>,
    pub(super) links: Option<Links>,
    pub(super) faults: MemoryFaults,
    pub(super) modes: Modes,
    pub(super) partitions: Option<Vec<Partition>>,
    pub(super) processes: Option<Vec<Process>>,
    /// The driver's time of the newest sample of a process that was seen.
    process_seen_us: u64,
}

impl Slow {
    /// Reads all of it.
    pub(super) fn read(
        &mut self,
        answers: &mut Answers,
        device: &NvmlDevice<'_>,
        links: &mut NvLinks,
        now: Instant,
    ) {
        let mut rate = |field, counter| {
            let kilobytes = answers.ask(field, || device.pcie_throughput(counter))?;
            Some(u64::from(kilobytes) * 1000)
        };
        self.received_bytes_per_s = rate(Field::ReceivedRate, PcieUtilCounter::Receive);
        self.sent_bytes_per_s = rate(Field::SentRate, PcieUtilCounter::Send);
        self.links = links.read(answers, device, now);
        self.faults = faults(answers, device);
        self.modes = modes(answers, device);
        self.partitions = match self.modes.partitioned {
            Some(true) => partitions(answers, device),
            _ => None,
        };
        let accounting = self.modes.accounting == Some(true);
        self.processes = processes(answers, device, &mut self.process_seen_us, accounting);
    }
}

fn faults(answers: &mut Answers, device: &NvmlDevice<'_>) -> MemoryFaults {
    let mut errors =
        |field, kind, counter| answers.ask(field, || device.total_ecc_errors(kind, counter));
    use EccCounter::{Aggregate, Volatile};
    use MemoryError::{Corrected, Uncorrected};
    let mut faults = MemoryFaults {
        corrected: errors(Field::EccCorrected, Corrected, Volatile),
        uncorrected: errors(Field::EccUncorrected, Uncorrected, Volatile),
        corrected_lifetime: errors(Field::EccCorrectedLifetime, Corrected, Aggregate),
        uncorrected_lifetime: errors(Field::EccUncorrectedLifetime, Uncorrected, Aggregate),
        ..MemoryFaults::default()
    };
    let mode = answers.ask(Field::EccMode, || device.is_ecc_enabled());
    faults.ecc_enabled = mode.as_ref().map(|ecc| ecc.currently_enabled);
    faults.ecc_enabled_pending = mode.map(|ecc| ecc.pending_enabled);

    // Cards up to Volta take whole pages out of use; later ones replace single rows.
    let mut pages = |field, cause| answers.ask(field, || raw::retired_pages(device, cause));
    let single = pages(Field::RetiredSingle, MANY_SINGLE_BIT);
    let double = pages(Field::RetiredDouble, DOUBLE_BIT);
    let pending = answers.ask(Field::RetirementPending, || {
        device.are_pages_pending_retired()
    });
    let rows = answers.ask(Field::RemappedRows, || remapped_rows(device));
    if single.is_some() || double.is_some() {
        let pages = single.unwrap_or(0).saturating_add(double.unwrap_or(0));
        faults.retired = Some(pages);
    }
    faults.retirement_pending = pending;
    if let Some(rows) = rows {
        faults.retired = Some(faults.retired.unwrap_or(0).saturating_add(rows.replaced));
        faults.retirement_pending = Some(pending == Some(true) || rows.pending);
        faults.retirement_failed = Some(rows.failed);
    }
    faults
}

struct Rows {
    replaced: u64,
    pending: bool,
    failed: bool,
}

fn remapped_rows(device: &NvmlDevice<'_>) -> Result<Rows, NvmlError> {
    let [corrected, uncorrected, pending, failed] = raw::fields(
        device,
        [
            (field_id::NVML_FI_DEV_REMAPPED_COR, 0),
            (field_id::NVML_FI_DEV_REMAPPED_UNC, 0),
            (field_id::NVML_FI_DEV_REMAPPED_PENDING, 0),
            (field_id::NVML_FI_DEV_REMAPPED_FAILURE, 0),
        ],
    )?;
    Ok(Rows {
        replaced: corrected?.saturating_add(uncorrected?),
        pending: pending? != 0,
        failed: failed? != 0,
    })
}

const MANY_SINGLE_BIT: sys::nvmlPageRetirementCause_t =
    sys::nvmlPageRetirementCause_enum_NVML_PAGE_RETIREMENT_CAUSE_MULTIPLE_SINGLE_BIT_ECC_ERRORS;

const DOUBLE_BIT: sys::nvmlPageRetirementCause_t =
    sys::nvmlPageRetirementCause_enum_NVML_PAGE_RETIREMENT_CAUSE_DOUBLE_BIT_ECC_ERROR;
