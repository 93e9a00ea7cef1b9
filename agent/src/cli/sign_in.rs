//! `skep sign-in`: how people sign in besides by passwords that are kept here.
//!
//! Decides how a file of settings is read and how a test is told. A file has no secret: it is asked for, or comes by standard input.

use std::io::{self, IsTerminal as _};
use std::path::Path;

use serde_json::Value;
use zeroize::Zeroizing;

use super::arguments::{SignInCommand, SignInFile};
use super::figures;
use super::plugin::person::person;
use super::secret::{ask, read};
use super::terminal::{Paint, printable, say};
use super::{Exit, Failure, print_json};
use crate::client::Client;
use crate::limits::SIGN_IN_FILE_BYTES_MAX;
use crate::wire::{SignInDoor, SignInDoors, SignInTried, SignInWish};

pub(super) fn act(client: &Client, command: SignInCommand) -> Result<(), Failure> {
    match command {
        SignInCommand::Show(listed) => show(client, listed.json),
        SignInCommand::Test(file) => {
            let (door, wish) = wish(client, &file, false)?;
            let tried = client.post(&format!("/api/v1/sign-in/{door}/test"), &wish)?;
            tell(&tried, &file, None)
        }
        SignInCommand::Set { file, untested } => {
            let (door, wish) = wish(client, &file, untested)?;
            let tried = client.put(&format!("/api/v1/sign-in/{door}"), &wish)?;
            tell(&tried, &file, Some(door))
        }
        SignInCommand::Remove { door } => {
            let _: Value = client.delete(&format!("/api/v1/sign-in/{door}"))?;
            Ok(say(format!(
                "nobody signs in by `{door}` any more; who did is signed out"
            ))?)
        }
    }
}

fn show(client: &Client, json: bool) -> Result<(), Failure> {
    let doors: SignInDoors = client.get("/api/v1/sign-in")?;
    if json {
        return print_json(&doors);
    }
    let mut lines = Vec::new();
    for (name, door) in [("ldap", &doors.ldap), ("oidc", &doors.oidc)] {
        match door {
            None => lines.push(format!("{name}  not set")),
            Some(door) => lines.extend(describe(name, door)),
        }
    }
    lines.push(format!(
        "people come back from a provider to {}",
        doors.redirect_uri
    ));
    Ok(say(lines.join("\n"))?)
}

fn describe(name: &str, door: &SignInDoor) -> Vec<String> {
    let tested = if door.tested {
        "tested"
    } else {
        "not tested: somebody insisted"
    };
    let when = figures::ago(door.set_unix_s);
    let mut lines = vec![format!(
        "{name}  {tested}, set {when} by {}",
        printable(&door.set_by)
    )];
    for (key, value) in door.settings.as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) if text.contains('\n') => "(PEM)".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        lines.push(format!("  {key:18} {}", printable(&text)));
    }
    lines.push(match door.secret.as_str() {
        "missing" => {
            format!("  secret             missing on this node: `skep secret set sign-in-{name}`")
        }
        other => format!("  secret             {}", other.replace('_', " ")),
    });
    lines
}

fn tell(tried: &SignInTried, file: &SignInFile, door: Option<&str>) -> Result<(), Failure> {
    if file.json {
        print_json(tried)?;
    } else {
        say(render(tried, Paint::for_stdout()))?;
        match door {
            Some(door) if tried.saved => {
                say(format!("people may sign in by `{door}` from now on"))?
            }
            Some(_) => say("nothing was kept; `--untested` insists")?,
            None => {}
        }
    }
    let done = door.map_or(tried.ok, |_| tried.saved);
    if done {
        return Ok(());
    }
    Err(Failure::silent(Exit::Failed))
}

