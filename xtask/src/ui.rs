//! The page, from its sources in `agent/ui` to what the agent embeds, `agent/ui/dist`, which is committed: a plain build needs no Node.
//!
//! Decides that what is committed was built from the sources as they are, and which programs the page's tests need. Where one is
//! missing it says what was not tried.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::setup;
use crate::step::{execute, exists, output, root, step, target};

/// Builds, or with `--check` says whether that is needed.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    match arguments {
        [] => {
            if let Some(why) = lacks_node() {
                bail!("the page cannot be built: {why}");
            }
            build(&dist())
        }
        [flag] if flag == "--check" => check(),
        _ => bail!("`ui` takes `--check` or nothing"),
    }
}

/// Builds once more elsewhere, and compares.
pub(crate) fn check() -> Result<()> {
    if let Some(why) = lacks_node() {
        eprintln!("!!! the page against its sources: SKIPPED: {why}");
        return Ok(());
    }
    let again = target().join("ui");
    build(&again)?;
    let (kept, built) = (files(&dist())?, files(&again)?);
    let names = kept.keys().chain(built.keys());
    let mut stale: Vec<_> = names
        .filter(|name| kept.get(*name) != built.get(*name))
        .collect();
    stale.sort();
    stale.dedup();
    if stale.is_empty() {
        eprintln!("    {} files came out the same again", kept.len());
        return Ok(());
    }
    let stale: Vec<_> = stale
        .into_iter()
        .map(|name| name.display().to_string())
        .collect();
    bail!(
        "the page is out of date; run `cargo xtask ui` and commit what it writes to agent/ui/dist:\n    {}",
        stale.join("\n    ")
    )
}

/// The page's own tests, then a browser against an agent.
pub(crate) fn test(binary: &Path) -> Result<()> {
    if let Some(why) = lacks_node() {
        eprintln!("!!! tests of the page: SKIPPED: {why}");
        return Ok(());
    }
    step("the page's logic", || {
        install(&sources())?;
        execute(npm(&sources()).args(["run", "--silent", "test"]))
    })?;
    setup::if_possible("chromium", "chromium", "trying the page in a browser");
    if !exists("chromium") {
        eprintln!("!!! the page in a browser: SKIPPED: there is no `chromium`");
        return Ok(());
    }
    step("the page in a browser", || {
        let tests = root().join("tests/browser");
        install(&tests)?;
        execute(
            npm(&tests)
                .args(["run", "--silent", "test"])
                .env("SKEP_BIN", binary)
                .env("SKEP_BROWSER_OUT", target().join("browser")),
        )
    })
}

fn build(into: &Path) -> Result<()> {
    install(&sources())?;
    step("the page", || {
        execute(
            npm(&sources())
                .args(["run", "--silent", "build"])
                .env("SKEP_PAGE_OUT", into),
        )
    })
}

/// What the lock file names, and nothing else; not again while it has not changed.
fn install(folder: &Path) -> Result<()> {
    let lock = folder.join("package-lock.json");
    let lock = fs::read(&lock).with_context(|| format!("could not read `{}`", lock.display()))?;
    let stamp = folder.join("node_modules/.skep-lock");
    if fs::read(&stamp).is_ok_and(|had| had == lock) {
        return Ok(());
    }
    step("packages of the page", || {
        execute(npm(folder).args(["ci", "--no-fund", "--no-audit", "--loglevel=error"]))?;
        fs::write(&stamp, &lock)?;
        Ok(())
    })
}

fn npm(folder: &Path) -> Command {
    let mut command = Command::new("npm");
    command.current_dir(folder);
    command
}

/// Why Node's programs cannot be used, if they cannot.
fn lacks_node() -> Option<String> {
    if !exists("npm") || !exists("node") {
        return Some(
            "there is no `npm`: install Node 20.19 or later (https://nodejs.org)".to_owned(),
        );
    }
    let version = output(Command::new("node").arg("--version")).unwrap_or_default();
    let mut numbers = version.trim_start_matches('v').split('.');
    let mut number = || numbers.next().and_then(|number| number.parse::<u32>().ok());
    let fits = number().zip(number()).is_some_and(|it| it >= (20, 19));
    (!fits).then(|| format!("this is Node {version}, and 20.19 or later is needed"))
}

/// Every file of a folder and of those in it, with its bytes.
fn files(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let entries =
            fs::read_dir(&next).with_context(|| format!("could not read `{}`", next.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path)?;
                found.insert(path.strip_prefix(folder)?.to_owned(), bytes);
            }
        }
    }
    Ok(found)
}

fn sources() -> PathBuf {
    root().join("agent/ui")
}

fn dist() -> PathBuf {
    sources().join("dist")
}
