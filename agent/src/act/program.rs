//! Programs of the system: by absolute path, with arguments as they are, a cleared environment, a time and no shell.
//!
//! Decides where programs are looked for (folders that only root writes to), what they are told of the environment, and how much
//! of what they say is kept. Refuses to know what they do.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{PidfdFlags, Signal};

use super::ActError;
use super::place::Place;
use crate::limits::{PROGRAM_OUTPUT_BYTES, PROGRAM_TIMEOUT};

/// Where programs are. What lies in folders of users is never run.
const FOLDERS: [&str; 6] = [
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/usr/local/sbin",
    "/usr/local/bin",
];

/// A program to be run.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    timeout: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: ExitStatus,
    pub(super) out: Vec<u8>,
    pub(super) err: Vec<u8>,
}

/// A program of this machine.
pub(super) fn find(name: &str) -> Option<Program> {
    let path = FOLDERS
        .iter()
        .map(|folder| PathBuf::from(folder).join(name))
        .find(|path| path.is_file())?;
    Some(Program::at(path))
}

/// A program that has to be there.
pub(super) fn need(name: &str) -> Result<Program, ActError> {
    find(name).ok_or_else(|| ActError::NoProgram(name.to_owned()))
}

/// A program of the system itself: on another's root, by `chroot`.
pub(super) fn inside(place: &Place, name: &str) -> Result<Program, ActError> {
    if place.is_live() {
        return need(name);
    }
    let inner = FOLDERS
        .iter()
        .map(|folder| format!("{folder}/{name}"))
        .find(|path| place.root.exists(path))
        .ok_or_else(|| ActError::NoProgram(name.to_owned()))?;
    let chroot = need("chroot")?;
    Ok(chroot.arg(place.root.path().as_os_str()).arg(inner))
}

impl Program {
    pub(super) fn at(path: PathBuf) -> Self {
        Self {
            path,
            args: Vec::new(),
            environment: Vec::new(),
            timeout: PROGRAM_TIMEOUT,
        }
    }

