//! Setting a machine up: in a browser, in a terminal, or from a file, by the same steps.
//!
//! Decides whether the setup is open, who is let into it, and what is remembered of it. A step only plans
//! (`host::installer`), and what it plans is carried out, undone and watched by `act`; this is what lies between them and
//! the people. Refuses to know HTTP and terminals.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use skep_core::install::RunId;
use tokio::sync::Semaphore;

pub(crate) mod conformance;
pub mod convert;
mod drawer;
pub mod facts;
pub mod flow;
mod form;
mod hands;
pub mod overview;
pub mod runs;
mod secret;
mod settings;
mod state;
mod steps;
pub mod trials;

pub use self::flow::Leave;
pub use self::form::Misfit;
pub use self::secret::OneTime;
pub use self::settings::SettingError;

use self::runs::{Latest, lock};
use self::secret::Link;
use self::settings::SettingsFile;
use self::state::{Kept, Part};
use self::steps::Loaded;
use crate::act::helper::SOCKETS;
use crate::act::{ActError, Drift, Executor, Workplace};
use crate::host::Fault;
use crate::host::installer::Facts;
use crate::keys::unix_now_s;
use crate::limits::{SETUP_LOOKS_MAX, SETUP_PARTS_MAX};
use crate::paths::Paths;
use crate::services::{ServiceError, file};
use crate::wire;

/// The setup of this node.
#[derive(Debug)]
pub struct Setup {
    path: PathBuf,
    kept: Mutex<Kept>,
    /// Why nothing of it can be read or changed; what was kept is left as it is.
    damaged: Option<String>,
    settings: SettingsFile,
    /// Settings were changed that hold from the next start.
    restart: AtomicBool,
    executor: Result<Arc<Executor>, String>,
    loaded: Loaded,
    /// All of them are being loaded.
    warmed: AtomicBool,
    facts: Mutex<KnownFacts>,
    latest: Mutex<Option<Latest>>,
    /// The newest run that broke off, and why.
    broken: Mutex<Option<(RunId, String)>>,
    /// Parts that were seen to have drifted.
    drifted: Mutex<BTreeSet<String>>,
    /// Places for those who have steps asked.
    room: Arc<Semaphore>,
    /// The tests are run.
    testing: AtomicBool,
}

/// What was gathered for each part, and when.
type KnownFacts = BTreeMap<String, (Instant, Arc<Facts>)>;

