//! The helper's side of its socket.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use skep_core::install::{Next, Plan, RunId, Stage};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::session::Session;
use super::super::{ActError, Executor, NoAgent, RunView};
use super::wire::{self, Answer, Ask, VERSION};
use super::{Offer, Policy};
use crate::limits::{HELPER_CLIENTS_MAX, HELPER_IDLE, HELPER_LOOKS};

/// Whoever sits at the helper's terminal.
pub trait Person: Send + Sync {
    /// Whether they agree to that.
    fn agrees(&self, offer: &Offer<'_>) -> bool;

    /// Told once it can be reached.
    fn waits(&self) {}

    /// Told at each change.
    fn hears(&self, run: &RunView);
}

/// A helper for one user.
#[derive(Debug)]
pub struct Serving<'a> {
    /// What does it, and keeps the journal.
    pub executor: Executor,
    /// What it does at all.
    pub policy: Policy,
    /// Whose socket it is.
    pub uid: u32,
    /// Where.
    pub socket: &'a Path,
    /// How long it waits for somebody to want something.
    pub idle: Duration,
}

/// Serves until whoever came last has ended, or nobody wanted anything for long.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve(serving: Serving<'_>, person: Box<dyn Person>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listener = {
        let _inside = runtime.enter();
        listen(serving.socket, serving.uid)?
    };
    let socket = serving.socket.to_owned();
    person.waits();
    runtime.block_on(accept(serving, listener, person));
    // Whatever is under way is whole in its journal.
    runtime.shutdown_background();
    let _ = std::fs::remove_file(socket);
    Ok(())
}

async fn accept(serving: Serving<'_>, listener: tokio::net::UnixListener, person: Box<dyn Person>) {
    let Serving {
        executor,
        policy,
        uid,
        idle,
        ..
    } = serving;
    let (executor, policy) = (Arc::new(executor), Arc::new(policy));
    let person = Arc::<dyn Person>::from(person);
    let room = Arc::new(Semaphore::new(HELPER_CLIENTS_MAX));
    let mut clients = JoinSet::new();
    let mut last: Option<Process> = None;
    let mut quiet_since = Instant::now();
    loop {
        let is_quiet = clients.is_empty();
        let until = quiet_since + idle;
        tokio::select! {
            taken = listener.accept() => {
                let Ok((stream, _)) = taken else { continue };
                let Ok(peer) = stream.peer_cred() else { continue };
                // The socket's mode lets nobody else in; root is let in everywhere.
                if peer.uid() != uid && peer.uid() != 0 {
                    tracing::warn!(uid = peer.uid(), "somebody else asked the helper");
                    continue;
                }
                let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
                let Ok(stream) = stream.into_std() else { continue };
                last = peer.pid().and_then(Process::of).or(last);
                let (executor, policy, person) = (executor.clone(), policy.clone(), person.clone());
                clients.spawn_blocking(move || {
                    let _place = place;
                    if stream.set_nonblocking(false).is_err() {
                        return;
                    }
                    if let Err(error) = converse(stream, &executor, &policy, person.as_ref()) {
                        tracing::warn!(%error, "a client of the helper was shown out");
                    }
                });
            }
            Some(_) = clients.join_next() => quiet_since = Instant::now(),
            () = tokio::time::sleep(HELPER_LOOKS), if is_quiet && last.is_some() => {
                if last.as_ref().is_some_and(Process::is_gone) {
                    break;
                }
            }
            () = tokio::time::sleep_until(until), if is_quiet => break,
        }
    }
}

/// A process, known by when it began: its number may be another's later.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    pid: i32,
    begun: String,
}

impl Process {
    fn of(pid: i32) -> Option<Self> {
        let about = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before may have anything in it, but ends with the last bracket.
        let (_, after) = about.rsplit_once(')')?;
        let begun = after.split_whitespace().nth(19)?.to_owned();
        Some(Self { pid, begun })
    }

    fn is_gone(&self) -> bool {
        Self::of(self.pid).as_ref() != Some(self)
    }
}

/// A socket that only this user may connect to, in a folder that only root may change.
fn listen(socket: &Path, uid: u32) -> io::Result<tokio::net::UnixListener> {
    let folder = socket.parent().ok_or(io::ErrorKind::InvalidInput)?;
    if let Some(above) = folder.parent() {
        std::fs::create_dir_all(above)?;
    }
    match DirBuilder::new().mode(0o755).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let about = std::fs::symlink_metadata(folder)?;
    let own = rustix::process::geteuid().as_raw();
    if !about.is_dir() || about.uid() != own || about.mode() & 0o022 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "`{}` is not a folder that only root may change",
                folder.display()
            ),
        ));
    }
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Nobody can connect before the mode is set: until then it belongs to root and lets in nobody.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let listener = tokio::net::UnixListener::bind(socket);
    rustix::process::umask(before);
    let listener = listener?;
    std::os::unix::fs::chown(socket, Some(uid), None)?;
    std::fs::set_permissions(socket, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers one client until it goes, or says something that makes no sense.
///
/// # Errors
/// What it said, or why the connection broke.
pub fn converse(
    mut stream: UnixStream,
    executor: &Executor,
    policy: &Policy,
    person: &dyn Person,
) -> io::Result<()> {
    let mut session = None;
    match wire::read(&mut stream, HELPER_IDLE)? {
        Some(Ask::Hello { version: VERSION }) => {}
        Some(Ask::Hello { .. }) => {
            return wire::write(&mut stream, &Answer::Hello { version: VERSION });
        }
        Some(_) => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it did not say hello",
            ));
        }
        None => return Ok(()),
    }
    wire::write(&mut stream, &Answer::Hello { version: VERSION })?;
    while let Some(ask) = wire::read::<Ask>(&mut stream, HELPER_IDLE)? {
        let answer = answer(ask, executor, policy, person, &mut session);
        let answer = answer.unwrap_or_else(|error| match error {
            ActError::Forbidden(why) => Answer::Forbidden { why },
            ActError::Refused => Answer::Refused {},
            other => Answer::Failed { why: other.told() },
        });
        wire::write(&mut stream, &answer)?;
    }
    Ok(())
}

