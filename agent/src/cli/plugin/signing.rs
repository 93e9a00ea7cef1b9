//! `skep plugin keygen` and `sign`: keys and signatures, as minisign's. No agent is asked.
//!
//! Decides that nothing is overwritten and that a secret key is read by its owner alone. Refuses to know who trusts whom.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::cli::arguments::SigningCommand;
use crate::cli::terminal::{printable, say};
use crate::cli::waiting::Waiting;
use crate::cli::{Failure, secret};
use crate::limits::{COMPONENT_BYTES, KEY_FILE_BYTES, SIGNATURE_BYTES};
use crate::plugins::signature::{self, SignatureError};
use crate::plugins::source;

/// Where a machine that signs by itself has the password.
const PASSWORD: &str = "SKEP_SIGN_PASSWORD";

pub(super) fn act(command: SigningCommand) -> Result<(), Failure> {
    match command {
        SigningCommand::Keygen { path, no_password } => keygen(&path, no_password),
        SigningCommand::Sign { file, key } => sign(&file, &key),
    }
}

fn keygen(path: &Path, no_password: bool) -> Result<(), Failure> {
    let (secret, public) = (with(path, ".key"), with(path, ".pub"));
    for made in [&secret, &public] {
        if made.symlink_metadata().is_ok() {
            let message = format!("`{}` is there already", made.display());
            return Err(Failure::new(message).with_hint(Some("name another path")));
        }
    }
    let password = if no_password {
        None
    } else {
        let first = password("a password for the secret key")?;
        if io::stdin().is_terminal() && std::env::var_os(PASSWORD).is_none() {
            let again = password("the same again")?;
            if *first != *again {
                return Err(Failure::new("the two are not the same; no key was made"));
            }
        }
        if first.is_empty() {
            return Err(Failure::usage("the password is empty")
                .with_hint(Some("`--no-password` makes a key without one")));
        }
        Some(first)
    };
    let waiting = Waiting::begin("making a key");
    let pair = signature::generate(password.map(|password| password.to_string()));
    drop(waiting);
    let pair = pair.map_err(|error| Failure::chain(&error))?;
    write(&secret, &pair.secret, 0o600)?;
    write(&public, &pair.public, 0o644)?;
    Ok(say(format!(
        "the secret key is in `{}`: keep it to yourself, and a copy elsewhere\nthe public key is in `{}`: whoever trusts you types\n  skep plugin trust {}",
        secret.display(),
        public.display(),
        pair.key
    ))?)
}

fn sign(file: &Path, key: &Path) -> Result<(), Failure> {
    let failed = |error: source::SourceError| Failure::chain(&error);
    let component = source::file(file, COMPONENT_BYTES).map_err(failed)?;
    let text = Zeroizing::new(source::file(key, KEY_FILE_BYTES).map_err(failed)?);
    let text = std::str::from_utf8(&text)
        .map_err(|_| Failure::new(format!("`{}` is no key's file", key.display())))?;
    // One without a password opens at once.
    let secret = match signature::secret_key(text, None) {
        Ok(secret) => secret,
        Err(SignatureError::SecretKey(_)) => {
            let password = password("the password of the secret key")?;
            let waiting = Waiting::begin("opening the key");
            let opened = signature::secret_key(text, Some(password.to_string()));
            drop(waiting);
            opened.map_err(|error| Failure::chain(&error))?
        }
        Err(error) => return Err(Failure::chain(&error)),
    };
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let at = crate::keys::unix_now_s();
    let comment = format!("timestamp:{at}\tfile:{}\thashed", printable(&name));
    let made =
        signature::sign(&component, &secret, &comment).map_err(|error| Failure::chain(&error))?;
    debug_assert!(made.len() <= SIGNATURE_BYTES);
    let beside = with(file, ".minisig");
    std::fs::write(&beside, &made).map_err(|error| {
        Failure::new(format!("could not write `{}`: {error}", beside.display()))
    })?;
    Ok(say(format!("the signature is in `{}`", beside.display()))?)
}

/// From the environment, or asked for on the terminal, which shows nothing of it.
fn password(what: &str) -> Result<Zeroizing<String>, Failure> {
    if let Ok(password) = std::env::var(PASSWORD) {
        return Ok(Zeroizing::new(password));
    }
    if !io::stdin().is_terminal() {
        return Err(
            Failure::usage("there is no terminal to ask for the password on").with_hint(Some(
                format!("put it into `{PASSWORD}`, or use a key without one"),
            )),
        );
    }
    let typed = secret::ask(what)?;
    Ok(Zeroizing::new(
        typed.trim_end_matches(['\n', '\r']).to_owned(),
    ))
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Writes a file that must not be there yet.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| Failure::new(format!("could not write `{}`: {error}", path.display())))
}
