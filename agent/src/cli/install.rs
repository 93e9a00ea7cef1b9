//! `skep install` and `skep uninstall`: the agent as a service, and as if it had never been.
//!
//! Decides what is shown before anything is changed, and that nothing is without consent. What is changed, and how it is
//! undone, is the executor's.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use super::arguments::{Install, Uninstall};
use super::terminal::{complain, printable, say};
use super::{Exit, Failure, print_json};
use crate::act::{
    self, ActError, Executor, NoAgent, Preview, PreviewState, RunView, RunWord, SERVICE_FOLDERS,
    SERVICE_PART, Workplace,
};
use crate::paths::Paths;
use serde::Serialize;

mod shown;

pub(super) use self::shown::{Progress, show, shown};

/// What was done, or would be.
#[derive(Serialize)]
struct Report<'a> {
    preview: &'a [Preview],
    notes: &'a [String],
    run: Option<RunView>,
}

pub(super) fn install(paths: &Paths, wish: &Install) -> Result<(), Failure> {
    let executor = executor(paths, wish.user, &wish.root)?;
    let tell = !wish.json;
    if let Some(view) = go_on(&executor, wish.yes, tell)? {
        if wish.json {
            print_json(&view)?;
        }
        return ended(&view, wish.json);
    }
    let home = wish.user.then(home).transpose()?;
    let plan = executor.service_plan(home.as_deref()).map_err(failure)?;
    let previews = executor.preview(&plan, &NoAgent).map_err(failure)?;
    let conflict = previews
        .iter()
        .find_map(|preview| preview.conflict.as_deref());
    if tell {
        show(&plan, &previews)?;
    }
    if let Some(why) = conflict {
        return Err(Failure::new(format!("something stands in the way: {why}"))
            .with_hint(Some("nothing was changed; move it away, then try again")));
    }
    let needed = previews
        .iter()
        .any(|preview| preview.state == PreviewState::Needed);
    if wish.dry_run || !needed {
        if wish.json {
            let (preview, notes) = (&*previews, &*plan.notes);
            return print_json(&Report {
                preview,
                notes,
                run: None,
            });
        }
        let said = if needed {
            "nothing was changed"
        } else {
            "all is as it should be"
        };
        return Ok(say(said)?);
    }
    agree("carry this out?", wish.yes)?;
    let run = act::new_run_id().map_err(failure)?;
    let mut progress = Progress::new(tell);
    let view = executor
        .apply(
            &run,
            SERVICE_PART,
            &person(),
            &plan,
            &mut NoAgent,
            &mut |view| progress.show(view),
        )
        .map_err(failure)?;
    if wish.json {
        let (preview, notes) = (&*previews, &*plan.notes);
        print_json(&Report {
            preview,
            notes,
            run: Some(view.clone()),
        })?;
    }
    ended(&view, true)?;
    if tell {
        for note in &plan.notes {
            say(printable(note))?;
        }
    }
    Ok(())
}

/// A run that was cut off goes on before anything else begins.
fn go_on(executor: &Executor, yes: bool, tell: bool) -> Result<Option<RunView>, Failure> {
    let runs = executor.runs().map_err(failure)?;
    let open = runs.into_iter().find(|run| {
        run.part == SERVICE_PART && matches!(run.state, RunWord::Interrupted | RunWord::Failed)
    });
    let Some(open) = open else {
        return Ok(None);
    };
    let question = format!("the run {} was not finished; go on with it?", open.id);
    agree(&question, yes)?;
    let mut progress = Progress::new(tell);
    let view = executor
        .resume(&open.id, &mut NoAgent, &mut |view| progress.show(view))
        .map_err(failure)?;
    Ok(Some(view))
}

pub(super) fn uninstall(paths: &Paths, wish: &Uninstall) -> Result<(), Failure> {
    let folders = if wish.user {
        vec![paths.state.join("setup")]
    } else {
        root_folders(&wish.root)?
    };
    let mut runs = Vec::new();
    for folder in folders {
        let executor = executor_in(folder, wish.user, &wish.root)?;
        for run in executor.runs().map_err(failure)? {
            if run.state != RunWord::Undone {
                runs.push((run, executor.folder().to_owned()));
            }
        }
    }
    runs.sort_by_key(|(run, _)| std::cmp::Reverse((run.at_unix_s, run.id.clone())));
    if runs.is_empty() && !wish.purge {
        return Ok(say("nothing is installed that could be undone")?);
    }
    let gone = if wish.purge {
        purged(paths, wish)
    } else {
        Vec::new()
    };
    if !wish.json {
        for (run, _) in &runs {
            say(format!(
                "undo `{}` ({} actions)",
                printable(&run.part),
                run.actions.len()
            ))?;
        }
        for path in &gone {
            say(format!("remove {} with all that is in it", path.display()))?;
        }
    }
    agree("carry this out?", wish.yes)?;
    let mut views = Vec::new();
    for (run, folder) in runs {
        let executor = executor_in(folder, wish.user, &wish.root)?;
        let mut progress = Progress::new(!wish.json);
        let view = executor
            .undo(&run.id, &person(), &mut NoAgent, &mut |view| {
                progress.show(view)
            })
            .map_err(failure)?;
        let ended = view.state == RunWord::Undone;
        views.push(view);
        if !ended {
            break;
        }
    }
    if wish.json {
        print_json(&views)?;
    }
    for view in &views {
        if view.state != RunWord::Undone {
            return ended(view, true);
        }
    }
    if wish.purge {
        purge(paths, wish, &gone)?;
    }
    Ok(())
}

