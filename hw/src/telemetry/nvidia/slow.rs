//! The figures of an NVIDIA device that cost milliseconds: memory faults, processes, link rates.
//!
//! Decides what they mean in our words; refuses to know how rarely it is called.

use nvml_wrapper::Device as NvmlDevice;
use nvml_wrapper::enum_wrappers::device::{
    EccCounter, MemoryError, PcieUtilCounter, RetirementCause,
};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::sys_exports::field_id;

use super::ask::{Answers, Field};
use super::figures::one_value;
use crate::telemetry::{MemoryFaults, Process, ProcessKind};

/// Figures that cost milliseconds, kept between the rare times they are read.
#[derive(Debug, Default)]
pub(super) struct Slow {
    pub(super) received_bytes_per_s: Option<u64>,
    pub(super) sent_bytes_per_s: Option<u64>,
    pub(super) faults: MemoryFaults,
    pub(super) processes: Option<Vec<Process>>,
}

impl Slow {
    /// Reads all of it.
    pub(super) fn read(answers: &mut Answers, device: &NvmlDevice<'_>) -> Self {
        let mut rate = |field, counter| {
            let kilobytes = answers.ask(field, || device.pcie_throughput(counter))?;
            Some(u64::from(kilobytes) * 1000)
        };
        Self {
            received_bytes_per_s: rate(Field::ReceivedRate, PcieUtilCounter::Receive),
            sent_bytes_per_s: rate(Field::SentRate, PcieUtilCounter::Send),
            faults: faults(answers, device),
            processes: processes(answers, device),
        }
    }
}

/// More processes than a person reads; a fork bomb must not fill our memory too.
const MAX_PROCESSES: usize = 256;

pub(super) fn faults(answers: &mut Answers, device: &NvmlDevice<'_>) -> MemoryFaults {
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
    faults.ecc_enabled = answers
        .ask(Field::EccMode, || device.is_ecc_enabled())
        .map(|ecc| ecc.currently_enabled);

    // Cards up to Volta take whole pages out of use; later ones replace single rows.
    let mut pages = |field, cause| answers.ask(field, || device.retired_pages(cause));
    let single = pages(
        Field::RetiredSingle,
        RetirementCause::MultipleSingleBitEccErrors,
    );
    let double = pages(Field::RetiredDouble, RetirementCause::DoubleBitEccError);
    let pending = answers.ask(Field::RetirementPending, || {
        device.are_pages_pending_retired()
    });
    let rows = answers.ask(Field::RemappedRows, || remapped_rows(device));
    if single.is_some() || double.is_some() {
        let pages = single.map_or(0, |p| p.len()) + double.map_or(0, |p| p.len());
        faults.retired = Some(pages as u64);
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
    let corrected = one_value(device, field_id::NVML_FI_DEV_REMAPPED_COR)?;
    let uncorrected = one_value(device, field_id::NVML_FI_DEV_REMAPPED_UNC)?;
    Ok(Rows {
        replaced: corrected.saturating_add(uncorrected),
        pending: one_value(device, field_id::NVML_FI_DEV_REMAPPED_PENDING)? != 0,
        failed: one_value(device, field_id::NVML_FI_DEV_REMAPPED_FAILURE)? != 0,
    })
}

/// Both lists in one: a process that computes and draws counts as computing.
pub(super) fn processes(answers: &mut Answers, device: &NvmlDevice<'_>) -> Option<Vec<Process>> {
    let compute = answers.ask(Field::ComputeProcesses, || {
        device.running_compute_processes()
    });
    let graphics = answers.ask(Field::GraphicsProcesses, || {
        device.running_graphics_processes()
    });
    if compute.is_none() && graphics.is_none() {
        return None;
    }
    let process = |kind| {
        move |info: ProcessInfo| {
            let memory_bytes = match info.used_gpu_memory {
                UsedGpuMemory::Used(bytes) => Some(bytes),
                UsedGpuMemory::Unavailable => None,
            };
            Process {
                pid: info.pid,
                memory_bytes,
                kind,
            }
        }
    };
    let compute = compute
        .into_iter()
        .flatten()
        .map(process(ProcessKind::Compute));
    let graphics = graphics
        .into_iter()
        .flatten()
        .map(process(ProcessKind::Graphics));
    let mut all: Vec<_> = compute.chain(graphics).collect();
    all.sort_by_key(|p| (p.pid, p.kind == ProcessKind::Graphics));
    all.dedup_by_key(|p| p.pid);
    all.sort_by_key(|p| std::cmp::Reverse(p.memory_bytes));
    all.truncate(MAX_PROCESSES);
    Some(all)
}
