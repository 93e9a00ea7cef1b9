//! The processes that hold an NVIDIA device, and what each of them uses.
//!
//! Decides how several lists of the driver become one; refuses to know whose processes they are.

use nvml_wrapper::Device as NvmlDevice;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper_sys::bindings::{nvmlProcessInfo_t, nvmlProcessUtilizationSample_t};

use super::ask::{Answers, Field};
use super::figures::percent;
use super::raw::{self, ProcessList};
use crate::telemetry::{Accounted, Process, ProcessKind};

/// All processes, largest first. `since_us` is the driver's time of the newest sample that was
/// seen, and becomes so anew.
pub(super) fn processes(
    answers: &mut Answers,
    device: &NvmlDevice<'_>,
    since_us: &mut u64,
    accounting: bool,
) -> Option<Vec<Process>> {
    let mut all = running(answers, device)?;
    let samples = answers.ask(Field::ProcessUtilisation, || {
        raw::process_utilisation(device, *since_us)
    });
    add_utilisation(&mut all, samples.unwrap_or_default(), since_us);
    if accounting {
        for process in all.iter_mut().take(MAX_ACCOUNTED) {
            let stats = answers.ask(Field::AccountingStats, || {
                match device.accounting_stats_for(process.pid) {
                    // What is true of this process need not be of others.
                    Err(NvmlError::NotFound) => Ok(None),
                    told => told.map(Some),
                }
            });
            process.accounted = stats.flatten().map(|stats| Accounted {
                utilisation_percent: stats.gpu_utilization.and_then(percent),
                memory_busy_percent: stats.memory_utilization.and_then(percent),
                memory_peak_bytes: stats.max_memory_usage,
                started_unix_s: Some(stats.start_time / 1_000_000).filter(|&s| s > 0),
            });
        }
    }
    Some(all)
}

/// Both lists in one: a process that computes and draws counts as computing.
fn running(answers: &mut Answers, device: &NvmlDevice<'_>) -> Option<Vec<Process>> {
    let mut list = |field, which| answers.ask(field, || raw::processes(device, which));
    let compute = list(Field::ComputeProcesses, ProcessList::Compute);
    let graphics = list(Field::GraphicsProcesses, ProcessList::Graphics);
    if compute.is_none() && graphics.is_none() {
        return None;
    }
    let compute = compute.iter().flatten();
    let graphics = graphics.iter().flatten();
    let mut all: Vec<_> = compute
        .map(|info| process(info, ProcessKind::Compute))
        .chain(graphics.map(|info| process(info, ProcessKind::Graphics)))
        .collect();
    all.sort_by_key(|p| (p.pid, p.gpu_instance, p.kind == ProcessKind::Graphics));
    all.dedup_by_key(|p| (p.pid, p.gpu_instance));
    all.sort_by_key(|p| std::cmp::Reverse(p.memory_bytes));
    all.truncate(MAX_PROCESSES);
    Some(all)
}

fn process(info: &nvmlProcessInfo_t, kind: ProcessKind) -> Process {
    let instance = |number: u32| Some(number).filter(|&number| number != NO_INSTANCE);
    Process {
        gpu_instance: instance(info.gpuInstanceId),
        compute_instance: instance(info.computeInstanceId),
        ..Process::new(
            info.pid,
            Some(info.usedGpuMemory).filter(|&bytes| bytes != NOT_TOLD),
            kind,
        )
    }
}

/// The newest sample of each process counts.
fn add_utilisation(
    processes: &mut [Process],
    mut samples: Vec<nvmlProcessUtilizationSample_t>,
    since_us: &mut u64,
) {
    samples.sort_by_key(|sample| sample.timeStamp);
    for sample in samples {
        *since_us = sample.timeStamp.max(*since_us);
        for process in processes.iter_mut().filter(|p| p.pid == sample.pid) {
            process.utilisation_percent = percent(sample.smUtil);
            process.memory_busy_percent = percent(sample.memUtil);
            process.encoder_percent = percent(sample.encUtil);
            process.decoder_percent = percent(sample.decUtil);
        }
    }
}

/// More processes than a person reads; a fork bomb must not fill our memory too.
const MAX_PROCESSES: usize = 256;

/// Each costs a call of its own; the largest are those that matter.
const MAX_ACCOUNTED: usize = 32;

/// `NVML_VALUE_NOT_AVAILABLE`, and what the driver tells of processes it may not look into.
const NOT_TOLD: u64 = u64::MAX;

const NO_INSTANCE: u32 = u32::MAX;
