//! Putting skep on a machine, step by step; each looks first whether it is done.

use std::time::Duration;

use serde::Deserialize;

use super::command::Input;
use super::error::SshError;
use super::program::Program;
use super::record::{Record, Records, Step};
use super::scripts::{FOLDERS, JOIN, PLACE, READY, START, UNIT, UNIT_TEXT};
use super::session::Session;
use super::survey::Survey;
use crate::limits::{SSH_COMMAND_TIMEOUT, SSH_JOIN_TIMEOUT, SSH_PLACE_TIMEOUT, SSH_START_TIMEOUT};

/// What is to be done on one machine.
pub struct Job<'a> {
    pub session: &'a Session,
    pub survey: &'a Survey,
    pub program: &'a Program,
    pub records: &'a Records,
    /// Makes a token that lets one machine in: its id, and its text.
    pub token: &'a (dyn Fn() -> Result<(String, String), String> + Send + Sync),
    /// The node that came with a token.
    pub node: &'a (dyn Fn(&str) -> Result<Option<String>, String> + Send + Sync),
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// This is done now.
    Doing(&'static str),
    /// So many more bytes are on their way.
    Copied(u64),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Which node it is.
    pub node: String,
    /// What was done; empty when all was as it should be.
    pub done: Vec<&'static str>,
}

/// What is still to be done on a machine, for people.
///
/// # Errors
/// When it cannot be done there.
pub fn steps(survey: &Survey, program: &Program, record: &Record) -> Result<Vec<String>, SshError> {
    fits(survey, program)?;
    let mut steps = Vec::new();
    for folder in survey.lacking() {
        steps.push(format!("make the folder ~/{folder}"));
    }
    if survey.there.as_deref() != Some(program.digest.as_str()) {
        let instead = match &survey.there {
            Some(_) => "; the one that is there is kept as ~/.local/bin/skep.before",
            None => "",
        };
        steps.push(format!(
            "copy `{}` ({} MB, SHA-256 {}…) to ~/.local/bin/skep{instead}",
            program.path.display(),
            program.bytes.div_ceil(1_000_000),
            program.digest.chars().take(12).collect::<String>(),
        ));
    }
    if !survey.runs {
        steps.push(match survey.units {
            true => "write ~/.config/systemd/user/skep.service, and have the user's systemd run it"
                .to_owned(),
            false => "start `skep up`, in a session of its own".to_owned(),
        });
    }
    let joined = record.find(&joined(String::new()));
    if !joined.is_some_and(|written| written.done) {
        steps.push("join this cluster, with a token that is good once".to_owned());
    }
    Ok(steps)
}

/// Does it. What was done before is not done again.
///
/// # Errors
/// See [`SshError`]; what was done is written down, and can be undone or gone on with.
pub async fn install(
    job: Job<'_>,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<Installed, SshError> {
    let target = job.session.target().clone();
    let mut record = job.records.read(&target)?;
    fits(job.survey, job.program)?;
    let mut done = Vec::new();

    // Also those that the agent will make: with it they go away again.
    let step = record.with_folders(&job.survey.missing);
    job.write(&mut record, step.clone(), false)?;
    if job.survey.lacking().next().is_some() {
        tell(Progress::Doing("making folders"));
        job.session
            .done(
                "making folders",
                FOLDERS,
                &[],
                Input::Nothing,
                SSH_COMMAND_TIMEOUT,
            )
            .await?;
        done.push("made folders");
    }
    job.write(&mut record, step, true)?;

    if job.survey.there.as_deref() != Some(job.program.digest.as_str()) {
        tell(Progress::Doing("copying skep"));
        job.copy(&mut record, tell).await?;
        done.push("copied skep");
    }

    if !job.survey.runs {
        tell(Progress::Doing("starting the agent"));
        job.start(&mut record).await?;
        done.push("started the agent");
    }

    let written = record.find(&joined(String::new())).cloned();
    let node = match written.map(|written| (written.step, written.done)) {
        Some((Step::Joined { node, .. }, true)) => node,
        // It may have joined before the connection broke off.
        Some((Step::Joined { token, .. }, _)) => {
            match (job.node)(&token).map_err(SshError::Unfit)? {
                Some(node) => {
                    let step = Step::Joined {
                        token,
                        node: node.clone(),
                    };
                    job.write(&mut record, step, true)?;
                    node
                }
                None => {
                    tell(Progress::Doing("joining"));
                    done.push("joined");
                    job.join(&mut record).await?
                }
            }
        }
        _ => {
            tell(Progress::Doing("joining"));
            done.push("joined");
            job.join(&mut record).await?
        }
    };
    Ok(Installed { node, done })
}

