//! The process that diagnoses, as whoever asked for it sees it.
//!
//! Decides how long it may be silent, and that one which crashes or hangs is a report too: a card whose driver does that is
//! bad. Refuses to know who asked.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use skep_hw::diag::{Progress, Report};
use skep_hw::telemetry::DeviceId;

use super::{Choice, Failed, Line, Wish};

/// Ends a diagnosis early. Copies end the same one.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Ends it; it is over within some seconds.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum DiagnosisError {
    /// No process, or none that can be read.
    #[error("could not start the process that diagnoses")]
    Start(#[source] std::io::Error),
    /// There is no driver, or no such card.
    #[error("{0}")]
    Absent(String),
    /// It was not done, which says nothing of the card.
    #[error("{0}")]
    Refused(String),
}

/// Diagnoses a card, blocking until it is over; `tell` hears how far it is some times a second.
///
/// # Errors
/// [`DiagnosisError`] when nothing was tested. A card that crashes its driver, or holds it up, has a report.
pub fn run(
    executable: &Path,
    wish: &Wish,
    cancel: &Cancel,
    tell: &mut dyn FnMut(Progress),
) -> Result<Report, DiagnosisError> {
    let started = Instant::now();
    let (mut child, lines) = start(executable, wish).map_err(DiagnosisError::Start)?;
    let outcome = follow(&mut child, &lines, cancel, tell);
    // It may have ended by itself, and then there is nothing to kill.
    let _ = child.process.kill();
    let status = child.process.wait();
    let why = match outcome {
        Outcome::Report(report) => return Ok(*report),
        Outcome::Failed(failed) if failed.absent => {
            return Err(DiagnosisError::Absent(failed.message));
        }
        Outcome::Failed(failed) => return Err(DiagnosisError::Refused(failed.message)),
        Outcome::Cancelled => {
            return Err(DiagnosisError::Refused("it was stopped".to_owned()));
        }
        Outcome::Silent => format!(
            "its driver held up the diagnosis for {} s",
            PATIENCE.as_secs()
        ),
        Outcome::Ended => {
            let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            format!("the diagnosis ended in the middle, in its driver or beside it ({status})")
        }
    };
    let device = wish.id.clone();
    let name = device
        .clone()
        .unwrap_or_else(|| format!("{}:{}", wish.kind, wish.device));
    let id = device.map(DeviceId);
    Ok(Report::of_failure(name, id, started.elapsed(), why))
}

/// Asks such a process which card models would best compute on.
///
/// # Errors
/// One sentence, when there is no answer within [`CHOICE_PATIENCE`].
pub(super) fn ask(executable: &Path, wish: &Wish) -> Result<Choice, String> {
    let (mut child, lines) = start(executable, wish).map_err(|error| error.to_string())?;
    let said = lines.recv_timeout(CHOICE_PATIENCE);
    // It may have ended by itself, and then there is nothing to kill.
    let _ = child.process.kill();
    let _ = child.process.wait();
    match said {
        Ok(Line::Choice(choice)) => Ok(choice),
        Err(RecvTimeoutError::Timeout) => Err(format!(
            "a driver held up the search for {} s",
            CHOICE_PATIENCE.as_secs()
        )),
        _ => Err("the search ended in the middle of a driver".to_owned()),
    }
}

/// The process, and what keeps it going.
struct Diagnosis {
    process: Child,
    /// Its end tells the process that nobody listens.
    listening: Option<ChildStdin>,
}

enum Outcome {
    Report(Box<Report>),
    Failed(Failed),
    Cancelled,
    Silent,
    Ended,
}

/// The environment is handed on: vendors' libraries are found and tuned by it, and no guest runs there.
fn start(executable: &Path, wish: &Wish) -> std::io::Result<(Diagnosis, Receiver<Line>)> {
    let mut command = Command::new(executable);
    command
        .arg("diagnose")
        .args(["--kind", &wish.kind])
        .args(["--device", &wish.device.to_string()])
        .args(["--memory", &wish.memory.to_string()])
        .args(["--seconds", &wish.seconds.to_string()])
        // As the management library counts.
        .env("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(id) = &wish.id {
        command.args(["--id", id]);
    }
    if let Some(library) = &wish.library {
        command.arg("--library").arg(library);
    }
    if wish.choose {
        command.arg("--choose");
    }
    if !wish.only.is_empty() {
        command.args(["--only", &wish.only.join(",")]);
    }
    let mut process = command.spawn()?;
    let listening = process.stdin.take();
    let said = process.stdout.take();
    let child = Diagnosis { process, listening };
    let said = said.ok_or_else(|| std::io::Error::other("it has no output"))?;
    let (send, lines) = sync_channel(LINES_MAX);
    let read = move || {
        let mut said = BufReader::new(said.take(SAID_BYTES_MAX));
        let mut text = String::new();
        while matches!(said.read_line(&mut text), Ok(1..)) {
            // What a driver writes to our output is none of ours.
            if let Ok(line) = serde_json::from_str(&text)
                && send.send(line).is_err()
            {
                break;
            }
            text.clear();
        }
    };
    std::thread::Builder::new()
        .name("diagnosis".into())
        .spawn(read)?;
    Ok((child, lines))
}

fn follow(
    child: &mut Diagnosis,
    lines: &Receiver<Line>,
    cancel: &Cancel,
    tell: &mut dyn FnMut(Progress),
) -> Outcome {
    let mut heard = Instant::now();
    let mut cancelled: Option<Instant> = None;
    loop {
        if cancel.is_set() && cancelled.is_none() {
            child.listening = None;
            cancelled = Some(Instant::now());
        }
        if cancelled.is_some_and(|since| since.elapsed() > LAST_WORDS) {
            return Outcome::Cancelled;
        }
        match lines.recv_timeout(TICK) {
            Ok(Line::Progress(progress)) => {
                heard = Instant::now();
                tell(progress);
            }
            Ok(Line::Report(report)) => return Outcome::Report(report),
            Ok(Line::Failed(failed)) => return Outcome::Failed(failed),
            // Nobody asked for it here.
            Ok(Line::Choice(_)) => return Outcome::Ended,
            Err(RecvTimeoutError::Timeout) if heard.elapsed() > PATIENCE => return Outcome::Silent,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) if cancelled.is_some() => {
                return Outcome::Cancelled;
            }
            Err(RecvTimeoutError::Disconnected) => return Outcome::Ended,
        }
    }
}

/// Steps last milliseconds, and waking a card some seconds; a driver that is silent for so long hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waking a card takes some seconds, and whoever starts an agent waits for this.
const CHOICE_PATIENCE: Duration = Duration::from_secs(20);

/// How often it is looked whether it is to end.
const TICK: Duration = Duration::from_millis(100);

/// How long one that was told to end has for its report.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Lines that wait to be told; the process waits while there are more.
const LINES_MAX: usize = 16;

/// All that it may say: ten lines a second for a day, with room.
const SAID_BYTES_MAX: u64 = 256 << 20;
