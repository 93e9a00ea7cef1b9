//! Opening the model: its files, its device, its memory. Decides what is tried in which order and how a failure is told,
//! and what of that is done before the walls are up: files are opened, and no byte of them is read.

use std::fs::DirBuilder;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use skep_hw::{Blame, CpuSettings, Device, DeviceError, Region};

use super::link::{Link, Lost};
use crate::confine::{self, Walls};
use crate::host::{Model, OpenError, Opening, SourceFile};
use crate::limits::{
    MEMORY_KEPT_FREE_SHARE, MODEL_FILES, PACKED_BYTES_MIN, PACKED_DISK_FREE_BYTES,
};
use crate::protocol::{
    CardDriver, CardId, ComputesOn, Ending, Error, FileSource, FromWorker, Open, Opened,
};

/// Why there is no model.
pub(super) enum NotOpen {
    /// The frame that says it.
    Refused(FromWorker),
    /// Nobody is there to be told.
    Lost(Lost),
}

impl From<FromWorker> for NotOpen {
    fn from(refusal: FromWorker) -> Self {
        Self::Refused(refusal)
    }
}

/// The open model, or why there is none. Tells the agent as soon as the device is there.
pub(super) fn model(
    open: &Open,
    sources: Sources,
    link: &mut Link,
) -> Result<(Model, Opened), NotOpen> {
    let started = Instant::now();
    let files = sources.files().map_err(FromWorker::OpenFailed)?;
    let device = device(open)?;
    let told = link.send(&FromWorker::DeviceOpen);
    told.and_then(|()| link.flush()).map_err(NotOpen::Lost)?;
    let free = device
        .memory_free()
        .map_err(|error| FromWorker::Ending(Ending::Device(chain(&error))))?;
    let on_card = matches!(open.computes_on, ComputesOn::Card { .. });
    let opening = Opening {
        plugin: &open.plugin,
        compiled: &open.compiled,
        files: files.model,
        draft: files.draft,
        settings: open.settings,
        device: device.clone(),
        memory_bytes: open
            .memory_bytes
            .unwrap_or(free - free / MEMORY_KEPT_FREE_SHARE),
        timeouts: open.timeouts,
    };
    let mut model = Model::open(opening).map_err(|error| match error {
        OpenError::Stale(_) => FromWorker::Stale,
        OpenError::Refused(Error::Exhausted(why)) if on_card => {
            FromWorker::OpenFailed(Error::Exhausted(format!(
                "{why}; the card has {} MiB free: unload another model, give this one a smaller context \
                 (`models.context_tokens`), or set `node.device = \"cpu\"` to compute on the processor",
                free >> 20
            )))
        }
        OpenError::Refused(error) => FromWorker::OpenFailed(error),
        OpenError::Fault(fault) => FromWorker::Ending(fault.into()),
    })?;
    let info = model
        .info()
        .map_err(|fault| FromWorker::Ending(Ending::from(fault)))?;
    keep_packed(files.kept);
    let left = device.memory_free().ok().filter(|_| on_card);
    let card_bytes = left.map(|left| free.saturating_sub(left));
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok((
        model,
        Opened {
            info,
            device: device.name().to_owned(),
            computes_on: device.kind().to_owned(),
            card_bytes,
            took_ms,
        },
    ))
}

/// What the model computes on.
fn device(open: &Open) -> Result<Device, FromWorker> {
    let made = match &open.computes_on {
        ComputesOn::Processor => {
            let threads = open.threads.unwrap_or_default() as usize;
            Device::cpu(CpuSettings {
                threads: NonZeroUsize::new(threads),
                isa: None,
            })
        }
        ComputesOn::Card {
            card: CardId { driver, index },
            library,
        } => {
            let open = match driver {
                CardDriver::Cuda => Device::cuda,
                CardDriver::Hip => Device::hip,
                CardDriver::Vulkan => Device::vulkan,
            };
            open(*index, library.as_deref().map(Path::as_os_str))
        }
    };
    made.map_err(|error| match &error {
        DeviceError::Card(card) if card.blame() == Blame::Memory => {
            let hint =
                "unload what fills it, or set `node.device = \"cpu\"` to compute on the processor";
            FromWorker::OpenFailed(Error::Exhausted(format!("{error}; {hint}")))
        }
        DeviceError::Card(_) => FromWorker::Ending(Ending::Device(chain(&error))),
        DeviceError::Isa(_) | DeviceError::Thread(_) => {
            FromWorker::OpenFailed(Error::Other(chain(&error)))
        }
    })
}