/// Why the setup does not go on.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("the setup of this node is finished")]
    Closed,
    #[error(
        "the setup of this node is finished: only the agent's own settings are changed from afar"
    )]
    OnlyHere,
    #[error("this link is not good: it was used, is too old, or a newer one was made")]
    Link,
    #[error("what is kept of the setup is damaged: {0}")]
    Damaged(String),
    #[error("the system has no randomness to give: {0}")]
    Random(getrandom::Error),
    #[error(transparent)]
    File(#[from] ServiceError),
    #[error("there is no part `{0}` of a setup here")]
    NoPart(String),
    #[error("there is no run `{0}`")]
    NoRun(String),
    #[error("the run broke off: {0}")]
    Broke(String),
    #[error("{0}")]
    Plugin(String),
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(transparent)]
    Misfit(#[from] Misfit),
    #[error("`{part}` does not ask for `{question}`")]
    Unasked { part: String, question: String },
    /// By question.
    #[error("{}", open(.0))]
    Open(Vec<(String, String)>),
    #[error("there is no plan: {0}")]
    Refused(String),
    #[error("the plugin planned what makes no sense: {0}")]
    Nonsense(String),
    #[error("the plan has changed since it was shown")]
    PlanChanged,
    #[error("something is in the way: {0}")]
    InTheWay(String),
    #[error("some of it needs root: type `{0}` on that machine, and leave it open")]
    NoRoot(String),
    #[error(transparent)]
    Act(#[from] ActError),
    #[error("nothing can be carried out here: {0}")]
    NoExecutor(String),
    #[error("too many look at the setup at once")]
    Crowded,
    #[error("the system gives no thread")]
    Thread(#[source] std::io::Error),
    #[error("what was asked for broke off inside the agent")]
    BrokenOff,
}

/// A link that was just made.
#[derive(Debug)]
pub struct NewLink {
    pub secret: OneTime,
    pub until_unix_s: u64,
}

impl NewLink {
    /// What a browser is given. What stands after `#` it sends to nobody, so that it is in no log.
    #[must_use]
    pub fn at(&self, agent_url: &str) -> wire::SetupLink {
        wire::SetupLink {
            url: format!("{agent_url}/#setup={}", self.secret.reveal()),
            until_unix_s: self.until_unix_s,
        }
    }
}

impl Setup {
    /// Reads what is kept. Where that cannot be understood the setup counts as finished: somebody may have closed it.
    /// `settings` is the operator's file.
    #[must_use]
    pub fn open(paths: &Paths, settings: PathBuf) -> Self {
        let path = paths.setup_file();
        let (kept, damaged) = match file::read(&path) {
            Ok(kept) => (kept.unwrap_or_default(), None),
            Err(error) => {
                let why = error.to_string();
                tracing::error!(
                    why,
                    "the setup is closed: what is kept of it cannot be read"
                );
                (Kept::default(), Some(why))
            }
        };
        let executor = Executor::open(&workplace(paths));
        let executor = executor.map(Arc::new).map_err(|error| {
            tracing::warn!(%error, "nothing can be set up here");
            error.to_string()
        });
        Self {
            path,
            kept: Mutex::new(kept),
            damaged,
            settings: SettingsFile::new(settings),
            restart: AtomicBool::new(false),
            executor,
            loaded: Loaded::default(),
            warmed: AtomicBool::new(false),
            facts: Mutex::default(),
            latest: Mutex::default(),
            broken: Mutex::default(),
            drifted: Mutex::default(),
            room: Arc::new(Semaphore::new(SETUP_LOOKS_MAX)),
            testing: AtomicBool::new(false),
        }
    }

    /// The operator's file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.settings.path()
    }

    /// Whether somebody may still be let in.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.damaged.is_none() && self.kept().closed_unix_s.is_none()
    }

    /// A new link; the one before is good no longer. Blocks on the disk.
    ///
    /// # Errors
    /// When the setup is finished, or it cannot be kept.
    pub fn link(&self) -> Result<NewLink, SetupError> {
        let secret = OneTime::generate().map_err(SetupError::Random)?;
        let link = Link::to(&secret, unix_now_s());
        let until_unix_s = link.until_unix_s();
        self.change(|kept| {
            if kept.closed_unix_s.is_some() {
                return Err(SetupError::Closed);
            }
            kept.link = Some(link);
            Ok(())
        })?;
        Ok(NewLink {
            secret,
            until_unix_s,
        })
    }

    /// Takes a link's secret, which is then used up. Blocks on the disk.
    ///
    /// # Errors
    /// When it is not good, the setup is finished, or that it was used cannot be kept.
    pub fn enter(&self, presented: &str) -> Result<(), SetupError> {
        self.enter_at(presented, unix_now_s())
    }

    fn enter_at(&self, presented: &str, now_unix_s: u64) -> Result<(), SetupError> {
        self.change(|kept| {
            if kept.closed_unix_s.is_some() {
                return Err(SetupError::Closed);
            }
            let link = kept.link.as_ref().ok_or(SetupError::Link)?;
            if !link.admits(presented, now_unix_s) {
                return Err(SetupError::Link);
            }
            kept.link = None;
            Ok(())
        })
    }

    /// Closes the setup for good. Blocks on the disk.
    ///
    /// # Errors
    /// When that cannot be kept.
    pub fn close(&self) -> Result<(), SetupError> {
        self.change(|kept| {
            kept.closed_unix_s = kept.closed_unix_s.or_else(|| Some(unix_now_s()));
            kept.link = None;
            Ok(())
        })
    }

    /// Changes what is kept; it is durable before this returns, or nothing has changed.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Kept) -> Result<T, SetupError>,
    ) -> Result<T, SetupError> {
        if let Some(why) = &self.damaged {
            return Err(SetupError::Damaged(why.clone()));
        }
        let mut kept = self.kept();
        let mut changed = kept.clone();
        let told = change(&mut changed)?;
        file::write(&self.path, &changed)?;
        *kept = changed;
        Ok(told)
    }

    /// Changes what is kept of a part. Blocks on the disk.
    fn change_part(&self, part: &str, change: impl FnOnce(&mut Part)) -> Result<(), SetupError> {
        self.change(|kept| {
            if !kept.parts.contains_key(part) && kept.parts.len() >= SETUP_PARTS_MAX {
                // Of plugins that were here once.
                kept.parts.retain(|_, part| part.run.is_some());
            }
            change(kept.parts.entry(part.to_owned()).or_default());
            Ok(())
        })
    }

    fn part(&self, part: &str) -> Part {
        self.kept().parts.get(part).cloned().unwrap_or_default()
    }

    fn parts(&self) -> BTreeMap<String, Part> {
        self.kept().parts.clone()
    }

    fn executor(&self) -> Result<Arc<Executor>, SetupError> {
        self.executor.clone().map_err(SetupError::NoExecutor)
    }

    /// What makes root available.
    fn helper_command(&self) -> String {
        format!("sudo skep helper --for {}", user())
    }

    fn settings(&self) -> &SettingsFile {
        &self.settings
    }

    fn restart_is_needed(&self) {
        self.restart.store(true, Ordering::Relaxed);
    }

    fn needs_restart(&self) -> bool {
        self.restart.load(Ordering::Relaxed)
    }

    fn facts(&self) -> MutexGuard<'_, KnownFacts> {
        lock(&self.facts)
    }

    fn latest(&self) -> MutexGuard<'_, Option<Latest>> {
        lock(&self.latest)
    }

    /// A run is over; `why` it broke off, if it did.
    fn ended(&self, run: &RunId, why: Option<String>) {
        // The machine is another now.
        self.facts().clear();
        lock(&self.drifted).clear();
        *lock(&self.broken) = why.map(|why| (run.clone(), why));
    }

    fn broken(&self, run: &str) -> Option<String> {
        let broken = lock(&self.broken);
        let (id, why) = broken.as_ref()?;
        (id.as_str() == run).then(|| why.clone())
    }

    fn drifted(&self, found: &[Drift]) {
        *lock(&self.drifted) = found.iter().map(|drift| drift.part.clone()).collect();
    }

    fn has_drifted(&self, part: &str) -> bool {
        lock(&self.drifted).contains(part)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

/// Where this agent's executor works.
fn workplace(paths: &Paths) -> Workplace {
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .filter(|home| home.is_absolute());
    let folders = [&paths.config, &paths.data, &paths.state, &paths.cache];
    let own = folders.into_iter().cloned().chain(home.clone());
    Workplace {
        root: PathBuf::from("/"),
        journal: paths.state.join("setup"),
        own: own.collect(),
        home,
        helper: Some(helper_socket()),
    }
}

/// Where the helper of whoever runs this agent listens.
fn helper_socket() -> PathBuf {
    let uid = rustix::process::geteuid().as_raw();
    Path::new("/").join(SOCKETS).join(format!("{uid}.sock"))
}

/// Who runs this agent: by name where that is known, else by number.
fn user() -> String {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut found = accounts.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number == uid).then(|| name.to_owned())
    });
    found.next().unwrap_or(uid)
}

