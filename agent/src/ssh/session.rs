//! A connection to another machine: who it is, whether we are let in, and what is run there.
//!
//! Decides that nothing is sent before the host's key is believed, and bounds all that comes back. The only file that
//! speaks SSH.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::agent::client::AgentClient;
use russh::keys::{PrivateKeyWithHashAlg, PublicKey, decode_secret_key};
use russh::{Disconnect, Preferred};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::Target;
use super::error::SshError;
use super::gatekeeper::Gatekeeper;
use super::known::{HostKey, Known, Verdict};
use crate::limits::{SSH_CONNECT_TIMEOUT, SSH_KEY_BYTES_MAX, SSH_KEYS_TRIED, SSH_SIGN_IN_TIMEOUT};

/// How somebody signs in.
#[derive(Debug)]
pub enum Way {
    /// With what an agent holds, whose socket is at `SSH_AUTH_SOCK`.
    Agent(PathBuf),
    /// With the private key in a file.
    Key {
        path: PathBuf,
        passphrase: Option<Zeroizing<String>>,
    },
    Password(Zeroizing<String>),
}

/// A connection to a machine that has proved who it is.
pub struct Session {
    pub(super) handle: Handle<Gatekeeper>,
    pub(super) target: Target,
}

impl Session {
    /// Connects and has the machine prove that it is who it was; `accepted` is the fingerprint that a person has agreed
    /// to, which is remembered then.
    ///
    /// # Errors
    /// See [`SshError`]; [`SshError::Unknown`] when a person must be asked.
    pub async fn connect(
        target: &Target,
        known: &Known,
        accepted: &[String],
    ) -> Result<Self, SshError> {
        let unreached = |why: String| SshError::Unreached {
            target: target.to_string(),
            port: target.port,
            why,
        };
        let seen: Arc<Mutex<Option<PublicKey>>> = Arc::default();
        let mut config = client::Config {
            inactivity_timeout: None,
            keepalive_interval: Some(KEEP_ALIVE),
            ..client::Config::default()
        };
        let mut kinds = known.kinds(target)?;
        kinds.retain(|kind| Preferred::DEFAULT.key.contains(kind));
        if !kinds.is_empty() {
            // Whoever is known by one kind of key is not to be asked for another.
            config.preferred.key = Cow::Owned(kinds);
        }
        let keeper = Gatekeeper {
            target: target.clone(),
            known: known.clone(),
            accepted: accepted.to_vec(),
            seen: seen.clone(),
        };
        let place = (target.host.as_str(), target.port);
        let connecting = client::connect(Arc::new(config), place, keeper);
        let connected = timeout(SSH_CONNECT_TIMEOUT, connecting).await;
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        match connected {
            Ok(Ok(handle)) => {
                let key = seen.as_ref().and_then(HostKey::of);
                let key = key.ok_or_else(|| unreached("it showed no key".to_owned()))?;
                // It was let through although nobody knew it: a person has agreed.
                if let Some(seen) = &seen
                    && known.judge(target, seen)? == Verdict::Unknown
                {
                    known.pin(target, &key)?;
                }
                Ok(Self {
                    handle,
                    target: target.clone(),
                })
            }
            Ok(Err(error)) => match seen {
                Some(key) => Err(disbelieved(target, known, &key, &error)?),
                None => Err(unreached(error.to_string())),
            },
            Err(_) => Err(unreached(format!(
                "no answer within {} s",
                SSH_CONNECT_TIMEOUT.as_secs()
            ))),
        }
    }

