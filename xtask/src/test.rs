//! Every test: the crates' own, the whole system, and the independent references.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::server::Server;
use crate::step::{cargo, execute, root, step, target};
use crate::{arm, kernels, lavapipe, plugins, python, setup, ui};

/// Runs all parts, or the one named.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let part = match arguments {
        [] => None,
        [part] => Some(part.as_str()),
        [_, extra, ..] => bail!("`{extra}` is one argument too many; name one part"),
    };
    match part {
        None | Some("rust" | "reference" | "browser") => {}
        Some("arm") => return arm::run(),
        Some(other) => {
            bail!("there is no part `{other}`; the parts are rust, arm, reference and browser")
        }
    }
    if part.is_none() {
        step("kernels for GPUs against their sources", kernels::check_all)?;
        step("the page against its sources", ui::check)?;
    }
    plugins::build()?;
    let binary = step("everything, with its tests", everything)?;
    if matches!(part, None | Some("browser")) {
        ui::test(&binary)?;
    }
    if matches!(part, None | Some("rust")) {
        step("Rust tests", || rust(&binary))?;
    }
    if part.is_none() {
        arm::run()?;
    }
    if matches!(part, None | Some("reference")) {
        reference(&binary)?;
    }
    Ok(())
}

/// One selection of packages for all that follows: with another, cargo would choose other features
/// for shared dependencies and compile them again.
pub(crate) fn everything() -> Result<PathBuf> {
    execute(
        cargo(["build", "--workspace", "--all-targets"]).env("SKEP_PLUGINS_DIR", plugins::folder()),
    )?;
    Ok(target().join("debug/skep"))
}

fn rust(binary: &Path) -> Result<()> {
    step("clang for components", setup::clang_for_components)?;
    setup::if_possible(
        "minisign",
        "minisign",
        "comparing signatures with minisign's",
    );
    setup::if_possible(
        "docker-registry",
        "docker-registry",
        "fetching plugins from a registry",
    );
    setup::if_possible(
        "/usr/sbin/sshd",
        "openssh-server",
        "putting skep on a machine over SSH",
    );
    setup::if_possible(
        "/usr/sbin/slapd",
        "slapd",
        "signing people in by a directory",
    );
    setup::if_possible("pebble", "pebble", "having certificates from an authority");
    let mut command = cargo(["test", "--workspace", "--quiet", "--no-fail-fast"]);
    command
        .env("SKEP_PLUGINS_DIR", plugins::folder())
        .env("SKEP_BIN", binary);
    execute(lavapipe::given(&mut command))
}

fn reference(binary: &Path) -> Result<()> {
    let python = python::interpreter()?;
    let script = |name: &str| {
        let mut command = Command::new(&python);
        command
            .arg(root().join("tests/reference").join(name))
            .current_dir(root());
        command
    };
    step("the reference model against its goldens", || {
        execute(&mut script("check_model.py"))
    })?;
    let models = target().join("models/random");
    step("random models", || {
        execute(script("make_models.py").arg(&models))
    })?;
    let minilm = target().join("models/minilm");
    step("all-MiniLM-L6-v2", || {
        execute(script("minilm.py").arg(&minilm))
    })?;
    step(
        "tokenizers against the packages that models are published with",
        || execute(script("tokenizers_golden.py").arg(&minilm)),
    )?;
    let server = step("an agent to test", || Server::start(binary, "reference"))?;
    let url = server.url();
    step(
        "logits, text, perplexity and embeddings against the references",
        || {
            execute(
                script("check_logits.py")
                    .args(["--url", &url, "--skep"])
                    .arg(binary)
                    .arg("--models")
                    .arg(&models)
                    .arg("--minilm")
                    .arg(&minilm)
                    .arg("--tiny")
                    .arg(root().join("agent/assets/tiny"))
                    .env("SKEP_URL", &url)
                    .env("SKEP_HOME", server.home()),
            )
        },
    )?;
    step("the official `openai` library", || {
        execute(script("check_openai.py").args(["--url", &url, "--model", "tiny"]))
    })?;
    step("a server of others that speaks as Ollama does", || {
        execute(
            script("check_ollama.py")
                .args(["--url", &url, "--skep"])
                .arg(binary)
                .env("SKEP_URL", &url)
                .env("SKEP_HOME", server.home()),
        )
    })
}
