//! The command line: what was typed, done.
//!
//! Decides which command runs and how its failure is told. Every command but `up` is a small
//! client of a running agent and makes no runtime; refuses to know how the agent does anything.

use std::process::ExitCode;

use clap::Parser as _;

mod add;
mod adopt;
mod alerts;
mod arguments;
mod backup;
mod burn_in;
mod ca;
mod catalogue;
mod certificate;
mod chat;
mod complete;
mod diagnosis;
mod discover;
mod doctor;
mod events;
mod explain;
mod failure;
mod figures;
mod helper;
mod install;
mod join;
mod keys;
mod logs;
mod man;
mod models;
mod node;
mod nodes;
mod notifier;
mod plugin;
mod ps;
mod pull;
mod run;
mod scheduler;
mod secret;
mod services;
mod setup;
mod sign_in;
mod table;
mod terminal;
mod token;
mod top;
mod up;
mod upstream;
mod user;
mod version;
mod waiting;

#[cfg(test)]
mod tests;

use self::failure::{Exit, Failure};

use self::arguments::{
    Arguments, CaCommand, CertificateCommand, Command, KeysCommand, NodeCommand, NotifierCommand,
    PluginCommand, SchedulerCommand, SecretCommand, TokenCommand, UpstreamCommand,
};
use self::terminal::Paint;
use crate::client::{Client, Endpoint};
use crate::paths::Paths;
use crate::services::Kind;

/// Runs the command that the arguments of this process name.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help goes to standard output, mistakes to standard error; a closed one is no matter.
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()) * 2);
        }
    };
    match dispatch(arguments) {
        Ok(code) => code,
        Err(failure) => failure.report(Paint::for_stderr()),
    }
}