fn answer<'a>(
    ask: Ask,
    executor: &'a Executor,
    policy: &Policy,
    person: &dyn Person,
    session: &mut Option<Session<'a>>,
) -> Result<Answer, ActError> {
    match ask {
        Ask::Hello { .. } => Ok(Answer::Hello { version: VERSION }),
        Ask::Preview { plan } => {
            permits(policy, &plan)?;
            Ok(Answer::Previews {
                previews: executor.preview(&plan, &NoAgent)?,
            })
        }
        Ask::Begin {
            run,
            part,
            by,
            plan,
        } => {
            // What was open before is let go of: its journal is whole.
            *session = None;
            permits(policy, &plan)?;
            *session = Some(begin(executor, policy, person, (&run, &part, &by), &plan)?);
            Ok(Answer::Agreed {})
        }
        Ask::CarryOut { action } => carry_out(session.as_mut(), action, person),
        Ask::Undo { action } => undo(session.as_mut(), action, policy, executor, person),
        Ask::Drift {} => Ok(Answer::Drift {
            drift: executor.drift(&NoAgent)?,
        }),
    }
}

fn permits(policy: &Policy, plan: &Plan) -> Result<(), ActError> {
    plan.check()?;
    let mut actions = plan.actions.iter().map(|planned| &planned.action);
    actions
        .try_for_each(|action| policy.permits(action))
        .map_err(ActError::Forbidden)
}

fn begin<'a>(
    executor: &'a Executor,
    policy: &Policy,
    person: &dyn Person,
    (run, part, by): (&RunId, &str, &str),
    plan: &Plan,
) -> Result<Session<'a>, ActError> {
    match Session::open(executor, run) {
        // Somebody agreed to it when it began.
        Ok(session) if session.run().plan == *plan => return Ok(session),
        Ok(_) => return Err(ActError::RunExists(run.clone())),
        Err(ActError::NoRun(_)) => {}
        Err(error) => return Err(error),
    }
    let previews = executor.preview(plan, &NoAgent)?;
    let cut: String = by.chars().take(80).collect();
    let by = format!("{cut} (by {})", policy.user);
    let part: String = part.chars().take(80).collect();
    let offer = Offer {
        run,
        part: &part,
        by: &by,
        previews: &previews,
        notes: &plan.notes,
    };
    if !person.agrees(&offer) {
        return Err(ActError::Refused);
    }
    Session::begin(executor, run, &part, &by, plan)
}

fn carry_out(
    session: Option<&mut Session<'_>>,
    action: usize,
    person: &dyn Person,
) -> Result<Answer, ActError> {
    let session = session.ok_or_else(|| ActError::Forbidden("nothing was begun".to_owned()))?;
    let item = session.run().item(action);
    if let Some(item) = item.filter(|item| matches!(item.stage, Stage::Done | Stage::Already)) {
        return Ok(Answer::Done {
            came: item.came.clone(),
        });
    }
    if ![Next::Begin(action), Next::GoOn(action)].contains(&session.run().next()) {
        return Err(ActError::Forbidden(
            "that is not what comes next".to_owned(),
        ));
    }
    session.step(action, &mut NoAgent, &mut |run| person.hears(run))??;
    if session.run().next() == Next::End {
        session.end()?;
    }
    person.hears(&RunView::of(session.run(), true));
    let came = session.run().item(action).map(|item| item.came.clone());
    Ok(Answer::Done {
        came: came.unwrap_or_default(),
    })
}

fn undo(
    session: Option<&mut Session<'_>>,
    action: usize,
    policy: &Policy,
    executor: &Executor,
    person: &dyn Person,
) -> Result<Answer, ActError> {
    let session = session.ok_or_else(|| ActError::Forbidden("nothing was begun".to_owned()))?;
    session.turn_back(&policy.user)?;
    let item = session.run().item(action);
    let item = item.ok_or_else(|| ActError::Forbidden("there is no such action".to_owned()))?;
    match (&item.stage, &item.before) {
        (Stage::Left(why), _) => {
            return Ok(Answer::Undone {
                left: Some(why.clone()),
            });
        }
        (Stage::Undone, _) | (_, None) => {}
        _ if session.run().next() == Next::Undo(action) => {
            session.step_back(action, &mut NoAgent, &mut |run| person.hears(run))??;
        }
        _ => {
            return Err(ActError::Forbidden(
                "another action has to be undone first".to_owned(),
            ));
        }
    }
    if session.run().next() == Next::End {
        session.finish_back(executor)?;
    }
    person.hears(&RunView::of(session.run(), true));
    let left = match session.run().item(action).map(|item| &item.stage) {
        Some(Stage::Left(why)) => Some(why.clone()),
        _ => None,
    };
    Ok(Answer::Undone { left })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_until_it_ends() {
        let mut child = std::process::Command::new("/bin/sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let process = Process::of(i32::try_from(child.id()).unwrap()).unwrap();
        assert!(!process.is_gone());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(process.is_gone());
        let myself = Process::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        let other = Process {
            begun: "1".to_owned(),
            ..myself
        };
        assert!(other.is_gone());
    }
}
