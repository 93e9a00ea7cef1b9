//! `skep node add`: skep on other machines, over SSH.
//!
//! Decides what is asked and shown, one machine after another, and that the work is then done on several at a time; what
//! is done there is `ssh`'s.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tokio::sync::Semaphore;

mod entering;

use super::arguments::Add;
use super::terminal::{Paint, complain, printable, say};
use super::{Failure, print_json, segment};
use crate::client::Client;
use crate::config::{self, Settings, Source};
use crate::limits::{SSH_AT_ONCE, SSH_HOSTS_MAX, TOKEN_LIFE};
use crate::paths::Paths;
use crate::ssh::{
    Installed, Job, Known, Program, Progress, Records, Session, SshError, Survey, Target, install,
    steps, survey, undo,
};
use crate::wire::{
    ClusterNode, ClusterNodes, Invitation, JoinToken, JoinTokens, NewToken, Version,
};

/// What came of one machine.
#[derive(Debug, Serialize)]
struct Outcome {
    machine: String,
    /// `added`, `unchanged`, `planned`, `undone` or `failed`.
    state: &'static str,
    /// Which node it is.
    node: Option<String>,
    /// What was done there, or would be.
    steps: Vec<String>,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Outcomes {
    machines: Vec<Outcome>,
}

/// A machine that let us in.
struct Entered {
    target: Target,
    session: Session,
    survey: Survey,
}

pub(super) fn add(client: Client, paths: &Paths, wish: &Add) -> Result<(), Failure> {
    let mut wish = wish.clone();
    if wish.identity.is_none() {
        wish.identity = configured(paths)?;
    }
    let wish = &wish;
    let user = std::env::var("USER").ok();
    let targets = wish
        .machines
        .iter()
        .map(|text| Target::parse(text, user.as_deref()));
    let mut targets: Vec<Target> = targets
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::usage(error.to_string()))?;
    targets.sort();
    targets.dedup();
    if targets.len() > SSH_HOSTS_MAX {
        return Err(Failure::usage(format!(
            "at most {SSH_HOSTS_MAX} machines at once"
        )));
    }
    let home = std::env::var_os("HOME");
    let home = home.as_deref().map(Path::new);
    let known = Known::new(paths.state.join("known_hosts"), home);
    let records = Records::in_folder(paths.state.join("machines"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the system gives no threads: {error}")))?;
    let client = Arc::new(client);
    let outcomes = runtime.block_on(async {
        if wish.undo {
            return Ok(take_back(&client, wish, &targets, &known, &records, home).await);
        }
        // Before anything is asked: without an agent here there is nothing to join.
        let _: Version = client.get("/api/v1/version")?;
        let program = program(wish)?;
        put(client, wish, targets, &known, &records, &program, home).await
    })?;
    tell(&Outcomes { machines: outcomes }, wish.json)
}

/// The key that the settings name.
fn configured(paths: &Paths) -> Result<Option<PathBuf>, Failure> {
    let file = paths.config_file();
    let config = config::load(Source::Default(&file), std::env::vars(), &[]);
    let settings = config.and_then(Settings::try_from);
    let settings = settings.map_err(|error| Failure::chain(&error))?;
    Ok(settings.node.ssh_identity)
}

fn program(wish: &Add) -> Result<Program, Failure> {
    let path = match &wish.binary {
        Some(path) => path.clone(),
        None => std::env::current_exe().map_err(|error| {
            Failure::new(format!("cannot tell where this program lies: {error}"))
        })?,
    };
    Program::at(&path).map_err(|error| Failure::chain(&error))
}

/// Asks at each machine in turn, then works on several at a time.
async fn put(
    client: Arc<Client>,
    wish: &Add,
    targets: Vec<Target>,
    known: &Known,
    records: &Records,
    program: &Program,
    home: Option<&Path>,
) -> Result<Vec<Outcome>, Failure> {
    let mut outcomes = Vec::new();
    let mut ready = Vec::new();
    for target in targets {
        match prepare(wish, &target, known, records, program, home).await {
            Ok((entered, steps)) if wish.dry_run => {
                entered.session.leave().await;
                outcomes.push(Outcome::new(&target, "planned", steps));
            }
            Ok((entered, _)) => ready.push(entered),
            Err(error) => outcomes.push(Outcome::failed(&target, &error)),
        }
    }
    let bars = MultiProgress::with_draw_target(match wish.json {
        true => ProgressDrawTarget::hidden(),
        false => ProgressDrawTarget::stderr(),
    });
    let places = Arc::new(Semaphore::new(SSH_AT_ONCE));
    let mut working = tokio::task::JoinSet::new();
    for entered in ready {
        let bar = bar(&bars, &entered.target, program.bytes);
        let (client, places) = (client.clone(), places.clone());
        let (records, program) = (records.clone(), program.clone());
        working.spawn(async move {
            let _place = places.acquire_owned().await;
            let target = entered.target.clone();
            let worked = work(client, entered, &records, &program, &bar).await;
            bar.finish_and_clear();
            match worked {
                Ok(installed) => {
                    let state = if installed.done.is_empty() {
                        "unchanged"
                    } else {
                        "added"
                    };
                    let steps = installed.done.iter().map(|step| (*step).to_owned());
                    let mut outcome = Outcome::new(&target, state, steps.collect());
                    outcome.node = Some(installed.node);
                    outcome
                }
                Err(error) => Outcome::failed(&target, &error),
            }
        });
    }
    outcomes.extend(working.join_all().await);
    outcomes.sort_by(|one, other| one.machine.cmp(&other.machine));
    Ok(outcomes)
}

async fn prepare(
    wish: &Add,
    target: &Target,
    known: &Known,
    records: &Records,
    program: &Program,
    home: Option<&Path>,
) -> Result<(Entered, Vec<String>), SshError> {
    let session = entering::enter(wish, target, known, home).await?;
    let survey = survey(&session).await?;
    let steps = steps(&survey, program, &records.read(target)?)?;
    let entered = Entered {
        target: target.clone(),
        session,
        survey,
    };
    Ok((entered, steps))
}

async fn work(
    client: Arc<Client>,
    entered: Entered,
    records: &Records,
    program: &Program,
    bar: &ProgressBar,
) -> Result<Installed, SshError> {
    let asked = client.clone();
    let token = move || blocking(|| token(&asked));
    let node = move |id: &str| blocking(|| node(&client, id));
    let job = Job {
        session: &entered.session,
        survey: &entered.survey,
        program,
        records,
        token: &token,
        node: &node,
    };
    let shown = bar.clone();
    let mut progress = move |progress| match progress {
        Progress::Doing(what) => shown.set_message(what),
        Progress::Copied(bytes) => shown.inc(bytes),
    };
    let installed = install(job, &mut progress).await;
    entered.session.leave().await;
    installed
}

async fn take_back(
    client: &Arc<Client>,
    wish: &Add,
    targets: &[Target],
    known: &Known,
    records: &Records,
    home: Option<&Path>,
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for target in targets {
        let taken = async {
            if records.read(target)?.steps.is_empty() {
                let all = match records.targets().as_slice() {
                    [] => "nothing was done on any machine".to_owned(),
                    all => format!("something was done on {}", all.join(", ")),
                };
                return Err(SshError::Unfit(format!("nothing was done there: {all}")));
            }
            let session = entering::enter(wish, target, known, home).await?;
            let client = client.clone();
            let dismiss = move |token: &str, node: &str| blocking(|| dismiss(&client, token, node));
            let mut show = |what: &'static str| tracing::debug!(what, "undoing");
            let taken = undo(&session, records, &dismiss, &mut show).await;
            session.leave().await;
            let mut said = taken?;
            known.forget(target)?;
            said.push("forgot its key".to_owned());
            Ok(said)
        };
        outcomes.push(match taken.await {
            Ok(said) => Outcome::new(target, "undone", said),
            Err(error) => Outcome::failed(target, &error),
        });
    }
    outcomes
}

/// Calls the agent here, from a task.
fn blocking<T>(call: impl FnOnce() -> Result<T, Failure>) -> Result<T, String> {
    tokio::task::block_in_place(call).map_err(|failure| failure.message().to_owned())
}

fn token(client: &Client) -> Result<(String, String), Failure> {
    let wish = NewToken {
        role: None,
        name: None,
        ttl_s: Some(TOKEN_LIFE.as_secs()),
    };
    let made: Invitation = client.post("/api/v1/cluster/tokens", &wish)?;
    Ok((made.id, made.token))
}

/// The node that came with a token.
fn node(client: &Client, token: &str) -> Result<Option<String>, Failure> {
    let tokens: JoinTokens = client.get("/api/v1/cluster/tokens")?;
    let used = tokens.tokens.into_iter().find(|known| known.id == token);
    Ok(used.and_then(|known| known.used_by_node))
}

/// Lets a node be a member no more, or nobody come with the token that was meant for it.
fn dismiss(client: &Client, token: &str, node: &str) -> Result<(), Failure> {
    let known = match node {
        "" => self::node(client, token)?,
        node => Some(node.to_owned()),
    };
    let Some(known) = known else {
        // One that is gone lets nobody in either.
        let path = format!("/api/v1/cluster/tokens/{}", segment(token));
        let _: Result<JoinToken, _> = client.delete(&path);
        return Ok(());
    };
    let nodes: ClusterNodes = client.get("/api/v1/cluster/nodes")?;
    if nodes.nodes.iter().any(|node| node.id == known) {
        let path = format!("/api/v1/cluster/nodes/{}", segment(&known));
        let _: ClusterNode = client.delete(&path)?;
    }
    Ok(())
}

fn bar(bars: &MultiProgress, target: &Target, bytes: u64) -> ProgressBar {
    let bar = bars.add(ProgressBar::new(bytes));
    let template = "{spinner:.cyan} {prefix} {msg} {bar:24} {bytes}/{total_bytes} {elapsed:.dim}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(target.to_string());
    bar.enable_steady_tick(TICK);
    bar
}

impl Outcome {
    fn new(target: &Target, state: &'static str, steps: Vec<String>) -> Self {
        Self {
            machine: target.to_string(),
            state,
            node: None,
            steps,
            error: None,
        }
    }

    fn failed(target: &Target, error: &SshError) -> Self {
        Self {
            error: Some(Failure::chain(error).message().to_owned()),
            ..Self::new(target, "failed", Vec::new())
        }
    }
}

fn tell(outcomes: &Outcomes, json: bool) -> Result<(), Failure> {
    if json {
        print_json(outcomes)?;
    } else {
        say(render(outcomes, Paint::for_stdout()))?;
    }
    let failed = outcomes
        .machines
        .iter()
        .filter(|one| one.error.is_some())
        .count();
    if failed == 0 {
        return Ok(());
    }
    let all = outcomes.machines.len();
    Err(
        Failure::new(format!("{failed} of {all} failed")).with_hint(Some(
            "run it again to go on; `--undo` takes back what was done",
        )),
    )
}

fn render(outcomes: &Outcomes, paint: Paint) -> String {
    let mut lines = Vec::new();
    for one in &outcomes.machines {
        let machine = paint.bold(printable(&one.machine));
        match (&one.error, one.state) {
            (Some(error), _) => lines.push(format!(
                "{machine} {} {}",
                paint.red("failed:"),
                printable(error)
            )),
            (None, "added") => lines.push(format!(
                "{machine} {}",
                paint.green("is a node of the cluster")
            )),
            (None, "unchanged") => {
                lines.push(format!("{machine} is a node of the cluster already"))
            }
            (None, "planned") if one.steps.is_empty() => {
                lines.push(format!("{machine}: nothing to do"))
            }
            (None, state) => lines.push(format!("{machine} {state}:")),
        }
        lines.extend(
            one.steps
                .iter()
                .map(|step| format!("  {}", printable(step))),
        );
    }
    lines.join("\n")
}

/// Said while several machines are worked on.
pub(super) fn note(text: &str) {
    complain(&printable(text));
}

/// Sockets, ciphers and what waits for the agent here.
const THREADS: usize = 2;

const TICK: Duration = Duration::from_millis(100);
