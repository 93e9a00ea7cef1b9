//! `skep doctor --gpu`: diagnoses the cards of this machine, without an agent.
//!
//! Decides which cards, and that none is an answer and no failure of theirs. Each is diagnosed in a process of its own.

use std::io::IsTerminal as _;

use skep_hw::diag::{Level, Report, Test};

use super::super::arguments::Doctor;
use super::super::diagnosis::{Bar, render};
use super::super::terminal::{Paint, say};
use super::super::{Exit, Failure, print_json};
use crate::config::{self, Settings, Source};
use crate::diagnosis::{Cancel, DiagnosisError, Wish, run};
use crate::paths::Paths;

pub(super) fn diagnose(paths: &Paths, wish: &Doctor) -> Result<(), Failure> {
    if let Some(unknown) = wish.only.iter().find(|name| Test::of_name(name).is_none()) {
        let names = Test::ALL.map(Test::name).join(", ");
        return Err(Failure::usage(format!("there is no test `{unknown}`"))
            .with_hint(Some(format!("there are {names}"))));
    }
    let reports = all(paths, wish)?;
    if wish.json {
        print_json(&reports)?;
    } else {
        for report in &reports {
            say(render(report, Paint::for_stdout()))?;
        }
    }
    let worst = reports.iter().map(|report| report.verdict.level).max();
    match worst {
        None | Some(Level::Pass) => Ok(()),
        Some(Level::Suspect) => Err(Failure::silent(Exit::Findings(1))),
        Some(Level::Bad) => Err(Failure::silent(Exit::Findings(2))),
    }
}

fn all(paths: &Paths, wish: &Doctor) -> Result<Vec<Report>, Failure> {
    let file = paths.config_file();
    let config = config::load(Source::Default(&file), std::env::vars(), &[]);
    let settings = config.and_then(Settings::try_from);
    let settings = settings.map_err(|error| Failure::chain(&error))?;
    let library = wish.cuda_library.clone().or(settings.node.cuda_library);
    let executable = std::env::current_exe()
        .map_err(|error| Failure::new(format!("this command does not find itself: {error}")))?;
    let seen = std::io::stderr().is_terminal();
    let mut reports = Vec::new();
    let mut absent = Vec::new();
    for kind in ["cuda", "hip"] {
        for device in 0..CARDS_MAX {
            let one = Wish {
                kind: kind.to_owned(),
                device,
                id: None,
                library: library.clone().filter(|_| kind == "cuda"),
                memory: wish.memory,
                seconds: wish.seconds,
                only: wish.only.clone(),
                choose: false,
            };
            let bar = Bar::begin(&format!("{kind}:{device}"), seen);
            match run(&executable, &one, &Cancel::default(), &mut |p| bar.show(p)) {
                Ok(report) => reports.push(report),
                Err(DiagnosisError::Absent(why)) => {
                    if device == 0 {
                        absent.push(why);
                    }
                    break;
                }
                Err(error) => return Err(Failure::chain(&error)),
            }
        }
    }
    if reports.is_empty() {
        return Err(Failure::new(format!("there is no card to test: {}", absent.join("; ")))
            .with_hint(Some(
                "install the card's driver; if its library is elsewhere, name it with `--cuda-library` or `node.cuda_library`",
            )));
    }
    Ok(reports)
}

/// More cards than any one machine holds.
const CARDS_MAX: u32 = 64;
