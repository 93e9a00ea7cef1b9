//! A fleet to try things on, and the guests to try.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use skep::fleet::{
    Component, Exchange, Fleet, FleetSettings, LoadError, ModelSpec, Plugin, ReplicaId,
    ReplicaStatus,
};
use skep::protocol::{Event, FileSource, Generation, Prompt, Sampling, Settings, Timeouts, Work};
use tempfile::TempDir;

/// Longer than anything here takes, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Bench {
    pub(crate) fleet: Fleet,
    dir: TempDir,
}

impl Bench {
    /// A fleet that has every guest as an engine plugin, with limits short enough to wait for.
    pub(crate) fn new() -> Self {
        Self::with(Timeouts {
            open: Duration::from_secs(2),
            step: Duration::from_secs(1),
            submit: Duration::from_secs(1),
            stall: Duration::from_secs(20),
            ..Timeouts::default()
        })
    }

    pub(crate) fn with(timeouts: Timeouts) -> Self {
        let plugins = ["echo", "wayward"].map(|name| Plugin {
            name: name.to_owned(),
            component: Component::Path(guest(name)),
        });
        let settings = FleetSettings {
            executable: env!("CARGO_BIN_EXE_skep").into(),
            cache_dir: cache(),
            plugins: plugins.into(),
        };
        let fleet = Fleet::start_with(settings, timeouts).unwrap();
        Self {
            fleet,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// Loads the wayward engine with a vice.
    pub(crate) async fn wayward(&self, name: &str, vice: &str) -> Result<ReplicaId, LoadError> {
        let path = self.file(name, vice.as_bytes());
        self.load(name, "wayward", &path).await
    }

    pub(crate) async fn echo(&self, name: &str) -> ReplicaId {
        let path = self.file(name, b"");
        self.load(name, "echo", &path).await.unwrap()
    }

    pub(crate) async fn load(
        &self,
        name: &str,
        plugin: &str,
        path: &Path,
    ) -> Result<ReplicaId, LoadError> {
        let spec = ModelSpec {
            name: name.to_owned(),
            files: vec![FileSource::Path(path.to_owned())],
            draft: None,
            plugin: plugin.to_owned(),
            devices: Vec::new(),
            settings: Settings::default(),
            threads: Some(1),
            computes_on: Default::default(),
            memory_bytes: Some(1 << 30),
        };
        tokio::time::timeout(PATIENCE, self.fleet.load(spec))
            .await
            .unwrap()
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn status(&self, id: ReplicaId) -> ReplicaStatus {
        self.fleet
            .replicas()
            .into_iter()
            .find(|replica| replica.id == id)
            .unwrap()
    }

    /// Waits until a replica is as wanted.
    pub(crate) async fn until(
        &self,
        id: ReplicaId,
        is_it: impl Fn(&ReplicaStatus) -> bool,
    ) -> ReplicaStatus {
        let mut changes = self.fleet.changes();
        let wait = async {
            loop {
                let status = self.status(id);
                if is_it(&status) {
                    return status;
                }
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap()
    }

    /// Proves that another model answers while something else goes wrong.
    pub(crate) async fn check_echo(&self, id: ReplicaId) {
        let (text, last) = all(self.fleet.submit(id, work("one two three", None)).unwrap()).await;
        assert_eq!(text, "one two three");
        assert!(matches!(last, Event::Done(_)), "{last:?}");
    }
}

pub(crate) fn work(prompt: &str, max_tokens: Option<u32>) -> Work {
    Work::Generate(Generation {
        prompt: Prompt::Text(prompt.to_owned()),
        sampling: Sampling::default(),
        max_tokens,
        stop: Vec::new(),
        ignore_end: false,
        choices: 1,
        logprobs: None,
        echo: false,
        continued: Vec::new(),
    })
}

pub(crate) async fn next(exchange: &mut Exchange) -> Option<Event> {
    tokio::time::timeout(PATIENCE, exchange.recv())
        .await
        .unwrap()
}

/// The whole answer and its last event.
pub(crate) async fn all(mut exchange: Exchange) -> (String, Event) {
    let (mut text, mut last) = (String::new(), None);
    while let Some(event) = next(&mut exchange).await {
        if let Event::Gained(gain) = &event {
            text.push_str(&gain.text);
        }
        last = Some(event);
    }
    (text, last.unwrap())
}

/// The component of a crate in `tests/guests`, built now unless it is fresh.
pub(crate) fn guest(name: &str) -> PathBuf {
    // One at a time: cargo's own lock would do, and would say so on the terminal.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let target = target();
    let built = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--profile",
            "plugin",
            "--target",
            "wasm32-wasip2",
            "--lib",
            "--package",
            name,
        ])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .status()
        .unwrap();
    assert!(built.success(), "the guest `{name}` could not be built");
    target
        .join("wasm32-wasip2/plugin")
        .join(format!("{name}.wasm"))
}

/// Compiled components live on between runs.
pub(crate) fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled")
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .to_owned()
}