fn dispatch(arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments { home, command } = arguments;
    let paths = || {
        Paths::choose(home.as_deref(), |name| std::env::var(name).ok())
            .map_err(|error| Failure::chain(&error))
    };
    let client = || connect(paths().ok().as_ref());
    match command {
        Command::Worker { walls: false } => return Ok(crate::worker::main()),
        Command::Worker { walls: true } => return Ok(crate::worker::try_walls()),
        Command::Service => return Ok(crate::service::main()),
        Command::Compile { arguments } => return Ok(crate::compiler::main(arguments)),
        Command::Up(up) => return up::up(home.as_deref(), &up),
        Command::Setup(wish) => setup::setup(&client()?, wish)?,
        Command::Diagnose(wish) => return Ok(crate::diagnosis::main(&wish)),
        Command::Doctor(wish) if wish.gpu => doctor::diagnose(&paths()?, &wish)?,
        Command::Doctor(wish) => doctor::doctor(&paths()?, &client()?, &wish)?,
        Command::Install(wish) => install::install(&paths()?, &wish)?,
        Command::Uninstall(wish) => install::uninstall(&paths()?, &wish)?,
        Command::Helper(wish) => helper::helper(&wish)?,
        Command::Completions { shell } => complete::completions(shell)?,
        Command::Man { folder } => man::write(&folder)?,
        Command::Version(listed) => version::version(&client(), listed.json)?,
        Command::Run(wish) => run::run(client()?, paths().ok().as_ref(), &wish)?,
        Command::Models(listed) => models::list(&client()?, listed.json)?,
        Command::Catalogue(listed) => catalogue::list(&client()?, listed.json)?,
        Command::Pull(wish) => pull::pull(client()?, &wish)?,
        Command::Rm(wish) => models::remove(&client()?, &wish)?,
        Command::Load(named) => models::load(&client()?, &named.model)?,
        Command::Unload(named) => models::unload(&client()?, &named.model)?,
        Command::Ps(listed) => ps::list(&client()?, listed.json)?,
        Command::Top(wish) => {
            let paths = paths().ok();
            let client = move || connect(paths.as_ref());
            top::top(Box::new(client), &wish)?;
        }
        Command::Nodes(listed) => nodes::list(&client()?, listed.json)?,
        Command::Node(wish) => match wish.command {
            None => node::show(&client()?, wish.json)?,
            Some(NodeCommand::BurnIn(wish)) => burn_in::burn_in(client()?, &wish)?,
            Some(NodeCommand::Add(wish)) => add::add(client()?, &paths()?, &wish)?,
            Some(NodeCommand::Adopt { node, json }) => adopt::adopt(&client()?, &node, json)?,
            Some(command) => nodes::act(&client()?, &command)?,
        },
        Command::Token(token) => match token.command {
            TokenCommand::New {
                role,
                name,
                ttl,
                json,
            } => token::make(&client()?, &role, name, ttl, json)?,
            TokenCommand::Ls(listed) => token::list(&client()?, listed.json)?,
            TokenCommand::Revoke { token } => token::revoke(&client()?, &token)?,
        },
        Command::Join(wish) => return join::join(home.as_deref(), &client()?, &wish),
        Command::Discover(listed) => discover::discover(&client()?, listed.json)?,
        Command::Ca(ca) => match ca.command {
            None => ca::show(&client()?, ca.json)?,
            Some(CaCommand::Rotate) => ca::rotate(&client()?, ca.json)?,
        },
        Command::Keys(keys) => match keys.command {
            KeysCommand::Ls(listed) => keys::list(&client()?, listed.json)?,
            KeysCommand::New { name, json } => keys::make(&client()?, name, json)?,
            KeysCommand::Rm { key } => keys::revoke(&client()?, &key)?,
        },
        Command::User(user) => user::act(&client()?, user.command)?,
        Command::SignIn(wish) => sign_in::act(&client()?, wish.command)?,
        Command::Upstream(upstream) => match upstream.command {
            UpstreamCommand::Add {
                service,
                models,
                prefix,
                timeout,
            } => upstream::add(&client()?, &service, models, prefix, timeout)?,
            UpstreamCommand::Ls(listed) => services::list(&client()?, Kind::Upstream, listed.json)?,
            UpstreamCommand::Show(one) => services::show(&client()?, Kind::Upstream, &one)?,
            UpstreamCommand::Models(one) => upstream::models(&client()?, &one)?,
            UpstreamCommand::Find(wish) => upstream::find(&client()?, wish)?,
            UpstreamCommand::Pull { name, model, json } => {
                upstream::pull(client()?, &name, &model, json)?;
            }
            UpstreamCommand::Rm { name } => services::remove(&client()?, Kind::Upstream, &name)?,
        },
        Command::Notifier(notifier) => match notifier.command {
            NotifierCommand::Add { service } => notifier::add(&client()?, &service)?,
            NotifierCommand::Ls(listed) => services::list(&client()?, Kind::Notifier, listed.json)?,
            NotifierCommand::Show(one) => services::show(&client()?, Kind::Notifier, &one)?,
            NotifierCommand::Test { name } => notifier::test(&client()?, &name)?,
            NotifierCommand::Rm { name } => services::remove(&client()?, Kind::Notifier, &name)?,
        },
        Command::Secret(secret) => match secret.command {
            SecretCommand::Set { name } => secret::set(&client()?, &name)?,
            SecretCommand::Ls(listed) => secret::list(&client()?, listed.json)?,
            SecretCommand::Rm { name } => secret::remove(&client()?, &name)?,
        },
        Command::Backup(wish) => backup::backup(wish.command, &paths()?, client)?,
        Command::Certificate(wish) => match wish.command {
            None => certificate::show(&client()?, wish.json)?,
            Some(CertificateCommand::Show(listed)) => certificate::show(&client()?, listed.json)?,
            Some(CertificateCommand::Renew { force, json }) => {
                certificate::renew(&client()?, force, json)?;
            }
        },
        Command::Alerts(listed) => alerts::list(&client()?, listed.json)?,
        Command::Logs(wish) => logs::logs(client()?, &wish)?,
        Command::Scheduler(scheduler) => match scheduler.command {
            SchedulerCommand::Ls(listed) => scheduler::list(&client()?, listed.json)?,
            SchedulerCommand::Use { scheduler } => {
                scheduler::put_in_charge(&client()?, &scheduler)?;
            }
            SchedulerCommand::Shadow { scheduler } => {
                scheduler::put_in_shadow(&client()?, &scheduler)?;
            }
            SchedulerCommand::Diff(listed) => scheduler::differences(&client()?, listed.json)?,
        },
        Command::Explain(wish) => explain::explain(&client()?, &wish.request, wish.json)?,
        Command::Plugin(plugin) => match plugin.command {
            PluginCommand::Author(command) => {
                let cache = paths().ok().map(|paths| paths.compiled());
                plugin::author(command, client, cache)?;
            }
            PluginCommand::Operator(command) => plugin::act(&client()?, command)?,
            PluginCommand::Signing(command) => plugin::sign(command)?,
        },
    }
    Ok(ExitCode::SUCCESS)
}

fn connect(paths: Option<&Paths>) -> Result<Client, Failure> {
    let file = paths.map(Paths::endpoint_file);
    let endpoint = Endpoint::discover(|name| std::env::var(name).ok(), file.as_deref());
    Ok(Client::new(
        endpoint.map_err(crate::client::ClientError::from)?,
    ))
}

/// Prints what a listing is made of, for programs.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::new(format!("could not write JSON: {error}")))?;
    Ok(terminal::say(text)?)
}

/// A name as one segment of a path.
fn segment(name: &str) -> String {
    use std::fmt::Write as _;
    let mut path = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}
