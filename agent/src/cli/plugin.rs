//! `skep plugin`: making, signing, adding and looking after plugins.

use std::path::PathBuf;

use super::Failure;
use crate::cli::arguments::{AuthorCommand, SigningCommand};
use crate::client::Client;

mod bench;
mod build;
mod component;
mod consent;
mod dev;
mod new;
mod operate;
pub(super) mod person;
mod show;
mod signing;
mod test;
mod trust;

pub(super) use self::operate::act;
#[cfg(test)]
pub(super) use self::{consent::told, show::details, show::list, trust::render as signers};

/// What authors type; only `dev` needs an agent.
pub(super) fn author(
    command: AuthorCommand,
    client: impl Fn() -> Result<Client, Failure>,
    cache: Option<PathBuf>,
) -> Result<(), Failure> {
    match command {
        AuthorCommand::New(wish) => new::new(&wish),
        AuthorCommand::Build(wish) => build::build(&wish),
        AuthorCommand::Test(wish) => test::test(&wish, cache),
        AuthorCommand::Bench(wish) => bench::bench(&wish),
        AuthorCommand::Dev(wish) => dev::dev(client()?, &wish),
    }
}

/// What needs keys and no agent.
pub(super) fn sign(command: SigningCommand) -> Result<(), Failure> {
    signing::act(command)
}

/// What a plugin asks for, in short: our own interfaces by name, and HTTP. The rest of WASI is linked empty, so that
/// its number says enough; `--json` names it.
fn imports(imports: &[String]) -> String {
    let ours = imports.iter().filter_map(|import| {
        let name = import.strip_prefix("skep:plugin/")?.split('@').next()?;
        // Shapes of data give no rights.
        (!name.ends_with("types")).then(|| name.to_owned())
    });
    let reaches_out = imports
        .iter()
        .any(|import| import.starts_with("wasi:http/outgoing-handler"));
    let http = reaches_out.then(|| "HTTP to granted hosts".to_owned());
    let wasi = imports
        .iter()
        .filter(|import| import.starts_with("wasi:") && !import.starts_with("wasi:http/"))
        .count();
    let others = imports
        .iter()
        .filter(|import| !import.starts_with("wasi:") && !import.starts_with("skep:plugin/"))
        .cloned();
    let empty = (wasi > 0).then(|| format!("WASI, linked empty ({wasi})"));
    let all: Vec<String> = ours.chain(others).chain(http).chain(empty).collect();
    if all.is_empty() {
        return "nothing".to_owned();
    }
    all.join(", ")
}
