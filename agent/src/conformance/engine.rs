//! What every engine must do with a model: keep the contract's order of events, answer the same to the same, end what is cancelled,
//! go on where another instance left off, and take nothing that is damaged or nonsense for more than it is.
//!
//! Here it is opened, with files that are whole and files that are not; what is tried of requests is in `requests`, and what of
//! requests that make no sense, and of vectors and tokens, in `odd`.

mod odd;
mod requests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use skep_hw::{CpuSettings, Device};

use super::listener::Listener;
use super::{Check, Checks, Outcome};
use crate::host::{Model, OpenError, Opening, SourceFile};
use crate::limits::{TRIAL_ENGINE_BYTES, TRIAL_STEPS};
use crate::protocol::{Error, ModelInfo, Settings, Timeouts, Work};

/// What is tried.
pub(crate) struct EngineSubject<'a> {
    pub(crate) plugin: &'a str,
    pub(crate) compiled: &'a Path,
    /// A model's file that somebody named.
    pub(crate) model: Option<&'a Path>,
    /// The model of this program, for when nobody did.
    pub(crate) carried: &'a [u8],
}

/// The most that it took.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct EngineMost {
    pub(crate) guest_memory_bytes: u64,
    pub(crate) host_memory_bytes: u64,
    pub(crate) steps: u64,
    pub(crate) longest_step_us: u64,
}

struct Suite<'a> {
    subject: &'a EngineSubject<'a>,
    device: Device,
    file: PathBuf,
    folder: PathBuf,
    info: ModelInfo,
    most: EngineMost,
}

/// Tries an engine.
///
/// # Errors
/// When it could not be tried at all; nothing of the plugin is to blame then.
pub(crate) fn run(subject: &EngineSubject<'_>) -> Result<(Vec<Check>, EngineMost), String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no room for files: {error}"))?;
    let file = match subject.model {
        Some(file) => file.to_owned(),
        None => keep(folder.path(), "model.gguf", subject.carried)?,
    };
    let threads = None;
    let device = Device::cpu(CpuSettings { threads, isa: None });
    let device = device.map_err(|error| format!("could not use the processor: {error}"))?;
    let mut suite = Suite {
        subject,
        device,
        file,
        folder: folder.path().to_owned(),
        info: ModelInfo::default(),
        most: EngineMost::default(),
    };
    let mut checks = Checks::default();
    let opens = suite.opens();
    let is_open = matches!(&opens, Ok(Outcome::Fine));
    checks.note("it opens the model", opens);
    let damaged = suite.damaged();
    checks.note(
        "a damaged file ends in a refusal and in nothing worse",
        damaged,
    );
    if is_open {
        requests::run(&mut suite, &mut checks);
        odd::run(&mut suite, &mut checks);
    }
    Ok((checks.0, suite.most))
}

