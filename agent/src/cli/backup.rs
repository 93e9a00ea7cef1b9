//! `skep backup`: making one, listing those in a folder, and putting one back.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use super::arguments::{BackupCommand, CreateBackup, RestoreBackup};
use super::figures;
use super::table::{Cell, Hue, Table};
use super::terminal::{Paint, complain, printable, say};
use super::waiting::Waiting;
use super::{Failure, print_json};
use crate::backup::{self, BackupError, Whole};
use crate::client::Client;
use crate::config::{self, Settings, Source};
use crate::identity::{Lock, LockError};
use crate::keys::unix_now_s;
use crate::limits::BACKUP_BYTES_MAX;
use crate::paths::Paths;

pub(super) fn backup(
    command: BackupCommand,
    paths: &Paths,
    client: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    match command {
        BackupCommand::Create(wish) => create(&wish, paths, client),
        BackupCommand::Ls { folder, json } => list(folder.as_deref(), paths, json),
        BackupCommand::Restore(wish) => restore(&wish, paths),
    }
}

fn create(
    wish: &CreateBackup,
    paths: &Paths,
    client: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let secret = wish
        .passphrase_file
        .as_deref()
        .map(backup::passphrase)
        .transpose();
    let secret = secret.map_err(|error| failure(&error))?;
    let secret = secret.as_ref().map(|secret| secret.as_str());
    let waiting = Waiting::begin("making a backup");
    if wish.place == Path::new("-") {
        make(&mut io::stdout().lock(), secret, paths, client)?;
        return Ok(());
    }
    let path = if wish.place.is_dir() {
        wish.place
            .join(format!("skep-{}.skep-backup", unix_now_s()))
    } else {
        wish.place.clone()
    };
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    if path.exists() {
        let hint = "choose another name; nothing is overwritten";
        return Err(
            Failure::new(format!("there is `{}` already", path.display())).with_hint(Some(hint)),
        );
    }
    let failed = |error: io::Error| {
        let hint = "is the disk full, or the folder not yours?";
        Failure::new(format!("could not write `{}`: {error}", path.display())).with_hint(Some(hint))
    };
    // For this user alone, from the first byte on.
    let temporary = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(folder)
        .map_err(failed)?;
    make(&mut temporary.as_file(), secret, paths, client)?;
    temporary.as_file().sync_all().map_err(failed)?;
    // What was cut on the way is no backup.
    let head = backup::verify(temporary.path()).map_err(|error| failure(&error))?;
    let bytes = temporary.as_file().metadata().map_err(failed)?.len();
    temporary
        .persist_noclobber(&path)
        .map_err(|error| failed(error.error))?;
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)?;
    drop(waiting);
    if wish.json {
        return print_json(
            &json!({ "path": path, "bytes": bytes, "sealed": head.sealed.is_some() }),
        );
    }
    say(format!(
        "{}: {}",
        printable(&path.display().to_string()),
        figures::size(bytes)
    ))?;
    if head.sealed.is_none() {
        let paint = Paint::for_stderr();
        complain(&format!(
            "{} it has every key and secret of this node, and is not sealed: keep it as safe as these, or seal it with `--passphrase-file FILE`",
            paint.yellow("note:")
        ));
    }
    Ok(())
}

/// By the running agent, or, where none runs, from the folders themselves.
fn make(
    out: &mut dyn io::Write,
    secret: Option<&str>,
    paths: &Paths,
    client: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    match Lock::take(paths) {
        Ok(_lock) => {
            let runtime = crate::boot::runtime()?;
            let source = runtime.block_on(backup::of_home(paths));
            let source = source.map_err(|error| failure(&error))?;
            backup::pack(&source, out, secret)
                .map(drop)
                .map_err(|error| failure(&error))
        }
        Err(LockError::Taken { .. }) => {
            let mut answer =
                client()?.download("/api/v1/backup", &json!({ "passphrase": secret }))?;
            let mut limited = (&mut answer).take(BACKUP_BYTES_MAX * 2);
            io::copy(&mut limited, out).map(drop).map_err(|error| {
                Failure::new(format!("the backup broke off: {error}"))
                    .with_hint(Some("is the disk full? `skep logs` tells more"))
            })
        }
        Err(error) => Err(Failure::chain(&error)),
    }
}

