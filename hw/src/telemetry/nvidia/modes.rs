//! How an NVIDIA device is set up, and the partitions (MIG) that it is cut into.
//!
//! Decides how the library's modes become ours; refuses to change any.

use nvml_wrapper::Device as NvmlDevice;
use nvml_wrapper::enum_wrappers::device::ComputeMode as NvmlComputeMode;

use super::ask::{Answers, Field};
use super::raw::{self, Instance, Text};
use crate::telemetry::{ComputeMode, Modes, Partition};

pub(super) fn modes(answers: &mut Answers, device: &NvmlDevice<'_>) -> Modes {
    let compute = answers.ask(Field::ComputeMode, || device.compute_mode());
    let confidential = answers.ask(Field::Confidential, || raw::confidential(device.nvml()));
    let mig = answers.ask(Field::MigMode, || device.mig_mode());
    Modes {
        compute: compute.map(|mode| match mode {
            NvmlComputeMode::Default => ComputeMode::Shared,
            NvmlComputeMode::ExclusiveThread => ComputeMode::ExclusiveThread,
            NvmlComputeMode::ExclusiveProcess => ComputeMode::ExclusiveProcess,
            NvmlComputeMode::Prohibited => ComputeMode::Prohibited,
        }),
        persistence: answers.ask(Field::Persistence, || device.is_in_persistent_mode()),
        accounting: answers.ask(Field::Accounting, || device.is_accounting_enabled()),
        confidential: confidential.map(|(enabled, _)| enabled),
        confidential_debug: confidential.map(|(_, debug)| debug),
        partitioned: mig.as_ref().map(|mode| mode.current != 0),
        partitioned_pending: mig.map(|mode| mode.pending != 0),
    }
}

/// The partitions of a device that is partitioned.
pub(super) fn partitions(answers: &mut Answers, device: &NvmlDevice<'_>) -> Option<Vec<Partition>> {
    let count = answers.ask(Field::MigCount, || device.mig_device_count())?;
    let found = (0..count.min(PARTITIONS_MAX)).filter_map(|index| {
        // `NotFound` for a place where none was made: that may change, so it is asked again.
        let part = answers.ask_part(Field::MigDevice, index, || {
            device.mig_device_by_index(index)
        })?;
        Some(partition(answers, &part, index))
    });
    Some(found.collect())
}

fn partition(answers: &mut Answers, part: &NvmlDevice<'_>, index: u32) -> Partition {
    let mut instance = |field, which| answers.ask_part(field, index, || raw::instance(part, which));
    let gpu_instance = instance(Field::MigGpuInstance, Instance::Gpu);
    let compute_instance = instance(Field::MigComputeInstance, Instance::Compute);
    let consists = answers.ask_part(Field::MigAttributes, index, || raw::attributes(part));
    let memory = answers.ask_part(Field::MigMemory, index, || part.memory_info());
    Partition {
        index,
        uuid: answers.ask_part(Field::MigUuid, index, || raw::text(part, Text::Uuid)),
        gpu_instance,
        compute_instance,
        gpu_slices: consists.map(|consists| consists.gpuInstanceSliceCount),
        multiprocessors: consists.map(|consists| consists.multiprocessorCount),
        memory_total_bytes: memory.as_ref().map(|memory| memory.total),
        memory_used_bytes: memory.map(|memory| memory.total.saturating_sub(memory.free)),
    }
}

/// A device is cut into seven at most; the count comes from outside.
const PARTITIONS_MAX: u32 = 16;
