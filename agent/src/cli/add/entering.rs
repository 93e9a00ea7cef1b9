//! Getting into a machine: is it the one that is meant, and who are we there.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::note;
use crate::cli::arguments::Add;
use crate::cli::secret;
use crate::ssh::{HostKey, Known, Session, SshError, Target, Way};

/// Connects and signs in, and asks what has to be asked.
pub(super) async fn enter(
    wish: &Add,
    target: &Target,
    known: &Known,
    home: Option<&Path>,
) -> Result<Session, SshError> {
    let connected = Session::connect(target, known, &wish.host_key).await;
    let mut session = match connected {
        Err(SshError::Unknown { target: name, key }) => {
            if !is_believed(target, &key)? {
                return Err(SshError::Unknown { target: name, key });
            }
            Session::connect(target, known, &[key.fingerprint]).await?
        }
        connected => connected?,
    };
    let mut tried = Vec::new();
    for way in ways(wish, home) {
        tried.push(describe(&way));
        match session.enter(&way).await {
            Ok(true) => return Ok(session),
            Ok(false) => {}
            // A key of the usual name that needs a passphrase is one less, and so is an agent that is gone.
            Err(SshError::Key { .. } | SshError::Agent(_)) if wish.identity.is_none() => {}
            Err(SshError::Key { path, .. }) => {
                let asked = ask(&format!("passphrase of `{}`", path.display()))?;
                let way = Way::Key {
                    path,
                    passphrase: Some(asked),
                };
                if session.enter(&way).await? {
                    return Ok(session);
                }
            }
            Err(error) => return Err(error),
        }
    }
    if io::stdin().is_terminal() {
        for _ in 0..PASSWORDS_TRIED {
            let password = ask(&format!("password of {target}"))?;
            if session.enter(&Way::Password(password)).await? {
                return Ok(session);
            }
        }
        tried.push("a password".to_owned());
    }
    let tried = match tried.is_empty() {
        true => "there is no key to try".to_owned(),
        false => format!("tried {}", tried.join(", ")),
    };
    Err(SshError::Unfit(format!(
        "it does not let `{}` in: {tried}; give a key with `--identity FILE`, or type a password at a terminal",
        target.user
    )))
}

/// In the order in which ssh tries them.
fn ways(wish: &Add, home: Option<&Path>) -> Vec<Way> {
    let key = |path: PathBuf| Way::Key {
        path,
        passphrase: None,
    };
    if let Some(path) = &wish.identity {
        return vec![key(path.clone())];
    }
    let agent = std::env::var_os("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty());
    let mut ways: Vec<Way> = agent
        .map(|socket| Way::Agent(socket.into()))
        .into_iter()
        .collect();
    let usual = ["id_ed25519", "id_ecdsa"].into_iter();
    let usual = usual.filter_map(|name| Some(home?.join(".ssh").join(name)));
    ways.extend(usual.filter(|path| path.is_file()).map(key));
    ways
}

fn describe(way: &Way) -> String {
    match way {
        Way::Agent(_) => "the keys of the agent".to_owned(),
        Way::Key { path, .. } => format!("`{}`", path.display()),
        Way::Password(_) => "a password".to_owned(),
    }
}

/// Whether a person says that this is the machine's key.
fn is_believed(target: &Target, key: &HostKey) -> Result<bool, SshError> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    note(&format!(
        "nobody here knows {target}. Its {} key is\n\n  {}\n\nand `ssh-keygen -lf` of the file in /etc/ssh there prints the same if nobody stands between",
        key.kind, key.fingerprint
    ));
    let asked = || {
        let mut terminal = io::stderr().lock();
        write!(terminal, "is that its key? [y/N] ")?;
        terminal.flush()?;
        let mut said = String::new();
        io::stdin()
            .lock()
            .take(LINE_BYTES_MAX)
            .read_line(&mut said)?;
        io::Result::Ok(said)
    };
    let said = asked().map_err(|error| SshError::Unfit(format!("the terminal: {error}")))?;
    Ok(matches!(
        said.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}

fn ask(what: &str) -> Result<zeroize::Zeroizing<String>, SshError> {
    if !io::stdin().is_terminal() {
        return Err(SshError::Unfit(format!(
            "{what} is asked for at a terminal only"
        )));
    }
    let asked = secret::ask(what);
    let text = asked.map_err(|failure| SshError::Unfit(failure.message().to_owned()))?;
    let trimmed = text.trim_end_matches(['\n', '\r']);
    Ok(zeroize::Zeroizing::new(trimmed.to_owned()))
}

/// As ssh does.
const PASSWORDS_TRIED: usize = 3;

/// A yes is shorter.
const LINE_BYTES_MAX: u64 = 256;
