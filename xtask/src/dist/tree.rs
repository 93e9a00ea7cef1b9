//! The files of a release beside the binary: the manual, completions, licences, the unit.
//!
//! Decides where they belong below a prefix. The manual and the completions are what the binary itself prints of its commands.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::step::{execute, output, root, target};

/// One file of an archive.
#[derive(Clone)]
pub(super) struct Entry {
    /// Relative, with `/`.
    pub(super) path: String,
    pub(super) mode: u32,
    pub(super) content: Vec<u8>,
}

/// What goes below `share`.
pub(super) struct Tree {
    /// Name and text of each page.
    pub(super) manual: Vec<(String, Vec<u8>)>,
    pub(super) completions: Completions,
    /// Name and text.
    pub(super) documents: Vec<(&'static str, Vec<u8>)>,
}

pub(super) struct Completions {
    pub(super) bash: String,
    pub(super) zsh: String,
    pub(super) fish: String,
}

impl Entry {
    pub(super) fn text(path: String, text: &str) -> Self {
        Self::file(path, text.as_bytes().to_vec())
    }

    pub(super) fn file(path: String, content: Vec<u8>) -> Self {
        Self {
            path,
            mode: 0o644,
            content,
        }
    }

    pub(super) fn program(path: String, from: &Path) -> Result<Self> {
        let content =
            fs::read(from).with_context(|| format!("could not read `{}`", from.display()))?;
        Ok(Self {
            path,
            mode: 0o755,
            content,
        })
    }

    /// Every folder above it, the outermost first.
    pub(super) fn folders(&self) -> Vec<String> {
        let path = self.path.trim_start_matches("./");
        let lead = if path.len() < self.path.len() {
            "./"
        } else {
            ""
        };
        path.match_indices('/')
            .filter_map(|(at, _)| Some(format!("{lead}{}", path.get(..at)?)))
            .collect()
    }
}

impl Tree {
    /// Asks `skep` for its manual and completions.
    pub(super) fn make(skep: &Path) -> Result<Self> {
        let skep = fs::canonicalize(skep)?;
        let pages = target().join("dist-manual");
        if pages.exists() {
            fs::remove_dir_all(&pages)?;
        }
        fs::create_dir_all(&pages)?;
        execute(Command::new(&skep).arg("man").arg(&pages)).with_context(|| {
            format!(
                "`{}` does not run here; name a skep for this machine with `--documents-by`",
                skep.display()
            )
        })?;
        let mut manual = Vec::new();
        for page in fs::read_dir(&pages)? {
            let page = page?.path();
            let name = page
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            manual.push((name, fs::read(&page)?));
        }
        if manual.is_empty() {
            bail!("`{} man` wrote no page", skep.display());
        }
        manual.sort();
        let completions = |shell: &str| output(Command::new(&skep).args(["completions", shell]));
        let read = |name: &'static str| Ok((name, fs::read(root().join(name))?));
        Ok(Self {
            manual,
            completions: Completions {
                bash: completions("bash")? + "\n",
                zsh: completions("zsh")? + "\n",
                fish: completions("fish")? + "\n",
            },
            documents: ["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md"]
                .into_iter()
                .map(read)
                .collect::<Result<_>>()?,
        })
    }

    /// All of it below a prefix; distributions differ in where zsh looks.
    pub(super) fn entries(&self, prefix: &str, zsh: &str) -> Vec<Entry> {
        let mut entries = vec![
            Entry::text(
                format!("{prefix}/share/bash-completion/completions/skep"),
                &self.completions.bash,
            ),
            Entry::text(format!("{prefix}/{zsh}/_skep"), &self.completions.zsh),
            Entry::text(
                format!("{prefix}/share/fish/vendor_completions.d/skep.fish"),
                &self.completions.fish,
            ),
        ];
        for (name, text) in &self.manual {
            entries.push(Entry::file(
                format!("{prefix}/share/man/man1/{name}"),
                text.clone(),
            ));
        }
        for (name, text) in &self.documents {
            entries.push(Entry::file(
                format!("{prefix}/share/doc/skep/{name}"),
                text.clone(),
            ));
        }
        entries
    }
}

/// The unit, for a program at this place.
pub(super) fn unit(program: &str) -> Result<String> {
    let text = fs::read_to_string(root().join("plugins/step-service/src/skep.service"))?;
    Ok(text.replace("{program}", program))
}