fn list(folder: Option<&Path>, paths: &Paths, json: bool) -> Result<(), Failure> {
    let configured = || {
        let path = paths.config_file();
        let config = config::load(Source::Default(&path), std::env::vars(), &[]).ok()?;
        Some(Settings::try_from(config).ok()?.backup?.folder)
    };
    let Some(folder) = folder.map(Path::to_owned).or_else(configured) else {
        let hint = "name one, or have the agent make backups by `backup.folder`";
        return Err(Failure::usage("which folder?").with_hint(Some(hint)));
    };
    let found = backup::list(&folder).map_err(|error| failure(&error))?;
    #[derive(Serialize)]
    struct Line {
        path: std::path::PathBuf,
        bytes: u64,
        whole: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
        #[serde(flatten)]
        head: Option<backup::Head>,
    }
    let lines: Vec<Line> = found
        .into_iter()
        .map(|one| {
            let (head, why) = match one.whole {
                Whole::Yes(head) => (Some(head), None),
                Whole::No(error) => (None, Some(crate::acme::chain(&error))),
            };
            Line {
                path: one.path,
                bytes: one.bytes,
                whole: head.is_some(),
                why,
                head,
            }
        })
        .collect();
    if json {
        return print_json(&lines);
    }
    if lines.is_empty() {
        return Ok(say("there is no backup in it")?);
    }
    let mut table = Table::new(["BACKUP", "MADE", "SIZE", "NODE", "SEALED", "WHOLE"]);
    for line in &lines {
        let head = line.head.as_ref();
        let whole = match &line.why {
            None => Cell::new("yes", Hue::Good),
            Some(why) => Cell::new(why.as_str(), Hue::Bad),
        };
        table.row([
            Cell::new(line.path.display().to_string().as_str(), Hue::Strong),
            head.map_or_else(String::new, |head| figures::ago(head.made_unix_s))
                .into(),
            figures::size(line.bytes).into(),
            head.map_or_else(String::new, |head| head.node_name.clone())
                .into(),
            head.map_or("", |head| if head.sealed.is_some() { "yes" } else { "no" })
                .into(),
            whole,
        ]);
    }
    Ok(say(table.render(Paint::for_stdout()))?)
}

fn restore(wish: &RestoreBackup, paths: &Paths) -> Result<(), Failure> {
    let secret = wish
        .passphrase_file
        .as_deref()
        .map(backup::passphrase)
        .transpose();
    let secret = secret.map_err(|error| failure(&error))?;
    let secret = secret.as_ref().map(|secret| secret.as_str());
    let waiting = Waiting::begin("looking through the backup");
    let (found, before) = if wish.dry_run {
        let found = backup::inspect(&wish.file, secret).map_err(|error| failure(&error))?;
        (found, None)
    } else {
        paths.create().map_err(|error| Failure::chain(&error))?;
        let _lock = Lock::take(paths).map_err(|error| {
            Failure::chain(&error).with_hint(Some(
                "stop the agent first: `systemctl stop skep`, or Ctrl-C where it runs",
            ))
        })?;
        let runtime = crate::boot::runtime()?;
        let config = paths.config_file();
        let restored = runtime.block_on(backup::restore(&wish.file, secret, paths, &config));
        let (found, before) = restored.map_err(|error| failure(&error))?;
        (found, Some(before))
    };
    drop(waiting);
    if wish.json {
        return print_json(&json!({
            "head": found.head,
            "files": found.files,
            "bytes": found.bytes,
            "models": found.models,
            "before": before,
        }));
    }
    let head = &found.head;
    say(format!(
        "{} of the node {}, made {} by skep {}: {} files, {}",
        if before.is_some() {
            "restored the backup"
        } else {
            "a whole backup"
        },
        printable(&head.node),
        figures::ago(head.made_unix_s),
        printable(&head.by),
        found.files.len(),
        figures::size(found.bytes)
    ))?;
    if let Some(before) = before {
        say(format!(
            "what was there before lies in {}",
            printable(&before.display().to_string())
        ))?;
    } else {
        for name in &found.files {
            say(format!("  {}", printable(name)))?;
        }
    }
    let missing: Vec<_> = found
        .models
        .iter()
        .filter(|model| model.name != "tiny")
        .collect();
    if !missing.is_empty() {
        say("models are not in it; those that were there:")?;
        for model in missing {
            say(format!(
                "  skep pull {} --name {}   ({})",
                printable(&model.source),
                printable(&model.name),
                figures::size(model.bytes)
            ))?;
        }
    }
    Ok(())
}

fn failure(error: &BackupError) -> Failure {
    let hint = match error {
        BackupError::Torn | BackupError::Foreign => {
            Some("`skep backup ls FOLDER` shows which of a folder are whole")
        }
        BackupError::Passphrase => Some("is it the file that the backup was made with?"),
        BackupError::Version(_) => Some("use the version of skep that made it, or a later one"),
        BackupError::File { .. } | BackupError::Write(_) => {
            Some("is the disk full, or the file not yours?")
        }
        _ => None,
    };
    Failure::chain(error).with_hint(hint)
}
