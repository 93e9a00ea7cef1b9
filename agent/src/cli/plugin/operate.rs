//! `skep plugin ls|show|grant|revoke|rollback|remove` and the way to what agrees and trusts.
//!
//! Decides how each is asked of the agent and how the answer reads.

use serde_json::json;

use super::super::arguments::OperatorCommand;
use super::super::terminal::{Paint, printable, say};
use super::super::{Failure, figures, print_json, segment};
use super::person::person;
use super::{consent, show, trust};
use crate::client::Client;
use crate::wire::{PluginDetails, PluginGrants, PluginStates, RolledBackPlugin};

pub(in crate::cli) fn act(client: &Client, command: OperatorCommand) -> Result<(), Failure> {
    let path = |name: &str| format!("/api/v1/plugins/{}", segment(name));
    match command {
        OperatorCommand::Ls(listed) => {
            let plugins: PluginStates = client.get("/api/v1/plugins")?;
            if listed.json {
                return print_json(&plugins);
            }
            Ok(say(show::list(&plugins, Paint::for_stdout()))?)
        }
        OperatorCommand::Show { name, listed } => {
            let found: PluginDetails = client.get(&path(&name))?;
            if listed.json {
                return print_json(&found);
            }
            let paint = Paint::for_stdout();
            Ok(say(show::details(&found, paint, figures::ago))?)
        }
        OperatorCommand::Add { source, terms } => consent::add(client, &source, terms),
        OperatorCommand::Update {
            name,
            source,
            terms,
        } => consent::update(client, &name, source.as_deref(), terms),
        OperatorCommand::Grant { name, capabilities } => {
            let wish = json!({ "grants": capabilities, "by": person() });
            let held: PluginGrants = client.post(&format!("{}/grant", path(&name)), &wish)?;
            told(&held)
        }
        OperatorCommand::Revoke { name, capabilities } => {
            let wish = json!({ "grants": capabilities, "by": person() });
            let held: PluginGrants = client.post(&format!("{}/revoke", path(&name)), &wish)?;
            told(&held)
        }
        OperatorCommand::Rollback { name, to } => {
            let wish = json!({ "to": to, "by": person() });
            let back: RolledBackPlugin =
                client.post(&format!("{}/rollback", path(&name)), &wish)?;
            Ok(say(printable(&format!(
                "`{}` went back from {} to {}",
                back.name, back.from, back.to
            )))?)
        }
        OperatorCommand::Remove { name, force } => {
            let _: serde_json::Value = client.delete(&format!("{}?force={force}", path(&name)))?;
            Ok(say(printable(&format!(
                "forgot the plugin `{name}`, its versions and its rights"
            )))?)
        }
        OperatorCommand::Trust { key, name, command } => {
            trust::trust(client, key.as_deref(), name, command)
        }
    }
}

fn told(held: &PluginGrants) -> Result<(), Failure> {
    let grants: Vec<String> = held.grants.iter().map(|one| format!("`{one}`")).collect();
    let text = match grants.as_slice() {
        [] => format!("`{}` may touch nothing from now on", held.name),
        some => format!("`{}` may touch {} from now on", held.name, some.join(", ")),
    };
    Ok(say(printable(&text))?)
}
