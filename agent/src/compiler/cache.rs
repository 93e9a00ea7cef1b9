//! Compiled components on disk, by the digest of what they were compiled from.
//!
//! Decides when to compile and what to trust: only files in a folder of this user alone, made by our own child, whose digest is
//! what it was when they were made. A damaged file is compiled again.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::sync::{Mutex, watch};

use super::sealed;
use crate::host::{InspectError, World, hex, inspect};
use crate::limits::{CHILD_STDERR_BYTES, COMPILED_FILES};

/// Raised when the compiler's settings change, so that older files are not even tried.
const REVISION: u32 = 2;

/// How many compilers work for this process: whoever waits for a start wants to know that it is not hung.
static AT_WORK: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

/// Tells how many compilers this process waits for, whenever that changes.
pub(crate) fn at_work() -> watch::Receiver<usize> {
    AT_WORK.subscribe()
}

/// One compiler at work, however it ends.
struct AtWork;

impl AtWork {
    fn begin() -> Self {
        AT_WORK.send_modify(|count| *count += 1);
        Self
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        AT_WORK.send_modify(|count| *count -= 1);
    }
}

/// The cache. Copies share it.
#[derive(Clone, Debug)]
pub struct Compiled {
    dir: PathBuf,
    executable: PathBuf,
    /// One compilation at a time: each takes all cores, and two of one component would be waste.
    turn: Arc<Mutex<()>>,
    /// wasmtime refused one that came with this program.
    sealed_is_stale: Arc<AtomicBool>,
}

/// Why there is no compiled component. Nothing of it stays.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("the folder `{}` of compiled plugins must belong to this user and to nobody else", .0.display())]
    Exposed(PathBuf),
    #[error("could not use the folder `{}` of compiled plugins", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Component(#[from] InspectError),
    #[error("could not start the compiler")]
    Start(#[source] io::Error),
    #[error("the compiler took longer than {limit_s} s")]
    TooSlow { limit_s: u64 },
    #[error(
        "the compiler was stopped by signal {signal}: it took more than {limit_s} s of processor time or too much memory"
    )]
    Stopped { signal: i32, limit_s: u64 },
    /// What the compiler said.
    #[error("{0}")]
    Refused(String),
}

