//! `skep plugin add`, `update`, `grant`, `revoke`, `rollback`, `remove`, `show`: what somebody agrees to.
//!
//! Decides how consent is asked for; refuses to know whether it suffices, which the agent checks again.

use std::fs::File;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::arguments::{OperatorCommand, Taken};
use super::super::terminal::{complain, printable, say};
use super::super::{Failure, figures, print_json, segment};
use crate::client::Client;
use crate::limits::{COMPONENT_BYTES, SIGNATURE_BYTES};
use crate::wire::{AddedPlugin, Install, PluginDetails, PluginOffer};

pub(in crate::cli) fn act(client: &Client, command: OperatorCommand) -> Result<(), Failure> {
    let path = |name: &str| format!("/api/v1/plugins/{}", segment(name));
    let by = std::env::var("USER").ok();
    let answer: Value = match command {
        OperatorCommand::Ls(listed) => return super::list(client, listed.json),
        OperatorCommand::Show { name } => {
            let found: PluginDetails = client.get(&path(&name))?;
            return print_json(&found);
        }
        OperatorCommand::Add(taken) => return take(client, None, taken, by),
        OperatorCommand::Update { name, taken } => return take(client, Some(name), taken, by),
        OperatorCommand::Grant { name, capabilities } => {
            let wish = json!({ "grants": capabilities, "by": by });
            client.post(&format!("{}/grant", path(&name)), &wish)?
        }
        OperatorCommand::Revoke { name, capabilities } => {
            let wish = json!({ "grants": capabilities, "by": by });
            client.post(&format!("{}/revoke", path(&name)), &wish)?
        }
        OperatorCommand::Rollback { name } => {
            client.post(&format!("{}/rollback", path(&name)), &json!({ "by": by }))?
        }
        OperatorCommand::Remove { name, force } => {
            client.delete(&format!("{}?force={force}", path(&name)))?
        }
    };
    print_json(&answer)
}

pub(super) fn take(
    client: &Client,
    updates: Option<String>,
    taken: Taken,
    by: Option<String>,
) -> Result<(), Failure> {
    let component = read(&taken.file, COMPONENT_BYTES)?;
    let mut beside = taken.file.clone().into_os_string();
    beside.push(".minisig");
    let beside = Path::new(&beside);
    let signature = match beside.exists() {
        true => Some(STANDARD.encode(read(beside, SIGNATURE_BYTES)?)),
        false => None,
    };
    let offer: PluginOffer = client.offer("/api/v1/plugins/-/inspect", component, signature)?;
    complain(&printable(&told(&offer)));
    let needed = offer
        .wishes
        .iter()
        .filter(|wish| !wish.optional && !wish.granted);
    let needed: Vec<String> = needed.filter_map(|wish| wish.capability.clone()).collect();
    let mut grants = taken.grants;
    let missing: Vec<String> = needed
        .into_iter()
        .filter(|one| !grants.contains(one))
        .collect();
    if !taken.yes {
        if !std::io::stdin().is_terminal() {
            return Err(Failure::usage("nobody can be asked here").with_hint(Some(
                "add `--yes`, and `--grant` for everything that it needs",
            )));
        }
        complain("Do you agree? [y/N]");
        let mut answer = String::new();
        let _ = std::io::stdin().read_line(&mut answer);
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            return Err(Failure::new("not agreed; nothing was changed"));
        }
        grants.extend(missing);
    } else if !missing.is_empty() {
        let flags: Vec<String> = missing.iter().map(|one| format!("--grant {one}")).collect();
        return Err(
            Failure::usage("`--yes` alone does not agree to what it may touch")
                .with_hint(Some(format!("name each: {}", flags.join(" ")))),
        );
    }
    let wish = Install {
        digest: offer.digest,
        grants,
        updates,
        source: None,
        by,
    };
    let added: AddedPlugin = client.post("/api/v1/plugins/-/install", &wish)?;
    Ok(say(printable(&format!(
        "`{}` {} is there, {}",
        added.name, added.version, added.digest
    )))?)
}

fn told(offer: &PluginOffer) -> String {
    let manifest = &offer.manifest;
    let mut text = format!(
        "{} {}, for the world `{}`\n",
        manifest.name, manifest.version, offer.world
    );
    text += &format!(
        "digest: {}\nsize: {}\n",
        offer.digest,
        figures::size(offer.bytes)
    );
    let signer = offer
        .signature
        .name
        .as_ref()
        .or(offer.signature.key.as_ref());
    text += &format!(
        "signature: {} {}\n",
        offer.signature.state,
        signer.map_or("", String::as_str)
    );
    for wish in &offer.wishes {
        let optional = if wish.optional { " (optional)" } else { "" };
        text += &format!("it may {}{optional}: {}\n", wish.words, wish.reason);
    }
    for given in &offer.gives {
        text += &format!("it may {given}\n");
    }
    text + &format!("it may not touch: {}", offer.may_not.join("; "))
}

fn read(path: &Path, most: usize) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::new(format!("could not read `{}`: {error}", path.display()));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > most {
        return Err(Failure::new(format!(
            "`{}` has more than {most} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}