/// An error with what it comes from.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        words += &format!(": {cause}");
        next = cause.source();
    }
    words
}

/// The model's files, open and not yet looked into.
pub(super) struct Sources {
    model: Vec<Source>,
    draft: Option<Source>,
}

/// A file, and where its packed form is kept.
struct Source {
    file: SourceFile,
    packed: Option<PathBuf>,
}

impl Sources {
    pub(super) fn open(open: &Open) -> Result<Self, Error> {
        if open.files.len() > MODEL_FILES {
            return Err(Error::Unsupported(format!(
                "a model of {} files is over the limit of {MODEL_FILES}",
                open.files.len()
            )));
        }
        let file = |source: &FileSource| -> Result<Source, Error> {
            let (path, packed) = match source {
                FileSource::Path(path) => (path, None),
                FileSource::Stored { path, packed } => (path, Some(packed.clone())),
            };
            let file = SourceFile::open(path)?;
            Ok(Source { file, packed })
        };
        Ok(Self {
            model: open.files.iter().map(file).collect::<Result<_, _>>()?,
            draft: open.draft.as_ref().map(file).transpose()?,
        })
    }

    /// What a worker with these files open has to reach besides.
    pub(super) fn walls(&self, open: &Open) -> Walls {
        let mut walls = Walls {
            read: vec![open.compiled.clone()],
            ..Walls::default()
        };
        if let ComputesOn::Card { library, .. } = &open.computes_on {
            walls.devices = true;
            let beside = library.as_deref().map(confine::libraries_beside);
            walls.read.extend(beside.unwrap_or_default());
        }
        for source in self.model.iter().chain(&self.draft) {
            if let Some(folder) = source.packed.as_deref().and_then(Path::parent) {
                // Without the folder nothing is kept, and the next start packs again.
                let _ = DirBuilder::new().recursive(true).mode(0o700).create(folder);
                walls.write.push(folder.to_owned());
                // A packed form is hardly longer than what it is made of.
                let longest = source.file.size().saturating_mul(2);
                walls.file_bytes = walls.file_bytes.max(longest);
            }
        }
        walls
    }

    fn files(self) -> Result<Files, Error> {
        let mut kept = Vec::new();
        let mut file = |source: Source| -> Result<SourceFile, Error> {
            if let Some(path) = source.packed {
                kept.push(Kept {
                    region: source.file.keep_packed(&path)?,
                    path,
                });
            }
            Ok(source.file)
        };
        let model = self.model.into_iter().map(&mut file);
        let model = model.collect::<Result<_, _>>()?;
        let draft = self.draft.map(file).transpose()?;
        Ok(Files { model, draft, kept })
    }
}

/// Everything that is read.
struct Files {
    model: Vec<SourceFile>,
    draft: Option<SourceFile>,
    /// Those of which the packed form is kept.
    kept: Vec<Kept>,
}

/// A model file whose packed form is kept.
struct Kept {
    region: Region,
    path: PathBuf,
}

/// Writes packed forms that are new, beside everything else: the next start finds them. One that is small is packed
/// sooner than it is worth a file, and a disk that is nearly full is left alone.
fn keep_packed(mut all: Vec<Kept>) {
    all.retain(|kept| {
        let bytes = kept.region.unwritten_bytes();
        let folder = kept.path.parent().unwrap_or_else(|| Path::new("."));
        bytes >= PACKED_BYTES_MIN && has_room(folder, bytes)
    });
    if all.is_empty() {
        return;
    }
    let write = move || {
        for kept in all {
            if let Err(error) = kept.region.write_packed() {
                // Whoever reads the log can make room; nothing else is wrong.
                let _ = writeln!(
                    std::io::stderr(),
                    "skep worker: could not keep `{}`: {error}; the next start packs the weights again",
                    kept.path.display()
                );
            }
        }
    };
    // Without a thread the next start packs again, as this one did.
    let _ = std::thread::Builder::new()
        .name("keep-packed".to_owned())
        .spawn(write);
}

fn has_room(folder: &Path, bytes: u64) -> bool {
    rustix::fs::statvfs(folder).is_ok_and(|about| {
        let free = about.f_bavail.saturating_mul(about.f_frsize);
        free.saturating_sub(bytes) >= PACKED_DISK_FREE_BYTES
    })
}
