//! The repository's own rules as code. What they are for stands in `ARCHITECTURE.md`.

mod files;
mod imports;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::step::{output, root};

/// Checks every rule and prints each breach.
pub(crate) fn run() -> Result<()> {
    let sources = sources()?;
    let mut breaches = Vec::new();
    imports::check(&root(), &mut breaches)?;
    for path in &sources {
        let text = std::fs::read_to_string(root().join(path))?;
        files::check(path, &text, &mut breaches);
        imports::check_names(path, &text, &mut breaches);
    }
    if let Err(stale) = crate::reference::check() {
        breaches.push(format!("{stale:#}"));
    }
    if let Err(stale) = crate::bindings::check() {
        breaches.push(format!("{stale:#}"));
    }
    for breach in &breaches {
        eprintln!("    {breach}");
    }
    if breaches.is_empty() {
        eprintln!("    {} files keep the rules", sources.len());
        return Ok(());
    }
    bail!("{} breaches of the repository's rules", breaches.len())
}

/// Every Rust file that git knows or would add.
fn sources() -> Result<Vec<PathBuf>> {
    let listed = output(
        Command::new("git")
            .args([
                "ls-files",
                "--cached",
                "--others",
                "--exclude-standard",
                "*.rs",
            ])
            .current_dir(root()),
    )?;
    Ok(listed
        .lines()
        .map(Path::new)
        .filter(|path| root().join(path).is_file())
        .map(Path::to_owned)
        .collect())
}
