//! Why something over SSH came to nothing, and what to do next.

use std::path::PathBuf;
use std::time::Duration;

use super::known::HostKey;

/// Why something over SSH came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// Nobody answers, or not as sshd does.
    #[error(
        "`{target}` is not reached: {why}; does sshd run there, and does a firewall let TCP {port} through?"
    )]
    Unreached {
        /// Which machine.
        target: String,
        /// Where.
        port: u16,
        /// In words.
        why: String,
    },
    /// Nobody knows this host; a person must say whether that is its key.
    #[error("nobody here knows `{target}`; its {} key is {}. Where that is right, add `--host-key {}`", .key.kind, .key.fingerprint, .key.fingerprint)]
    Unknown {
        /// Which machine.
        target: String,
        /// What it showed.
        key: HostKey,
    },
    /// The host was known by another key. Nothing was sent to it.
    #[error(
        "`{target}` shows another key than it is known by: {}; somebody may stand between, or it was installed anew. Nothing was sent to it. If you know why, remove line {line} of `{}` and run this again", .key.fingerprint, .file.display()
    )]
    Changed {
        /// Which machine.
        target: String,
        /// What it showed.
        key: Box<HostKey>,
        /// Where the other stands.
        file: PathBuf,
        /// In which line.
        line: usize,
    },
    /// The key is never to be believed. Nothing was sent.
    #[error("`{target}` shows a key that was revoked in `{}`; nothing was sent to it", .file.display())]
    Revoked {
        /// Which machine.
        target: String,
        /// Where that stands.
        file: PathBuf,
    },
    /// What is known of hosts could not be read or written.
    #[error(transparent)]
    Known(#[from] super::known::KnownError),
    /// A key file cannot be used.
    #[error("the key `{path}` cannot be used: {why}")]
    Key {
        /// Which.
        path: PathBuf,
        /// In words.
        why: String,
    },
    /// The agent with the keys does not answer.
    #[error("the agent with the keys (SSH_AUTH_SOCK): {0}")]
    Agent(String),
    /// The connection broke off.
    #[error(
        "the connection to `{target}` broke off: {why}; run this again, it goes on where it was"
    )]
    Lost {
        /// Which machine.
        target: String,
        /// In words.
        why: String,
    },
    /// It said more than it should.
    #[error(
        "`{0}` sends more than it was asked for; is its shell set up to print something at every start?"
    )]
    Talkative(String),
    /// It does not come to an end.
    #[error("`{target}` took longer than {} s over {what}", .time.as_secs())]
    Slow {
        /// Which machine.
        target: String,
        /// Over what.
        what: &'static str,
        /// How long it was waited.
        time: Duration,
    },
    /// It could not be done there.
    #[error("{what} failed on `{target}`: {said}")]
    Failed {
        /// Which machine.
        target: String,
        /// What.
        what: &'static str,
        /// What was said there.
        said: String,
    },
    /// It cannot be done there at all.
    #[error("{0}")]
    Unfit(String),
    /// What is done could not be written down.
    #[error(transparent)]
    Record(#[from] super::record::RecordError),
}
