//! Perplexity of the embedded model in each type of weights: the reference in F64, ours over HTTP, and
//! `llama-perplexity`, on the same file, text and windows.
//!
//! Decides which types; what is scored is `llama-perplexity`'s to say and `tests/bench/perplexity.py`'s to repeat.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::llama_cpp::LlamaCpp;
use super::report::{Cell, Report, Table};
use super::{Options, agent, folder, load};
use crate::assemble::{self, Profile};
use crate::python;
use crate::step::{execute, output, root};

/// Types, the exact one first.
const KINDS: [&str; 12] = [
    "F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_1", "Q5_0", "Q5_K", "Q4_K_M", "Q4_K", "Q4_1", "Q4_0",
];
/// The model's whole context.
const CONTEXT: u32 = 256;

pub(super) fn measure(options: &Options, peer: &LlamaCpp, report: &mut Report) -> Result<()> {
    let subject = Subject {
        program: peer.program("llama-perplexity")?,
        text: root().join("agent/assets/tiny/heldout.txt"),
        windows: options.effort.pick(4, 1_000),
        threads: options.threads().pop().unwrap_or_else(|| "2".into()),
    };
    let binary = assemble::build(Profile::Release)?;
    let models = models(&options.only)?;
    let home = agent::fresh_home("perplexity")?;
    let settings = [
        ("MODELS_DEFAULT", ""),
        ("NODE_THREADS", subject.threads.as_str()),
    ];
    let mut server = agent::skep(&binary, &home, &settings)?;
    server.wait("/healthz", Duration::from_secs(60))?;
    let mut rows = Vec::new();
    let mut scored = String::new();
    for (kind, path) in &models {
        eprintln!("    {kind}");
        let name = format!("tiny-{}", kind.to_lowercase().replace('_', "-"));
        let mut pull = agent::client(&binary, &home);
        pull.arg("pull").arg(path).args(["--name", &name]);
        execute(pull.stdout(std::io::stderr()))?;
        let url = format!("http://{}", server.to);
        let found = subject.ours(path, &name, &url)?;
        let [reference, ours] =
            ["/reference", "/server"].map(|pointer| load::number(&found, pointer));
        let (reference, ours, theirs) = (reference?, ours?, subject.theirs(path)?);
        let off = |value: f64| Cell::Number((value / reference - 1.0) * 100.0, 3);
        rows.push(vec![
            Cell::text(*kind),
            Cell::Number(std::fs::metadata(path)?.len() as f64 / 1e6, 1),
            Cell::Number(reference, 4),
            Cell::Number(ours, 4),
            Cell::Number(theirs, 4),
            off(ours),
            off(theirs),
        ]);
        scored = format!(
            "{} windows of {CONTEXT}, {} tokens scored",
            load::number(&found, "/windows")?,
            load::number(&found, "/tokens")?
        );
    }
    report.add(Table {
        title: "Perplexity beside llama.cpp",
        command: "cargo xtask bench perplexity --peer PATH-OF-llama.cpp's-programs",
        note: format!(
            "The embedded model on text that it was not trained with (`heldout.txt`): {scored}, the second half of \
             each window, as `llama-perplexity` does; its tokens are checked to be the same. Every type was made of the \
             embedded Q8_0 weights, so F32 holds those exactly. Reference: numpy in F64 on the weights of the same file. \
             Ours: log probabilities over HTTP (`echo`). Off: how far from the reference, in %."
        ),
        columns: vec![
            "type", "file MB", "reference", "ours", "peer", "ours off %", "peer off %",
        ],
        rows,
    });
    Ok(())
}

/// What is scored, and how.
struct Subject {
    /// `llama-perplexity`.
    program: PathBuf,
    text: PathBuf,
    windows: u32,
    threads: String,
}

impl Subject {
    /// The reference's perplexity and ours, on the peer's tokens.
    fn ours(&self, model: &Path, name: &str, url: &str) -> Result<Value> {
        let logits = folder().join("peer-logits.bin");
        self.run(model, |command| {
            command.arg("--save-all-logits").arg(&logits);
        })?;
        let (context, windows) = (CONTEXT.to_string(), self.windows.to_string());
        let mut command = script()?;
        command
            .arg("score")
            .args([model, &self.text])
            .args(["--url", url, "--model", name])
            .args(["--context", &context, "--windows", &windows])
            .arg("--peer-logits")
            .arg(&logits);
        let found = output(&mut command);
        // It is large, and holds nothing that the next one needs.
        drop(std::fs::remove_file(&logits));
        serde_json::from_str(&found?).context("`perplexity.py` printed no JSON")
    }

    fn theirs(&self, model: &Path) -> Result<f64> {
        let said = self.run(model, |_| {})?;
        let value = said
            .split_once(FINAL)
            .and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
        value.with_context(|| {
            format!(
                "`{}` said no `{FINAL}`: {}",
                self.program.display(),
                end(&said)
            )
        })
    }

    /// Runs the peer; everything that it said.
    fn run(&self, model: &Path, more: impl FnOnce(&mut Command)) -> Result<String> {
        let mut command = Command::new(&self.program);
        command
            .arg("-m")
            .arg(model)
            .arg("-f")
            .arg(&self.text)
            .args(["-c", &CONTEXT.to_string(), "-t", &self.threads])
            .args(["--chunks", &self.windows.to_string()]);
        more(&mut command);
        let done = command
            .output()
            .with_context(|| format!("could not start `{}`", self.program.display()))?;
        let said: Vec<u8> = [done.stdout, done.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        if !done.status.success() {
            bail!(
                "`{}` ended with {}: {}",
                self.program.display(),
                done.status,
                end(&said)
            );
        }
        Ok(said)
    }
}

/// Files of the types whose names hold `only`; made once and kept.
fn models(only: &str) -> Result<Vec<(&'static str, PathBuf)>> {
    let into = folder().join("models");
    std::fs::create_dir_all(&into)?;
    let source = root().join("agent/assets/tiny/skep-tiny-q8_0.gguf");
    let only = only.to_uppercase().replace('-', "_");
    let mut models = Vec::new();
    for kind in KINDS.into_iter().filter(|kind| kind.contains(&only)) {
        let path = into.join(format!("tiny-{}.gguf", kind.to_lowercase()));
        if !path.is_file() {
            execute(script()?.arg("make").args([&source, &path]).arg(kind))?;
        }
        models.push((kind, path));
    }
    if models.is_empty() {
        bail!(
            "no type's name holds `{only}`; they are {}",
            KINDS.join(", ")
        );
    }
    Ok(models)
}

fn script() -> Result<Command> {
    let mut command = Command::new(python::interpreter()?);
    command.arg(root().join("tests/bench/perplexity.py"));
    Ok(command)
}

/// The last lines of what a program said.
fn end(said: &str) -> String {
    let lines: Vec<&str> = said.lines().rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
}

const FINAL: &str = "Final estimate: PPL =";
