//! What can be typed: every command, its flags and its help.
//!
//! Decides the words only; what they lead to is each command's own file.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

mod author;
mod backup;
mod certificate;
mod cluster;
mod helps;
mod install;
mod plugin;
mod services;
mod setup;
mod users;

pub(super) use self::author::{AuthorCommand, Bench, Build, Dev, New, Test};
use self::backup::BACKUP_HELP;
pub(super) use self::backup::{Backup, BackupCommand, CreateBackup, RestoreBackup};
use self::certificate::CERTIFICATE_HELP;
pub(super) use self::certificate::{Certificate, CertificateCommand};
pub(super) use self::cluster::{
    Add, BurnIn, Ca, CaCommand, Join, Node, NodeCommand, Token, TokenCommand,
};
use self::cluster::{JOIN_HELP, NODE_HELP, TOKEN_HELP};
use self::helps::*;
use self::install::{HELPER_HELP, INSTALL_HELP, UNINSTALL_HELP};
pub(super) use self::install::{Hands, Install, Uninstall};
pub(super) use self::plugin::{
    OperatorCommand, Plugin, PluginCommand, SigningCommand, Terms, TrustCommand,
};
pub(super) use self::services::{
    Find, NewService, Notifier, NotifierCommand, Secret, SecretCommand, Service, Upstream,
    UpstreamCommand,
};
use self::services::{NOTIFIER_HELP, SECRET_HELP, UPSTREAM_HELP};
use self::setup::SETUP_HELP;
pub(super) use self::setup::{Setup, SetupCommand};
pub(super) use self::users::{NewUser, SignIn, SignInCommand, SignInFile, User, UserCommand};
use self::users::{SIGN_IN_HELP, USER_HELP};

