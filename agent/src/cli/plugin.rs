//! `skep plugin`: what each plugin is for, what it asks for, and where it runs.

mod operate;

use std::path::PathBuf;

pub(super) use self::operate::act;

use super::figures;
use super::table::{Cell, Hue, Table};
use super::terminal::{Paint, say};
use super::{Failure, print_json};
use crate::cli::arguments::AuthorCommand;
use crate::client::Client;
use crate::wire::Plugins;

mod bench;
mod build;
mod component;
mod dev;
mod new;
mod test;

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

pub(super) fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let plugins: Plugins = client.get("/api/v1/plugins")?;
    if json {
        return print_json(&plugins);
    }
    Ok(say(render(&plugins, Paint::for_stdout()))?)
}

pub(super) fn render(plugins: &Plugins, paint: Paint) -> String {
    if plugins.plugins.is_empty() {
        return "this binary holds no plugins; `cargo xtask build` makes one that does".to_owned();
    }
    let mut table = Table::new(["NAME", "WORLD", ">SIZE", "RUNS IN", "DIGEST", "ASKS FOR"]);
    for plugin in &plugins.plugins {
        let digest = plugin
            .digest
            .strip_prefix("sha256:")
            .unwrap_or(&plugin.digest);
        table.row([
            Cell::new(plugin.name.as_str(), Hue::Strong),
            plugin.world.as_str().into(),
            figures::size(plugin.bytes).into(),
            plugin.runs_in.as_str().into(),
            Cell::new(digest.chars().take(12).collect::<String>(), Hue::Faint),
            imports(&plugin.imports).into(),
        ]);
    }
    table.render(paint)
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