    /// Signs in; whether that worked.
    ///
    /// # Errors
    /// When the connection breaks off, or the way cannot be gone from here.
    pub async fn enter(&mut self, way: &Way) -> Result<bool, SshError> {
        let user = self.target.user.clone();
        let lost = |error: russh::Error| SshError::Lost {
            target: self.target.to_string(),
            why: error.to_string(),
        };
        let entered = match way {
            Way::Agent(socket) => return self.enter_by_agent(socket).await,
            Way::Key { path, passphrase } => {
                let key = read_key(path, passphrase.as_ref())?;
                let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
                let entering = self.handle.authenticate_publickey(user, key);
                timeout(SSH_SIGN_IN_TIMEOUT, entering).await
            }
            Way::Password(password) => {
                let entering = self.handle.authenticate_password(user, password.as_str());
                timeout(SSH_SIGN_IN_TIMEOUT, entering).await
            }
        };
        let entered = entered.map_err(|_| self.slow("signing in", SSH_SIGN_IN_TIMEOUT))?;
        Ok(entered.map_err(lost)?.success())
    }

    async fn enter_by_agent(&mut self, socket: &Path) -> Result<bool, SshError> {
        let failed = |why: String| SshError::Agent(why);
        let work = async {
            let mut agent = AgentClient::connect_uds(socket)
                .await
                .map_err(|error| failed(error.to_string()))?;
            let keys = agent.request_identities().await;
            let keys = keys.map_err(|error| failed(error.to_string()))?;
            for key in keys.iter().take(SSH_KEYS_TRIED) {
                let key = key.public_key().into_owned();
                let hash = match key.algorithm().is_rsa() {
                    true => Some(russh::keys::HashAlg::Sha512),
                    false => None,
                };
                let user = self.target.user.clone();
                let entering = self
                    .handle
                    .authenticate_publickey_with(user, key, hash, &mut agent);
                // A key that the agent will not sign with is one less.
                if entering.await.is_ok_and(|entered| entered.success()) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        let worked = timeout(SSH_SIGN_IN_TIMEOUT, work).await;
        worked.map_err(|_| self.slow("signing in", SSH_SIGN_IN_TIMEOUT))?
    }

    /// Says good-bye.
    pub async fn leave(self) {
        let bye = self.handle.disconnect(Disconnect::ByApplication, "", "en");
        let _ = timeout(BYE, bye).await;
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn lost(&self, why: &str) -> SshError {
        SshError::Lost {
            target: self.target.to_string(),
            why: why.to_owned(),
        }
    }

    pub(super) fn slow(&self, what: &'static str, time: Duration) -> SshError {
        SshError::Slow {
            target: self.target.to_string(),
            what,
            time,
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.target)
    }
}

/// Why a handshake ended in which the host had shown this key.
fn disbelieved(
    target: &Target,
    known: &Known,
    key: &PublicKey,
    error: &russh::Error,
) -> Result<SshError, SshError> {
    let unreached = |why: String| SshError::Unreached {
        target: target.to_string(),
        port: target.port,
        why,
    };
    let Some(shown) = HostKey::of(key) else {
        return Ok(unreached("its key cannot be read".to_owned()));
    };
    let verdict = known.judge(target, key)?;
    let target = target.to_string();
    Ok(match verdict {
        Verdict::Unknown => SshError::Unknown { target, key: shown },
        Verdict::Changed { file, line } => SshError::Changed {
            target,
            key: Box::new(shown),
            file,
            line,
        },
        Verdict::Revoked(file) => SshError::Revoked { target, file },
        Verdict::Known => unreached(error.to_string()),
    })
}

fn read_key(
    path: &Path,
    passphrase: Option<&Zeroizing<String>>,
) -> Result<russh::keys::PrivateKey, SshError> {
    let failed = |why: String| SshError::Key {
        path: path.to_owned(),
        why,
    };
    let found = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    if found.len() > SSH_KEY_BYTES_MAX {
        return Err(failed("it is too large for a key".to_owned()));
    }
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| failed(error.to_string()))?;
    let passphrase = passphrase.map(|passphrase| passphrase.as_str());
    decode_secret_key(&text, passphrase).map_err(|error| failed(error.to_string()))
}

/// How often is looked whether the other side is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

const BYE: Duration = Duration::from_secs(2);
