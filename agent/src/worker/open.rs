//! Opening the model: its files, its device, its memory. Decides what is tried in which order and how a failure is told.

use std::num::NonZeroUsize;
use std::time::Instant;

use skep_hw::{CpuSettings, Device};

use crate::host::{Model, OpenError, Opening, SourceFile};
use crate::limits::{MEMORY_KEPT_FREE_SHARE, MODEL_FILES};
use crate::protocol::{Ending, Error, FileSource, FromWorker, Open, Opened};

/// The open model, or the frame that says why there is none.
pub(super) fn model(open: &Open) -> Result<(Model, Opened), FromWorker> {
    let started = Instant::now();
    let files = files(open).map_err(FromWorker::OpenFailed)?;
    let threads = open
        .threads
        .and_then(|threads| NonZeroUsize::new(threads as usize));
    let device = Device::cpu(CpuSettings { threads, isa: None })
        .map_err(|error| FromWorker::OpenFailed(Error::Other(error.to_string())))?;
    let free = device.memory_free_bytes();
    let opening = Opening {
        plugin: &open.plugin,
        compiled: &open.compiled,
        files,
        settings: open.settings,
        device: device.clone(),
        memory_bytes: open
            .memory_bytes
            .unwrap_or(free - free / MEMORY_KEPT_FREE_SHARE),
        timeouts: open.timeouts,
    };
    let mut model = Model::open(opening).map_err(|error| match error {
        OpenError::Stale(_) => FromWorker::Stale,
        OpenError::Refused(error) => FromWorker::OpenFailed(error),
        OpenError::Fault(fault) => FromWorker::Ending(fault.into()),
    })?;
    let info = model
        .info()
        .map_err(|fault| FromWorker::Ending(Ending::from(fault)))?;
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok((
        model,
        Opened {
            info,
            device: device.name().to_owned(),
            computes_on: device.kind().to_owned(),
            took_ms,
        },
    ))
}

fn files(open: &Open) -> Result<Vec<SourceFile>, Error> {
    if open.files.len() > MODEL_FILES {
        return Err(Error::Unsupported(format!(
            "a model of {} files is over the limit of {MODEL_FILES}",
            open.files.len()
        )));
    }
    open.files
        .iter()
        .map(|FileSource::Path(path)| SourceFile::open(path))
        .collect()
}