impl Job<'_> {
    async fn copy(
        &self,
        record: &mut Record,
        tell: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), SshError> {
        let step = Step::Placed {
            digest: self.program.digest.clone(),
        };
        self.write(record, step.clone(), false)?;
        let file = tokio::fs::File::open(&self.program.path).await;
        let file = file.map_err(|error| {
            SshError::Unfit(format!(
                "`{}` cannot be read: {error}",
                self.program.path.display()
            ))
        })?;
        let bytes = self.program.bytes.to_string();
        let mut copied = |bytes| tell(Progress::Copied(bytes));
        self.session
            .done(
                "copying skep",
                PLACE,
                &[&self.program.digest, &bytes],
                Input::File(file, &mut copied),
                SSH_PLACE_TIMEOUT,
            )
            .await?;
        self.write(record, step, true)
    }

    async fn start(&self, record: &mut Record) -> Result<(), SshError> {
        let mut process = 0;
        if self.survey.units {
            self.write(record, Step::Unit, false)?;
            let text = Input::Text(UNIT_TEXT.as_bytes());
            self.session
                .done("starting the agent", UNIT, &[], text, SSH_COMMAND_TIMEOUT)
                .await?;
        } else {
            self.write(record, Step::Started { pid: 0 }, false)?;
            let ran = self
                .session
                .done(
                    "starting the agent",
                    START,
                    &[],
                    Input::Nothing,
                    SSH_COMMAND_TIMEOUT,
                )
                .await?;
            let pid = ran
                .output
                .lines()
                .find_map(|line| line.strip_prefix("pid="));
            process = pid.and_then(|pid| pid.trim().parse().ok()).unwrap_or(0);
            // Known before it is waited for: it must be stopped even if it never answers.
            self.write(record, Step::Started { pid: process }, false)?;
        }
        let seconds = SSH_START_TIMEOUT.as_secs().to_string();
        let pid = process.to_string();
        self.session
            .done(
                "starting the agent",
                READY,
                &[&seconds, &pid],
                Input::Nothing,
                SSH_START_TIMEOUT + SLACK,
            )
            .await?;
        let step = match self.survey.units {
            true => Step::Unit,
            false => Step::Started { pid: process },
        };
        self.write(record, step, true)
    }

    async fn join(&self, record: &mut Record) -> Result<String, SshError> {
        let (id, token) = (self.token)().map_err(SshError::Unfit)?;
        self.write(record, joined(id.clone()), false)?;
        let text = Input::Text(token.as_bytes());
        let ran = self
            .session
            .done("joining", JOIN, &[], text, SSH_JOIN_TIMEOUT)
            .await?;
        // What it says of itself is checked against what the cluster knows.
        let _: Said = serde_json::from_str(&ran.output).map_err(|_| {
            SshError::Unfit(format!(
                "`{}` did not say that it has joined",
                self.session.target()
            ))
        })?;
        let node = (self.node)(&id).map_err(SshError::Unfit)?;
        let node = node.ok_or_else(|| {
            SshError::Unfit(format!(
                "`{}` says that it has joined, and the cluster knows nothing of it",
                self.session.target()
            ))
        })?;
        let step = Step::Joined {
            token: id,
            node: node.clone(),
        };
        self.write(record, step, true)?;
        Ok(node)
    }

    fn write(&self, record: &mut Record, step: Step, done: bool) -> Result<(), SshError> {
        record.put(step, done);
        Ok(self.records.write(self.session.target(), record)?)
    }
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Job({})", self.session.target())
    }
}

/// What `skep join --json` says.
#[derive(Deserialize)]
struct Said {
    #[serde(rename = "cluster")]
    _cluster: String,
}

fn joined(token: String) -> Step {
    Step::Joined {
        token,
        node: String::new(),
    }
}

fn fits(survey: &Survey, program: &Program) -> Result<(), SshError> {
    let unfit = |why: String| Err(SshError::Unfit(why));
    if survey.system != "Linux" {
        return unfit(format!("it runs `{}`; skep runs on Linux", survey.system));
    }
    // As some kernels call the same.
    let architecture = match survey.architecture.as_str() {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        other => other,
    };
    if architecture != program.architecture {
        return unfit(format!(
            "its processor is `{architecture}`, and `{}` is for {}; give `--binary FILE` with a skep for {architecture} (`cargo xtask dist` makes one)",
            program.path.display(),
            program.architecture,
        ));
    }
    if !survey.lacks.is_empty() {
        return unfit(format!(
            "it lacks `{}`; install it there",
            survey.lacks.join("`, `")
        ));
    }
    // The copy, and what compiled plugins take.
    let wanted = program.bytes.saturating_add(ROOM_BYTES);
    if let Some(free) = survey.free_bytes
        && survey.there.as_deref() != Some(program.digest.as_str())
        && free < wanted
    {
        return unfit(format!(
            "only {} MB are free where it would go, {} MB are needed",
            free / 1_000_000,
            wanted / 1_000_000
        ));
    }
    Ok(())
}

/// More than the script there waits by itself.
const SLACK: Duration = Duration::from_secs(60);

/// Compiled plugins, a log and an identity.
const ROOM_BYTES: u64 = 100_000_000;