/// What is open, for people.
fn open(problems: &[(String, String)]) -> String {
    let problems = problems
        .iter()
        .map(|(question, what)| format!("`{question}`: {what}"));
    problems.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(paths: &Paths) -> Setup {
        Setup::open(paths, paths.config_file())
    }

    #[test]
    fn a_link_is_good_once_and_none_after_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::under(folder.path()).unwrap();
        paths.create().unwrap();
        let setup = open(&paths);
        assert!(setup.is_open());
        assert!(matches!(setup.enter(""), Err(SetupError::Link)));
        let old = setup.link().unwrap().secret;
        let link = setup.link().unwrap();
        let text = std::fs::read_to_string(paths.setup_file()).unwrap();
        assert!(!text.contains(link.secret.reveal()));
        assert!(matches!(setup.enter(old.reveal()), Err(SetupError::Link)));
        let late = setup.enter_at(link.secret.reveal(), link.until_unix_s);
        assert!(matches!(late, Err(SetupError::Link)));
        // A restart changes nothing about it.
        let setup = open(&paths);
        setup.enter(link.secret.reveal()).unwrap();
        assert!(matches!(
            setup.enter(link.secret.reveal()),
            Err(SetupError::Link)
        ));
        let unused = setup.link().unwrap().secret;
        setup.close().unwrap();
        for setup in [setup, open(&paths)] {
            assert!(!setup.is_open());
            assert!(matches!(
                setup.enter(unused.reveal()),
                Err(SetupError::Closed)
            ));
            assert!(matches!(setup.link(), Err(SetupError::Closed)));
        }
    }

    #[test]
    fn what_cannot_be_read_lets_nobody_in_and_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::under(folder.path()).unwrap();
        paths.create().unwrap();
        for text in [
            "",
            "{",
            r#"{"version":9}"#,
            r#"{"version":1,"closed_unix_s":"maybe"}"#,
        ] {
            std::fs::write(paths.setup_file(), text).unwrap();
            let setup = open(&paths);
            assert!(!setup.is_open(), "{text}");
            assert!(
                matches!(setup.link(), Err(SetupError::Damaged(_))),
                "{text}"
            );
            assert!(setup.close().is_err());
            assert_eq!(std::fs::read_to_string(paths.setup_file()).unwrap(), text);
        }
    }
}