/// The folders of root's journals: its own, and those of users for whom a helper worked.
fn root_folders(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut folders = Vec::new();
    let above = act::root_journals(root);
    let entries = match std::fs::read_dir(&above) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(folders),
        Err(error) => {
            let text = format!("could not read `{}`: {error}", above.display());
            return Err(Failure::new(text).with_hint(Some("run it with sudo")));
        }
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name
            .to_str()
            .is_some_and(|name| name.parse::<u32>().is_ok())
        {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}

fn purged(paths: &Paths, wish: &Uninstall) -> Vec<PathBuf> {
    let all = if wish.user {
        let Paths {
            config,
            data,
            state,
            cache,
            runtime,
        } = paths.clone();
        vec![runtime, cache, data, config, state]
    } else {
        let below = |path: &&str| wish.root.join(path.trim_start_matches('/'));
        let mut all: Vec<PathBuf> = SERVICE_FOLDERS.iter().map(below).collect();
        all.push(act::root_journals(&wish.root));
        all
    };
    all.into_iter().filter(|path| path.exists()).collect()
}

fn purge(paths: &Paths, wish: &Uninstall, gone: &[PathBuf]) -> Result<(), Failure> {
    if !wish.user {
        let executor = executor(paths, false, &wish.root)?;
        let left = executor.remove_service_user().map_err(failure)?;
        if let Some(left) = left {
            complain(&format!("left as it is: {}", printable(&left)));
        }
    }
    // The journals are last: until then, undoing could be gone on with.
    for path in gone {
        crate::paths::remove_folder(path).map_err(|error| {
            Failure::new(format!("could not remove `{}`: {error}", path.display()))
        })?;
    }
    Ok(())
}

fn executor(paths: &Paths, user: bool, root: &Path) -> Result<Executor, Failure> {
    let folder = if user {
        paths.state.join("setup")
    } else {
        act::root_journals(root).join("0")
    };
    executor_in(folder, user, root)
}

fn executor_in(journal: PathBuf, user: bool, root: &Path) -> Result<Executor, Failure> {
    let is_root = rustix::process::geteuid().is_root();
    if !user && !is_root {
        return Err(
            Failure::new("only root may make a service of the whole machine").with_hint(Some(
                "run it with sudo, or with `--user` for a service of your own",
            )),
        );
    }
    if user && is_root && std::env::var_os("SUDO_UID").is_some() {
        return Err(Failure::usage(
            "`--user` is for the user who runs it; leave sudo away",
        ));
    }
    let home = if user { Some(home()?) } else { None };
    let workplace = Workplace {
        root: root.to_owned(),
        journal,
        own: home.clone().into_iter().collect(),
        home,
        helper: None,
    };
    Executor::open(&workplace).map_err(failure)
}

fn home() -> Result<PathBuf, Failure> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    home.filter(|home| home.is_absolute())
        .ok_or_else(|| Failure::new("`HOME` does not say where this user's files are"))
}

/// Who agrees: the user, and whoever used sudo.
pub(super) fn person() -> String {
    let uid = rustix::process::getuid().as_raw();
    match std::env::var("SUDO_USER") {
        Ok(user) if uid == 0 => format!("root (sudo by {user})"),
        _ => format!("uid {uid}"),
    }
}

/// Asks whether something is to be done; without a terminal only `--yes` says so.
pub(super) fn agree(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("nobody can be asked here")
            .with_hint(Some("`--yes` agrees to all of it, `--dry-run` shows it")));
    }
    let mut terminal = io::stderr().lock();
    write!(terminal, "{question} [y/N] ")?;
    terminal.flush()?;
    let mut answer = String::new();
    io::Read::take(io::stdin().lock(), 64).read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    complain("nothing was changed");
    Err(Failure::silent(Exit::Interrupted))
}

/// What a run came to, as a command ends.
fn ended(view: &RunView, json: bool) -> Result<(), Failure> {
    match view.state {
        RunWord::Done | RunWord::Undone => {
            if !json {
                say("done")?;
            }
            Ok(())
        }
        _ => {
            let why = view.error().unwrap_or("it was interrupted");
            Err(Failure::new(why).with_hint(Some(
                "mend it and type the same again to go on, or `skep uninstall` to undo what was done",
            )))
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn failure(error: ActError) -> Failure {
    let hint = error.hint();
    Failure::chain(&error).with_hint(hint)
}