    pub(super) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(super) fn args<T: Into<OsString>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(super) fn variable(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    pub(super) fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs it, and expects that it goes well. Gives what it wrote.
    pub(super) fn run(self) -> Result<String, ActError> {
        let command = self.words();
        let said = self.said(&[])?;
        if said.status.success() {
            return Ok(String::from_utf8_lossy(&said.out).into_owned());
        }
        Err(said.failure(command))
    }

    /// The same, with something on its standard input.
    pub(super) fn run_with(self, input: &[u8]) -> Result<String, ActError> {
        let command = self.words();
        let said = self.said(input)?;
        if said.status.success() {
            return Ok(String::from_utf8_lossy(&said.out).into_owned());
        }
        Err(said.failure(command))
    }

    /// Runs it, and takes what it wrote however it ended.
    pub(super) fn ask(self) -> Result<String, ActError> {
        Ok(String::from_utf8_lossy(&self.said(&[])?.out).into_owned())
    }

    /// Runs it, and takes whether it went well.
    pub(super) fn holds(self) -> Result<bool, ActError> {
        Ok(self.said(&[])?.status.success())
    }

    /// As somebody would type it.
    fn words(&self) -> String {
        let name = self
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        self.args.iter().fold(name, |mut words, arg| {
            words.push(' ');
            words.push_str(&arg.to_string_lossy());
            words
        })
    }

    pub(super) fn said(self, input: &[u8]) -> Result<Said, ActError> {
        let shown = self.words();
        let failed = |source| ActError::Start {
            program: shown.clone(),
            source,
        };
        let mut command = Command::new(&self.path);
        command
            .args(&self.args)
            .env_clear()
            .env("PATH", FOLDERS.join(":"))
            .env("LC_ALL", "C")
            .env("HOME", "/")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(if input.is_empty() {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Who interrupts us does not mean a package tool in the middle of its work.
            .process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        let (sender, receiver) = mpsc::channel();
        if let Some(stdin) = child.stdin.take() {
            feed(stdin, input.to_vec());
        }
        let outs = [
            child
                .stdout
                .take()
                .map(|out| Box::new(out) as Box<dyn Read + Send>),
            child
                .stderr
                .take()
                .map(|out| Box::new(out) as Box<dyn Read + Send>),
        ];
        for (number, out) in outs.into_iter().enumerate() {
            if let Some(out) = out {
                collect(number, out, sender.clone());
            }
        }
        drop(sender);
        let status = wait(&mut child, self.timeout).map_err(failed)?;
        let Some(status) = status else {
            return Err(ActError::Slow {
                command: shown,
                seconds: self.timeout.as_secs(),
            });
        };
        // Somebody that it left behind may hold its outputs.
        let mut said = Said {
            status,
            out: Vec::new(),
            err: Vec::new(),
        };
        while let Ok((number, bytes)) = receiver.recv_timeout(Duration::from_secs(1)) {
            if number == 0 {
                said.out = bytes;
            } else {
                said.err = bytes;
            }
        }
        Ok(said)
    }
}

impl Said {
    fn failure(&self, command: String) -> ActError {
        let text = if self.err.is_empty() {
            &self.out
        } else {
            &self.err
        };
        let text = String::from_utf8_lossy(text);
        // What went wrong stands at the end.
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let last = lines
            .get(lines.len().saturating_sub(6)..)
            .unwrap_or_default();
        let said: String = last.join("; ").chars().take(600).collect();
        let status = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "no status".to_owned(),
        };
        let said = if said.is_empty() {
            "it said nothing".to_owned()
        } else {
            said
        };
        ActError::Program {
            command,
            status,
            said,
        }
    }
}

/// Waits, on a thread that may.
pub(super) fn pause(time: Duration) {
    let (_here, nobody) = mpsc::channel::<()>();
    let _ = nobody.recv_timeout(time);
}

fn feed(mut stdin: std::process::ChildStdin, input: Vec<u8>) {
    use std::io::Write as _;
    // It may not want to read.
    let _ = std::thread::Builder::new()
        .name("feed".into())
        .spawn(move || stdin.write_all(&input));
}

/// Reads all, so that nobody waits, and keeps the first and the last of it.
fn collect(number: usize, mut out: Box<dyn Read + Send>, sender: mpsc::Sender<(usize, Vec<u8>)>) {
    let read = move || {
        let mut kept = Vec::new();
        let mut part = [0; 4096];
        while let Ok(count) = out.read(&mut part) {
            if count == 0 {
                break;
            }
            kept.extend_from_slice(part.get(..count).unwrap_or_default());
            // Not each time: what is moved would be as much as all that is kept.
            if kept.len() > 2 * PROGRAM_OUTPUT_BYTES {
                shorten(&mut kept);
            }
        }
        shorten(&mut kept);
        let _ = sender.send((number, kept));
    };
    // Without a thread nothing of it is kept, and it finds its output closed.
    let _ = std::thread::Builder::new()
        .name("collect".into())
        .spawn(read);
}

/// Leaves out the middle.
fn shorten(kept: &mut Vec<u8>) {
    if kept.len() > PROGRAM_OUTPUT_BYTES {
        let half = PROGRAM_OUTPUT_BYTES / 2;
        kept.drain(half..kept.len() - half);
    }
}

/// Waits for its end; one that takes too long is ended, with all that it started.
fn wait(child: &mut Child, timeout: Duration) -> std::io::Result<Option<ExitStatus>> {
    let pid = rustix::process::Pid::from_child(child);
    let handle = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    let (done, ended) = mpsc::channel::<()>();
    let watch = std::thread::Builder::new()
        .name("watch".into())
        .spawn(move || {
            let late = ended.recv_timeout(timeout) == Err(mpsc::RecvTimeoutError::Timeout);
            if late {
                let _ = rustix::process::kill_process_group(pid, Signal::KILL);
                let _ = rustix::process::pidfd_send_signal(&handle, Signal::KILL);
            }
            late
        })?;
    let status = child.wait()?;
    drop(done);
    let late = watch.join().unwrap_or(false);
    Ok((!late).then_some(status))
}