/// One private AI cluster from one binary.
#[derive(Debug, Parser)]
#[command(
    name = "skep",
    version,
    about = "One private AI cluster from one binary: it runs language models on the machines you have",
    long_about = "skep runs language models on the machines you have and serves them to any OpenAI client.\n\n\
        Start it with `skep up`; in another terminal ask the small model that comes with it:\n\n    \
        skep run tiny \"The borrow checker\"",
    after_help = AFTER_HELP,
    disable_help_subcommand = false,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(super) struct Arguments {
    /// Keep everything of this agent in one folder [default: the XDG folders of this user]
    #[arg(
        long,
        global = true,
        env = "SKEP_HOME",
        value_name = "DIR",
        hide_env = true
    )]
    pub(super) home: Option<PathBuf>,

    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Start the agent here, in the foreground
    #[command(after_help = UP_HELP)]
    Up(Up),
    /// Set this machine up: ask, show what would be done, and do it
    #[command(after_help = SETUP_HELP)]
    Setup(Setup),
    /// Ask a model, or talk with it
    #[command(after_help = RUN_HELP)]
    Run(Run),
    /// List the models on this node's disk
    #[command(visible_alias = "ls")]
    Models(Listed),
    /// List models that are worth a try, and whether they fit here
    Catalogue(Listed),
    /// Bring a model here, from a hub, an address or a path
    #[command(after_help = PULL_HELP)]
    Pull(Pull),
    /// Remove a model from the disk
    Rm(Rm),
    /// Load a model without asking it anything
    Load(Named),
    /// Take a model out of memory; it stays on the disk
    Unload(Named),
    /// List the models that are loaded, and their workers
    Ps(Listed),
    /// Watch nodes, devices, models and requests live
    #[command(after_help = TOP_HELP)]
    Top(Top),
    /// List the machines of the cluster
    Nodes(Listed),
    /// Show this machine or another, or change what a machine is to the cluster
    #[command(after_help = NODE_HELP)]
    Node(Node),
    /// Make, list and revoke the tokens that let machines in
    #[command(after_help = TOKEN_HELP)]
    Token(Token),
    /// Make this machine a member of a cluster
    #[command(after_help = JOIN_HELP)]
    Join(Join),
    /// List the machines on the local network, and why each is usable or not
    Discover(Listed),
    /// Show the authority that certifies the cluster's nodes, or let a new one take over
    Ca(Ca),
    /// Show why a request went where it did
    #[command(after_help = EXPLAIN_HELP)]
    Explain(Explain),
    /// Show or change who decides where models and requests go
    #[command(after_help = SCHEDULER_HELP)]
    Scheduler(Scheduler),
    /// List, make and revoke API keys
    Keys(Keys),
    /// List, add and change the people who may sign in
    #[command(after_help = USER_HELP)]
    User(User),
    /// Let people sign in by a directory (LDAP) or a provider (OpenID Connect)
    #[command(after_help = SIGN_IN_HELP)]
    SignIn(SignIn),
    /// Use models of services elsewhere: add, list, look at and remove them
    #[command(after_help = UPSTREAM_HELP)]
    Upstream(Upstream),
    /// Tell people of alerts: add, list, try and remove ways to do so
    #[command(after_help = NOTIFIER_HELP)]
    Notifier(Notifier),
    /// Keep, list and forget the secrets that plugins use
    #[command(after_help = SECRET_HELP)]
    Secret(Secret),
    /// Make, list and put back backups of this node
    #[command(after_help = BACKUP_HELP)]
    Backup(Backup),
    /// Show the certificate that callers are shown, or renew it
    #[command(after_help = CERTIFICATE_HELP)]
    Certificate(Certificate),
    /// List what is wrong now and what was, as notifiers are told
    Alerts(Listed),
    /// Show what the agent logged lately
    Logs(Logs),
    /// Look for what is wrong, and say what mends it
    #[command(after_help = DOCTOR_HELP)]
    Doctor(Doctor),
    /// List, add, update and remove plugins, and say what each may touch
    Plugin(Plugin),
    /// Make the agent a service that starts with this machine
    #[command(after_help = INSTALL_HELP)]
    Install(Install),
    /// Undo what `skep install` and setups did, the last first
    #[command(after_help = UNINSTALL_HELP)]
    Uninstall(Uninstall),
    /// Do as root what a user's setup wants, after asking at this terminal
    #[command(after_help = HELPER_HELP, hide = true)]
    Helper(Hands),
    /// Show what this binary is
    Version(Listed),
    /// Print the completions for a shell
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// For which shell
        shell: Shell,
    },
    /// Write the manual into a folder, a page for each command
    #[command(hide = true)]
    Man { folder: PathBuf },
    /// Run one model for an agent, over the socket that is standard input
    #[command(hide = true)]
    Worker {
        #[arg(long)]
        walls: bool,
    },
    #[command(hide = true)]
    Service,
    /// Diagnose one card for an agent or `skep doctor --gpu`
    #[command(hide = true)]
    Diagnose(crate::diagnosis::Wish),
    /// Compile one component for an agent
    #[command(hide = true, disable_help_flag = true)]
    Compile {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Up {
    /// Listen here [default: 127.0.0.1:7420]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) listen: Option<String>,
    /// Be reached from the local network, with TLS and keys; makes a certificate where none is configured
    #[arg(long)]
    pub(super) lan: bool,
    /// Read this configuration file
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Set one key of the configuration, as `models.default=tiny`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// What to log: `error`, `warn`, `info`, `debug`, `trace`, or `info,skep::fleet=debug`
    #[arg(long, value_name = "FILTER")]
    pub(super) log_level: Option<String>,
    /// How to log
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json"])]
    pub(super) log_format: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Run {
    /// The model's name, as `skep models` shows it
    pub(super) model: String,
    /// What to ask, `-` for standard input; without it, standard input is read, or a conversation begins
    pub(super) prompt: Vec<String>,
    /// How freely to choose: 0 always takes the likeliest word
    #[arg(short, long, value_name = "T")]
    pub(super) temperature: Option<f32>,
    /// Stop after so many tokens
    #[arg(short = 'n', long, value_name = "N")]
    pub(super) max_tokens: Option<u32>,
    /// Make the answer repeatable
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// What the model should know or be, before the conversation
    #[arg(short, long, value_name = "TEXT")]
    pub(super) system: Option<String>,
    /// Print the whole answer as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Listed {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Test the graphics cards instead: memory, bandwidth, arithmetic
    #[arg(long)]
    pub(super) gpu: bool,
    /// For about so long, each card
    #[arg(long, value_name = "N", default_value_t = 30, requires = "gpu")]
    pub(super) seconds: u32,
    /// So much of the memory that is free
    #[arg(long, value_name = "PERCENT", default_value_t = 90, requires = "gpu",
        value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(super) memory: u8,
    /// Only these tests: `walking`, `address`, `inversions`, `random`, `bandwidth`, `transfer`, `product`
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "gpu")]
    pub(super) only: Vec<String>,
    /// Where the NVIDIA driver's library is [default: `node.cuda_library`, or where the system has it]
    #[arg(long, value_name = "FILE", requires = "gpu")]
    pub(super) cuda_library: Option<PathBuf>,
    /// Write everything that helps others to help into an archive, without secrets, prompts and addresses
    #[arg(long, value_name = "FILE", conflicts_with_all = ["gpu", "json"])]
    pub(super) bundle: Option<PathBuf>,
    /// Ask nobody beyond this machine and its cluster
    #[arg(long, conflicts_with = "gpu")]
    pub(super) offline: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Top {
    /// Print one picture and leave
    #[arg(long, conflicts_with = "json")]
    pub(super) once: bool,
    /// Print one snapshot as JSON and leave
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The model's name
    pub(super) model: String,
}

#[derive(Debug, Args)]
pub(super) struct Pull {
    /// `hf:OWNER/REPOSITORY`, with `:Q4_K_M` or `/FILE.gguf` where it has several; or an http(s)
    /// address or a path of a GGUF file
    pub(super) source: String,
    /// What to call it [default: the file's name]
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Take the file only if this is its SHA-256
    #[arg(long, value_name = "DIGEST")]
    pub(super) sha256: Option<String>,
    /// Print one JSON object a line instead of a bar
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Rm {
    /// The model's name
    pub(super) model: String,
    /// Unload it first if it is loaded
    #[arg(short, long)]
    pub(super) force: bool,
}

#[derive(Debug, Args)]
pub(super) struct Keys {
    #[command(subcommand)]
    pub(super) command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// List the keys; the keys themselves are never shown again
    Ls(Listed),
    /// Make a key and show it, this once
    New {
        /// What it is for, as `laptop`
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key; the next request with it is refused
    Rm {
        /// Its name or number
        key: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// Its number, the id of its answer (`chatcmpl-…`), its `x-request-id`, or `last`
    pub(super) request: String,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Scheduler {
    #[command(subcommand)]
    pub(super) command: SchedulerCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum SchedulerCommand {
    /// List the schedulers: which decides, which could, and how often each failed
    Ls(Listed),
    /// Let a scheduler decide from now on
    Use {
        /// `spread`, `pack`, `built-in`, or the path of a scheduler component on the agent's machine
        scheduler: String,
    },
    /// Ask a second scheduler beside the active one, without heeding it
    Shadow {
        /// As for `use`; `off` ends it
        scheduler: String,
    },
    /// List the decisions that the scheduler in shadow would have taken otherwise
    Diff(Listed),
}

#[derive(Debug, Args)]
pub(super) struct Logs {
    /// Go on as more is logged
    #[arg(short, long)]
    pub(super) follow: bool,
    /// Begin with so many of the last entries
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    pub(super) lines: usize,
    /// Print one JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}