impl Suite<'_> {
    fn opens(&mut self) -> Result<Outcome, String> {
        let mut model = match self.open(&self.file) {
            Ok(model) => model,
            Err(OpenError::Refused(error)) if self.subject.model.is_none() => {
                return Ok(Outcome::LeftOut(format!(
                    "it does not take the small model of this program, name another by `--model FILE`: {error}"
                )));
            }
            Err(error) => return Err(error.to_string()),
        };
        self.info = model.info().map_err(|fault| fault.to_string())?;
        let info = &self.info;
        let can = info.abilities;
        for (is_wrong, what) in [
            (info.context_tokens == 0, "it has no room for a token"),
            (info.sequences == 0, "it has no room for a request"),
            (info.vocabulary == 0, "it knows no token"),
            (
                can.embed != (info.embedding_width > 0),
                "whether it embeds and how wide its vectors are do not fit",
            ),
            (
                !can.chat && !can.complete && !can.embed,
                "it can do nothing",
            ),
        ] {
            if is_wrong {
                return Err(format!("{what}: {info:?}"));
            }
        }
        let again = model.info().map_err(|fault| fault.to_string())?;
        if again != *info {
            return Err("it says another thing of the model the second time".to_owned());
        }
        Ok(Outcome::Fine)
    }

    /// Files that end early, that are nothing, and in whose beginning one byte is another.
    fn damaged(&mut self) -> Result<Outcome, String> {
        let mut whole = Vec::new();
        std::fs::File::open(&self.file)
            .and_then(|file| {
                use std::io::Read as _;
                file.take(DAMAGED_BYTES_MAX as u64).read_to_end(&mut whole)
            })
            .map_err(|error| format!("could not read `{}`: {error}", self.file.display()))?;
        let length = whole.len();
        let mut damaged: Vec<(String, Vec<u8>)> = [0, 1, 16, length / 2, length.saturating_sub(1)]
            .into_iter()
            .map(|kept| {
                let bytes = whole.get(..kept).unwrap_or_default().to_vec();
                (format!("it ends after {kept} bytes"), bytes)
            })
            .collect();
        damaged.push(("it is zeros".to_owned(), vec![0; 4_096]));
        for at in (0..64).step_by(8).chain([128, 256, 512, 1_024]) {
            let mut bytes = whole.clone();
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 0xff;
                damaged.push((format!("byte {at} is another"), bytes));
            }
        }
        for (what, bytes) in damaged {
            let file = keep(&self.folder, "damaged.gguf", &bytes)?;
            match self.open(&file) {
                Ok(_) | Err(OpenError::Refused(_)) => {}
                Err(error) => return Err(format!("{what}: {error}")),
            }
        }
        Ok(Outcome::Fine)
    }

    fn open(&self, file: &Path) -> Result<Model, OpenError> {
        let source = SourceFile::open(file).map_err(OpenError::Refused)?;
        Model::open(Opening {
            plugin: self.subject.plugin,
            compiled: self.subject.compiled,
            files: vec![source],
            draft: None,
            settings: Settings::default(),
            device: self.device.clone(),
            memory_bytes: TRIAL_ENGINE_BYTES,
            timeouts: Timeouts::default(),
        })
    }

    /// The model, open and without a request.
    fn fresh(&self) -> Result<Model, String> {
        self.open(&self.file).map_err(|error| error.to_string())
    }

    /// Hands these over and steps until each is over. A request that was refused has no listener.
    fn all(
        &mut self,
        model: &mut Model,
        works: Vec<Work>,
    ) -> Result<Vec<Result<Listener, Error>>, String> {
        let mut living = BTreeMap::new();
        let mut refused = BTreeMap::new();
        for (id, work) in (1_u64..).zip(works) {
            let listener = listener(&work);
            match model.submit(id, work).map_err(|fault| fault.to_string())? {
                Ok(()) => drop(living.insert(id, listener)),
                Err(error) => drop(refused.insert(id, error)),
            }
        }
        self.steps(model, &mut living)?;
        let mut all: BTreeMap<u64, _> = refused
            .into_iter()
            .map(|(id, error)| (id, Err(error)))
            .collect();
        all.extend(living.into_iter().map(|(id, listener)| (id, Ok(listener))));
        Ok(all.into_values().collect())
    }

    /// Steps until every request is over.
    fn steps(
        &mut self,
        model: &mut Model,
        living: &mut BTreeMap<u64, Listener>,
    ) -> Result<(), String> {
        for _ in 0..TRIAL_STEPS {
            if living.values().all(|listener| listener.end.is_some()) {
                self.weigh(model);
                return Ok(());
            }
            self.step(model, living)?;
        }
        Err(format!("requests had no end after {TRIAL_STEPS} steps"))
    }

    /// One step.
    fn step(
        &mut self,
        model: &mut Model,
        living: &mut BTreeMap<u64, Listener>,
    ) -> Result<(), String> {
        let mut events = Vec::new();
        let started = Instant::now();
        let stepped = model.step(&mut events).map_err(|fault| fault.to_string())?;
        let took = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.most.steps += 1;
        self.most.longest_step_us = self.most.longest_step_us.max(took);
        stepped.map_err(|error| format!("a step failed: {error}"))?;
        for tagged in events {
            let listener = living.get_mut(&tagged.request);
            let listener = listener.ok_or_else(|| {
                format!(
                    "something happened to request {}, which is none",
                    tagged.request
                )
            })?;
            listener.take(tagged.event)?;
        }
        Ok(())
    }

    fn weigh(&mut self, model: &Model) {
        let memory = model.memory();
        let most = &mut self.most;
        most.guest_memory_bytes = most.guest_memory_bytes.max(memory.guest_memory_bytes);
        most.host_memory_bytes = most.host_memory_bytes.max(memory.host_memory_bytes);
    }
}

/// Whoever hears of this request.
fn listener(work: &Work) -> Listener {
    match work {
        Work::Generate(generation) => Listener::new(generation.choices as usize, 0),
        Work::Embed(inputs) => Listener::new(0, inputs.len()),
    }
}

fn keep(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, String> {
    let path = folder.join(name);
    std::fs::write(&path, bytes)
        .map_err(|error| format!("could not write `{}`: {error}", path.display()))?;
    Ok(path)
}

/// How much of a named model is read to be damaged: its header, in which everything else is named.
const DAMAGED_BYTES_MAX: usize = 8 << 20;