impl Compiled {
    /// Opens the cache in `dir`, which is made with mode 0700 when absent. `executable` is this program.
    ///
    /// # Errors
    /// `Exposed` when others may write there, `Folder` when it cannot be made.
    pub fn open(dir: PathBuf, executable: PathBuf) -> Result<Self, CompileError> {
        let folder = |source| CompileError::Folder {
            path: dir.clone(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(folder)?;
        let metadata = std::fs::metadata(&dir).map_err(folder)?;
        if metadata.mode() & 0o022 != 0 || metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(CompileError::Exposed(dir));
        }
        Ok(Self {
            dir,
            executable,
            turn: Arc::new(Mutex::new(())),
            sealed_is_stale: Arc::default(),
        })
    }

    /// The compiled form of a component, compiled now unless it was before.
    ///
    /// # Errors
    /// See [`CompileError`].
    pub async fn obtain(&self, world: World, component: &[u8]) -> Result<PathBuf, CompileError> {
        let inspection = inspect(component)?;
        let path = self.dir.join(format!(
            "{}-{}-r{REVISION}.cwasm",
            inspection.digest,
            world.name()
        ));
        let _turn = self.turn.lock().await;
        if is_intact(path.clone()).await {
            return Ok(path);
        }
        self.make(world, component, &path).await?;
        self.prune(&path);
        Ok(path)
    }

    /// Copies this program to `output` with the compiled forms of `components` behind it, so that its first start need not
    /// compile them.
    ///
    /// # Errors
    /// See [`CompileError`]; `output` may then be there in part.
    pub async fn seal(
        &self,
        output: &Path,
        components: &[(World, &[u8])],
    ) -> Result<(), CompileError> {
        let folder = |source| CompileError::Folder {
            path: self.dir.clone(),
            source,
        };
        let mut compiled = Vec::with_capacity(components.len());
        for (world, component) in components {
            let path = self.obtain(*world, component).await?;
            let name = path.file_name().unwrap_or_default();
            let bytes = std::fs::read(&path).map_err(folder)?;
            compiled.push((name.to_string_lossy().into_owned(), bytes));
        }
        sealed::append(&self.executable, output, &compiled).map_err(folder)
    }

    /// Removes a compiled component that wasmtime refused, so that the next `obtain` compiles it again.
    pub fn forget(&self, path: &Path) {
        // It may have come with this program, made on another machine.
        self.sealed_is_stale.store(true, Ordering::Relaxed);
        // A file that cannot be removed is found to be stale again, and reported then.
        let _ = std::fs::remove_file(digest_path(path));
        let _ = std::fs::remove_file(path);
    }

    /// Makes the compiled file and its digest.
    async fn make(&self, world: World, component: &[u8], path: &Path) -> Result<(), CompileError> {
        let folder = |source| CompileError::Folder {
            path: self.dir.clone(),
            source,
        };
        // Everything in it goes away with it, whatever happens.
        let workshop = tempfile::Builder::new()
            .prefix(".compile-")
            .tempdir_in(&self.dir)
            .map_err(folder)?;
        let (input, output) = (
            workshop.path().join("in.wasm"),
            workshop.path().join("out.cwasm"),
        );
        if !self.take_sealed(path, &output).await {
            std::fs::write(&input, component).map_err(folder)?;
            self.run_child(world, &input, &output).await?;
        }
        self.install(&output, path).await.map_err(folder)
    }

    /// Whether this program brought the compiled form along.
    async fn take_sealed(&self, path: &Path, output: &Path) -> bool {
        if self.sealed_is_stale.load(Ordering::Relaxed) {
            return false;
        }
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let (executable, output) = (self.executable.clone(), output.to_owned());
        let extract = move || {
            // What is damaged or half there is compiled instead.
            let extracted = sealed::extract(&executable, &name, &output);
            if !matches!(extracted, Ok(true)) {
                let _ = std::fs::remove_file(&output);
            }
            extracted.unwrap_or(false)
        };
        tokio::task::spawn_blocking(extract).await.unwrap_or(false)
    }

    async fn install(&self, made: &Path, path: &Path) -> io::Result<()> {
        let digest = digest_of(made.to_owned()).await?;
        // First the old digest is removed, last the new one is put there: a file without one is not trusted.
        let sidecar = digest_path(path);
        match std::fs::remove_file(&sidecar) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::fs::rename(made, path)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(digest.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&sidecar).map_err(|error| error.error)?;
        File::open(&self.dir).and_then(|dir| dir.sync_all())
    }

    async fn run_child(
        &self,
        world: World,
        input: &Path,
        output: &Path,
    ) -> Result<(), CompileError> {
        let _at_work = AtWork::begin();
        let mut child = Command::new(&self.executable)
            .args(["compile", "--world", world.name()])
            .args([input, output])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(CompileError::Start)?;
        let mut said = Vec::new();
        let stderr = child.stderr.take();
        let finish = async {
            if let Some(stderr) = stderr {
                // What cannot be read is not said; the exit status decides.
                let _ = stderr
                    .take(CHILD_STDERR_BYTES as u64)
                    .read_to_end(&mut said)
                    .await;
            }
            child.wait().await
        };
        let bytes = std::fs::metadata(input).map_or(0, |about| about.len());
        let patience = super::patience(bytes);
        let status = match tokio::time::timeout(patience, finish).await {
            Ok(status) => status.map_err(CompileError::Start)?,
            Err(_) => {
                let limit_s = patience.as_secs();
                return Err(CompileError::TooSlow { limit_s });
            }
        };
        match (status.success(), status.signal()) {
            (true, _) => Ok(()),
            // The compiler aborts when it gets no memory, and is killed when it takes too long.
            (false, Some(signal)) => Err(CompileError::Stopped {
                signal,
                limit_s: super::cpu(bytes).as_secs(),
            }),
            (false, None) => Err(CompileError::Refused(
                String::from_utf8_lossy(&said).trim().to_owned(),
            )),
        }
    }

    /// Removes the oldest files over the limit, never `keep`.
    fn prune(&self, keep: &Path) {
        let Ok(entries) = std::fs::read_dir(&self.dir) else {
            return;
        };
        let mut files: Vec<_> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "cwasm")
                    && path != keep
            })
            .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
            .collect();
        files.sort();
        let over = (files.len() + 1).saturating_sub(COMPILED_FILES);
        for (_, path) in files.iter().take(over) {
            self.forget(path);
        }
    }
}

fn digest_path(path: &Path) -> PathBuf {
    path.with_extension("cwasm.sha256")
}

/// Whether a compiled file is there and is what it was when it was made.
async fn is_intact(path: PathBuf) -> bool {
    let Ok(expected) = std::fs::read_to_string(digest_path(&path)) else {
        return false;
    };
    digest_of(path).await.is_ok_and(|found| found == expected)
}

async fn digest_of(path: PathBuf) -> io::Result<String> {
    let read = move || {
        let mut hasher = Sha256::new();
        io::copy(&mut File::open(path)?, &mut hasher)?;
        Ok(hex(&hasher.finalize()))
    };
    tokio::task::spawn_blocking(read)
        .await
        .map_err(io::Error::other)?
}
