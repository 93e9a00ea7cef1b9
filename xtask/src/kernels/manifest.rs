//! `MANIFEST.toml`: what the kernels were built from, with what, and what came out.
//!
//! Decides its form and when what lies beside it is out of date. Refuses to know how anything is
//! built.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::compile::Target;
use super::{Digests, PREBUILT};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// What each tool calls itself.
    pub(super) tools: BTreeMap<String, String>,
    /// The SHA-256 of each source, by its path in the repository.
    pub(super) sources: Digests,
    pub(super) outputs: BTreeMap<String, Output>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Output {
    pub(super) command: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Manifest {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| {
            format!(
                "could not read `{}`; `cargo xtask kernels` writes it",
                path.display()
            )
        })?;
        toml::from_str(&text).with_context(|| {
            format!(
                "`{}` is no manifest of kernels; `cargo xtask kernels` writes it anew",
                path.display()
            )
        })
    }

    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let text = format!("{FIRST_LINES}\n{}", toml::to_string(self)?);
        fs::write(path, text).with_context(|| format!("could not write `{}`", path.display()))
    }

    /// The SHA-256 of an output; empty for one that it does not know.
    pub(super) fn digest(&self, file: &str) -> &str {
        self.outputs
            .get(file)
            .map_or("", |output| output.sha256.as_str())
    }

    /// How the sources differ from those that were compiled.
    pub(super) fn stale_sources(&self, now: &Digests) -> Vec<String> {
        let changed = now.iter().filter_map(|(path, digest)| {
            let compiled = self.sources.get(path);
            match compiled {
                None => Some(format!("{path}: new, and in no output")),
                Some(compiled) if compiled != digest => {
                    Some(format!("{path}: changed since it was compiled"))
                }
                Some(_) => None,
            }
        });
        let gone = self.sources.keys().filter(|path| !now.contains_key(*path));
        changed
            .chain(gone.map(|path| format!("{path}: gone, and still in the outputs")))
            .collect()
    }

    /// How the files beside it, `now`, differ from those that were built, and the targets from
    /// those that are wanted.
    pub(super) fn stale_outputs(&self, now: &Digests) -> Vec<String> {
        let mut stale = Vec::new();
        let targets = Target::all();
        for target in &targets {
            let file = target.file();
            let Some(output) = self.outputs.get(&file) else {
                stale.push(format!("{PREBUILT}/{file}: never built"));
                continue;
            };
            if output.command != target.command() {
                stale.push(format!(
                    "{PREBUILT}/{file}: built by `{}`, wanted is `{}`",
                    output.command,
                    target.command()
                ));
            }
            match now.get(&file) {
                None => stale.push(format!("{PREBUILT}/{file}: missing")),
                Some(digest) if *digest != output.sha256 => {
                    stale.push(format!("{PREBUILT}/{file}: not the file that was built"));
                }
                Some(_) => {}
            }
        }
        for file in self.outputs.keys().chain(now.keys()) {
            let line = format!("{PREBUILT}/{file}: of no target");
            if !targets.iter().any(|target| target.file() == *file) && !stale.contains(&line) {
                stale.push(line);
            }
        }
        stale
    }
}

const FIRST_LINES: &str = "\
# What the kernels for GPUs were built from, with what, and the SHA-256 of what came out.
# Written by `cargo xtask kernels`; `cargo xtask kernels --check` compares.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> (Manifest, Digests, Digests) {
        let sources = Digests::from([("a.cu".to_owned(), "1".to_owned())]);
        let outputs: BTreeMap<_, _> = Target::all()
            .into_iter()
            .map(|target| {
                let output = Output {
                    command: target.command(),
                    bytes: 3,
                    sha256: "2".to_owned(),
                };
                (target.file(), output)
            })
            .collect();
        let files = outputs
            .keys()
            .map(|file| (file.clone(), "2".to_owned()))
            .collect();
        let manifest = Manifest {
            tools: BTreeMap::new(),
            sources: sources.clone(),
            outputs,
        };
        (manifest, sources, files)
    }

    #[test]
    fn finds_sources_that_were_not_compiled_as_they_are() {
        let (manifest, sources, _) = manifest();
        assert!(manifest.stale_sources(&sources).is_empty());
        let changed = Digests::from([("a.cu".to_owned(), "3".to_owned())]);
        assert_eq!(manifest.stale_sources(&changed).len(), 1);
        let renamed = Digests::from([("b.cu".to_owned(), "1".to_owned())]);
        assert_eq!(manifest.stale_sources(&renamed).len(), 2);
    }

    #[test]
    fn finds_outputs_that_are_not_what_was_built() {
        let (mut manifest, _, mut files) = manifest();
        assert!(manifest.stale_outputs(&files).is_empty());
        files.insert("sm_90.cubin".to_owned(), "3".to_owned());
        assert_eq!(manifest.stale_outputs(&files).len(), 1);
        files.insert("sm_1.cubin".to_owned(), "2".to_owned());
        assert_eq!(manifest.stale_outputs(&files).len(), 2);
        files.remove("sm_70.ptx");
        assert_eq!(manifest.stale_outputs(&files).len(), 3);
        for output in manifest.outputs.values_mut() {
            output.command.push_str(" -g");
        }
        assert!(manifest.stale_outputs(&files).len() > Target::all().len());
    }
}