pub(super) fn render(tried: &SignInTried, paint: Paint) -> String {
    let lines = tried.checks.iter().flat_map(|check| {
        let mark = if check.ok {
            paint.green("ok  ")
        } else {
            paint.red("fail")
        };
        let evidence = printable(&check.evidence).into_owned();
        let first = format!("{mark}  {:11} {evidence}", check.what);
        let remedy = check.remedy.as_deref();
        let remedy = remedy.map(|remedy| format!("      {:11} {}", "", printable(remedy)));
        [Some(first), remedy].into_iter().flatten()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What the file says, with what it has to be asked for besides.
fn wish(
    client: &Client,
    file: &SignInFile,
    untested: bool,
) -> Result<(&'static str, SignInWish), Failure> {
    let (door, settings) = settings(&file.from)?;
    let secret = if file.secret_stdin {
        Some(read(io::stdin().lock())?)
    } else if needs_secret(door, &settings) && io::stdin().is_terminal() {
        let doors: SignInDoors = client.get("/api/v1/sign-in")?;
        let set = if door == "ldap" {
            doors.ldap
        } else {
            doors.oidc
        };
        let kept = set.is_some_and(|set| set.secret == "kept");
        let what = match (door, kept) {
            ("ldap", false) => "the password of `bind_dn`",
            ("ldap", true) => "the password of `bind_dn`; empty: the one that is kept",
            (_, false) => "the client's secret; empty: it has none",
            (_, true) => "the client's secret; empty: the one that is kept",
        };
        Some(ask(what)?)
    } else {
        None
    };
    let first = |text: Zeroizing<String>| text.lines().next().unwrap_or_default().to_owned();
    let wish = SignInWish {
        settings,
        secret: secret.map(first).filter(|text| !text.is_empty()),
        name: file.user.clone(),
        password: None,
        untested,
        by: Some(person()),
    };
    Ok((door, wish))
}

fn needs_secret(door: &str, settings: &Value) -> bool {
    door == "oidc" || settings.get("bind_dn").is_some()
}

/// The one door that a file describes, and its settings.
fn settings(path: &Path) -> Result<(&'static str, Value), Failure> {
    let failed = |why: String| Failure::new(format!("`{}`: {why}", path.display()));
    let text = bounded(path).map_err(|error| failed(error.to_string()))?;
    let mut table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| failed(error.to_string()))?;
    let (door, found) = match (table.remove("ldap"), table.remove("oidc")) {
        (Some(ldap), None) => ("ldap", ldap),
        (None, Some(oidc)) => ("oidc", oidc),
        _ => {
            let failure = failed("it has to have `[ldap]` or `[oidc]`, one of them".to_owned());
            return Err(failure.with_hint(Some("`skep sign-in --help` shows both")));
        }
    };
    if let Some(other) = table.keys().next() {
        return Err(failed(format!("there is no `{other}`")));
    }
    let toml::Value::Table(found) = found else {
        return Err(failed(format!("`{door}` is no table: write `[{door}]`")));
    };
    Ok((door, with_certificates(found, path).map_err(failed)?))
}

/// The settings of a file; certificates lie in another beside it.
pub(super) fn with_certificates(mut found: toml::Table, file: &Path) -> Result<Value, String> {
    if let Some(named) = found.remove("certificates_file") {
        let named = named.as_str().unwrap_or_default().to_owned();
        let beside = file.parent().unwrap_or_else(|| Path::new("")).join(&named);
        let pem = bounded(&beside).map_err(|error| format!("`{named}`: {error}"))?;
        found.insert("certificates".to_owned(), toml::Value::String(pem));
    }
    serde_json::to_value(found).map_err(|error| error.to_string())
}

fn bounded(path: &Path) -> io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(SIGN_IN_FILE_BYTES_MAX)
        .read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_describes_one_door() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.toml");
        std::fs::write(folder.path().join("ca.pem"), "PEM\n").unwrap();
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            settings(&path)
        };
        let (door, found) =
            read("[ldap]\nurl = \"ldaps://x\"\ncertificates_file = \"ca.pem\"").unwrap();
        assert_eq!(door, "ldap");
        assert_eq!(found["certificates"], "PEM\n");
        assert!(found.get("certificates_file").is_none());
        for wrong in [
            "",
            "[ldap]\n[oidc]",
            "[oidc]\n[other]",
            "ldap = 3",
            "[ldap",
            "[ldap]\ncertificates_file = \"none.pem\"",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
