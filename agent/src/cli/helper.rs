//! `skep helper`: root's hands for one user's setup, watched from a terminal.
//!
//! Decides for whom it works and that a person sees each plan before anything of it is done.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Mutex;

use super::Failure;
use super::arguments::Hands;
use super::install::{self, Progress};
use super::terminal::{printable, say};
use crate::act::helper::{Offer, Person, Policy, SOCKETS, Serving, serve};
use crate::act::{self, Executor, RunView, Workplace};
use crate::limits::HELPER_IDLE;

pub(super) fn helper(wish: &Hands) -> Result<(), Failure> {
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::new("the helper does what only root may do")
            .with_hint(Some("run it with sudo")));
    }
    let uid = for_whom(wish)?;
    let user = name_of(uid)?;
    if !wish.yes && !io::stdin().is_terminal() {
        return Err(Failure::usage("nobody can be asked here")
            .with_hint(Some("`--yes` agrees to all that its policy permits")));
    }
    let workplace = Workplace {
        root: wish.root.clone(),
        journal: act::root_journals(&wish.root).join(uid.to_string()),
        own: Vec::new(),
        home: None,
        helper: None,
    };
    let executor = Executor::open(&workplace).map_err(install::failure)?;
    let socket = wish.root.join(SOCKETS).join(format!("{uid}.sock"));
    let serving = Serving {
        executor,
        policy: Policy { user: user.clone() },
        uid,
        socket: &socket,
        idle: HELPER_IDLE,
    };
    let person = Terminal {
        yes: wish.yes,
        user,
        progress: Mutex::new(Progress::new(true)),
    };
    serve(serving, Box::new(person)).map_err(|error| {
        Failure::new(format!(
            "could not listen at `{}`: {error}",
            socket.display()
        ))
    })?;
    Ok(say("whoever asked has ended, so this does, too")?)
}

/// Who is named, or who used sudo.
fn for_whom(wish: &Hands) -> Result<u32, Failure> {
    let whose = "for whom? `skep helper --for USER` says so";
    let Some(name) = &wish.whose else {
        let uid = std::env::var("SUDO_UID")
            .ok()
            .and_then(|uid| uid.parse().ok());
        return uid.ok_or_else(|| Failure::usage(whose));
    };
    let found = accounts()?
        .lines()
        .find(|line| line.split(':').next() == Some(name))
        .and_then(|line| line.split(':').nth(2)?.parse().ok());
    found.ok_or_else(|| Failure::usage(format!("there is no user `{}`", printable(name))))
}

fn name_of(uid: u32) -> Result<String, Failure> {
    let uid = uid.to_string();
    let found = accounts()?
        .lines()
        .find(|line| line.split(':').nth(2) == Some(&uid))
        .and_then(|line| line.split(':').next().map(str::to_owned));
    found.ok_or_else(|| Failure::new(format!("no user has the number {uid}")))
}

fn accounts() -> Result<String, Failure> {
    let path = PathBuf::from("/etc/passwd");
    std::fs::read_to_string(&path)
        .map_err(|error| Failure::new(format!("could not read `{}`: {error}", path.display())))
}

/// Whoever started the helper.
struct Terminal {
    yes: bool,
    user: String,
    progress: Mutex<Progress>,
}

impl Person for Terminal {
    fn agrees(&self, offer: &Offer<'_>) -> bool {
        let Offer {
            part,
            by,
            previews,
            notes,
            ..
        } = offer;
        let shown = say(format!(
            "\n{} wants to carry out `{}`:",
            printable(by),
            printable(part)
        ))
        .and_then(|()| install::shown(previews));
        for note in *notes {
            let _ = say(format!("note: {}", printable(note)));
        }
        if let Ok(mut progress) = self.progress.lock() {
            *progress = Progress::new(true);
        }
        // What could not be shown is not agreed to.
        shown.is_ok() && install::agree("carry this out as root?", self.yes).is_ok()
    }

    fn waits(&self) {
        let _ = say(format!(
            "waiting for the setup of `{}`; what it wants is shown here and asked about (Ctrl-C ends this)",
            self.user
        ));
    }

    fn hears(&self, run: &RunView) {
        if let Ok(mut progress) = self.progress.lock() {
            progress.show(run);
        }
    }
}
