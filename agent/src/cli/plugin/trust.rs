//! `skep plugin trust`: whose signatures the cluster believes.

use std::path::Path;

use super::person::person;
use crate::cli::arguments::TrustCommand;
use crate::cli::table::{Cell, Hue, Table};
use crate::cli::terminal::{Paint, printable, say};
use crate::cli::{Failure, figures, print_json, segment};
use crate::client::Client;
use crate::limits::KEY_FILE_BYTES;
use crate::plugins::signature::{key_number, public_key};
use crate::plugins::source;
use crate::wire::{SignerView, SignerWish, Signers};

const SIGNERS: &str = "/api/v1/plugins/-/signers";

pub(super) fn trust(
    client: &Client,
    key: Option<&str>,
    name: Option<String>,
    command: Option<TrustCommand>,
) -> Result<(), Failure> {
    match (command, key) {
        (Some(TrustCommand::Ls(listed)), _) => {
            let signers: Signers = client.get(SIGNERS)?;
            if listed.json {
                return print_json(&signers);
            }
            Ok(say(render(&signers, Paint::for_stdout(), figures::ago))?)
        }
        (Some(TrustCommand::Remove { name }), _) => {
            let _: serde_json::Value = client.delete(&format!("{SIGNERS}/{}", segment(&name)))?;
            Ok(say(printable(&format!(
                "`{name}` is trusted no more; what was added stays"
            )))?)
        }
        (None, Some(key)) => believe(client, key, name),
        (None, None) => Err(Failure::usage("name a public key, or its file")),
    }
}

fn believe(client: &Client, text: &str, name: Option<String>) -> Result<(), Failure> {
    let path = Path::new(text);
    // A key could be a file's name, too, but nobody calls a file so.
    let (key, named) = match public_key(text) {
        Ok(key) => (key, None),
        Err(wrong) if path.exists() || text.contains(['/', '.']) => {
            let bytes =
                source::file(path, KEY_FILE_BYTES).map_err(|error| Failure::chain(&error))?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let _ = wrong;
            let key = public_key(&text).map_err(|error| Failure::chain(&error))?;
            let stem = path
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned());
            (key, stem)
        }
        Err(wrong) => return Err(Failure::chain(&wrong)),
    };
    let number = key_number(&key).unwrap_or_default();
    let name = name
        .or(named)
        .unwrap_or_else(|| format!("key-{}", number.to_lowercase()));
    let wish = SignerWish {
        name,
        key,
        by: Some(person()),
    };
    let signer: SignerView = client.post(SIGNERS, &wish)?;
    Ok(say(printable(&format!(
        "`{}` is trusted from now on (key {}); what no trusted key signed has to be accepted by name",
        signer.name, signer.number
    )))?)
}

pub(in crate::cli) fn render(
    signers: &Signers,
    paint: Paint,
    ago: impl Fn(u64) -> String,
) -> String {
    if signers.signers.is_empty() {
        return "nobody is trusted, so that signatures are shown and not asked for; `skep plugin trust KEY` trusts somebody".to_owned();
    }
    let mut table = Table::new(["NAME", "KEY", "SINCE", "BY", "PUBLIC KEY"]);
    for signer in &signers.signers {
        table.row([
            Cell::new(signer.name.as_str(), Hue::Strong),
            signer.number.as_str().into(),
            ago(signer.added_unix_s).into(),
            signer.added_by.as_str().into(),
            Cell::new(signer.key.as_str(), Hue::Faint),
        ]);
    }
    table.render(paint)
}
