//! What authors of plugins can type.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::services::setting;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AuthorCommand {
    /// Write the project of a new plugin
    #[command(after_help = NEW_HELP)]
    New(New),
    /// Build a plugin with its language's own tools, and put its manifest in
    Build(Build),
    /// Try a plugin against its world
    Test(Test),
    /// Measure a scheduler: how long it takes to compile, to start and to answer
    Bench(Bench),
    /// Build a plugin whenever its sources change, and have the agent run what came out
    #[command(after_help = DEV_HELP)]
    Dev(Dev),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct New {
    /// Its name: 1 to 64 of a-z, 0-9 and `-`, a letter first
    pub(in crate::cli) name: String,
    /// What it is for
    #[arg(long, value_name = "WORLD", value_parser = ["scheduler", "notifier", "upstream", "engine", "installer"], default_value = "scheduler")]
    pub(in crate::cli) world: String,
    /// What it is written in
    #[arg(long, value_name = "LANGUAGE", value_parser = ["rust", "js", "python", "c"], default_value = "rust")]
    pub(in crate::cli) lang: String,
    /// Where to [default: a folder of its name, here]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Build {
    /// The project
    #[arg(default_value = ".")]
    pub(in crate::cli) dir: PathBuf,
    /// Write the component here [default: NAME.wasm in the project]
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Test {
    /// A component, or a project that `skep plugin build` has built
    #[arg(default_value = ".")]
    pub(in crate::cli) path: PathBuf,
    /// Of an engine: the model that it is tried with [default: the small one that is carried here]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) model: Option<PathBuf>,
    /// Of an upstream or a notifier: a value for one of its settings
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub(in crate::cli) settings: Vec<(String, String)>,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Bench {
    /// A component, or a project that `skep plugin build` has built
    #[arg(default_value = ".")]
    pub(in crate::cli) path: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Dev {
    /// The project
    #[arg(default_value = ".")]
    pub(in crate::cli) dir: PathBuf,
    /// Ask nothing; everything that it needs has to be named by `--grant`
    #[arg(long)]
    pub(in crate::cli) yes: bool,
    /// Agree to this, as `http:api.example.org`; may be repeated
    #[arg(long = "grant", value_name = "CAPABILITY")]
    pub(in crate::cli) grants: Vec<String>,
    /// Take it although this speaks against it, as `unsigned`; may be repeated
    #[arg(long = "accept", value_name = "DOUBT")]
    pub(in crate::cli) accepts: Vec<String>,
}

const DEV_HELP: &str = "\
A scheduler is put in charge while this runs, and the one before it again when it ends. Any other
plugin is added, or updated if it is there, and stays. What the agent logs of it is shown.";

const NEW_HELP: &str = "\
Examples:
  skep plugin new calm --world scheduler --lang python
  skep plugin new bell --world notifier

There are projects of every world in Rust, and of every world but `installer` in JavaScript, Python and C.";
