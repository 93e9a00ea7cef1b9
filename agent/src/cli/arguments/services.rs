//! What can be typed about models elsewhere, notifiers and secrets.

use clap::{Args, Subcommand};

use super::Listed;

#[derive(Debug, Args)]
pub(in crate::cli) struct Upstream {
    #[command(subcommand)]
    pub(in crate::cli) command: UpstreamCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum UpstreamCommand {
    /// Use the models of a service elsewhere
    Add {
        #[command(flatten)]
        service: NewService,
        /// Expose only these of its models, where `*` stands for anything; may be repeated
        #[arg(long = "model", value_name = "PATTERN")]
        models: Vec<String>,
        /// Let clients call its models `NAME/MODEL`
        #[arg(long)]
        prefix: bool,
        /// Give a request up after so many seconds without a word
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u64>,
    },
    /// List the upstreams: whether each answers, and for how many models
    Ls(Listed),
    /// Show all that is known of one
    Show(Service),
    /// List the models that one answers for
    Models(Service),
    /// Look for model servers that could be used: on this machine, the cluster's other nodes, and where you say
    Find(Find),
    /// Have one get a model, where it can
    Pull {
        /// The upstream's name
        name: String,
        /// What it calls the model
        model: String,
        /// Print one JSON object a line instead of a bar
        #[arg(long)]
        json: bool,
    },
    /// Use it no more
    Rm {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Find {
    /// Look there too, `HOST` or `HOST:PORT`; networks are never gone through
    #[arg(value_name = "HOST")]
    pub(in crate::cli) hosts: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Notifier {
    #[command(subcommand)]
    pub(in crate::cli) command: NotifierCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum NotifierCommand {
    /// Tell somebody of alerts
    Add {
        #[command(flatten)]
        service: NewService,
    },
    /// List the notifiers
    Ls(Listed),
    /// Show all that is known of one
    Show(Service),
    /// Send one alert by it now, and say whether it was taken
    Test {
        /// Its name
        name: String,
    },
    /// Tell nobody by it any more
    Rm {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct NewService {
    /// What to call it: a-z, 0-9 and `-`, a letter first
    pub(in crate::cli) name: String,
    /// The plugin that knows how to speak with it
    #[arg(long, value_name = "PLUGIN")]
    pub(in crate::cli) plugin: String,
    /// Set one of the plugin's settings; secrets by their names; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    pub(in crate::cli) set: Vec<(String, String)>,
    /// Let the plugin touch this, as `http-local:127.0.0.1:11434`; may be repeated
    #[arg(long, value_name = "CAPABILITY")]
    pub(in crate::cli) grant: Vec<String>,
    /// Take the place of the one that has this name
    #[arg(long)]
    pub(in crate::cli) replace: bool,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Service {
    /// Its name
    pub(in crate::cli) name: String,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Secret {
    #[command(subcommand)]
    pub(in crate::cli) command: SecretCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SecretCommand {
    /// Keep a secret; its text comes from standard input, or is asked for and not shown
    Set {
        /// What to call it
        name: String,
    },
    /// List the secrets by name; their texts are never shown
    Ls(Listed),
    /// Forget a secret
    Rm {
        /// Its name
        name: String,
    },
}

pub(super) fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("give it as KEY=VALUE, as `base-url=http://127.0.0.1:8000/v1`")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) const UPSTREAM_HELP: &str = "\
Examples:
  skep secret set openai-key
  skep upstream add work --plugin openai --set key=openai-key
  skep upstream add lab --plugin openai --set base-url=http://127.0.0.1:8000/v1 \\
      --grant http-local:127.0.0.1:8000
  skep upstream models lab
  skep upstream find                         what runs here and on the other nodes
  skep upstream find 10.0.0.7 hive2:8000     and there

What its plugin needs to touch is asked for on a terminal; elsewhere each `--grant` names one.";

pub(super) const NOTIFIER_HELP: &str = "\
Examples:
  skep notifier add desk --plugin webhook --set url=https://alerts.example.org/skep
  skep notifier test desk";

pub(super) const SECRET_HELP: &str = "\
Examples:
  skep secret set openai-key                 asks for it, and does not show it
  skep secret set openai-key < key.txt";
