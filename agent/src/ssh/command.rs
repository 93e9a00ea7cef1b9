//! Running one of our scripts on another machine: what it reads, what it says, how long it may take.

use std::future::pending;
use std::time::Duration;

use russh::{ChannelMsg, client};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::timeout;

use super::error::SshError;
use super::scripts;
use super::session::Session;
use crate::limits::{
    SSH_COPY_PATIENCE, SSH_OUTPUT_BYTES_MAX, SSH_PLACE_TIMEOUT, SSH_SHOWN_LETTERS,
};

/// What became of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ran {
    pub(super) status: u32,
    pub(super) output: String,
    pub(super) complaint: String,
}

/// What a script reads.
pub(super) enum Input<'a> {
    Nothing,
    Text(&'a [u8]),
    /// A file's content; told of every part that is on its way.
    File(tokio::fs::File, &'a mut (dyn FnMut(u64) + Send)),
}

impl Session {
    /// Runs one of our scripts there.
    pub(super) async fn run(
        &self,
        what: &'static str,
        script: &'static str,
        words: &[&str],
        input: Input<'_>,
        time: Duration,
    ) -> Result<Ran, SshError> {
        let command = scripts::command(script, words)
            .ok_or_else(|| SshError::Unfit(format!("{what}: a word for it is not plain")))?;
        let copying = matches!(input, Input::File(..));
        let work = self.work(command, input);
        if copying {
            // It ends by itself when no byte is taken for long.
            return work.await;
        }
        let ran = timeout(time, work).await;
        ran.unwrap_or_else(|_| Err(self.slow(what, time)))
    }

    /// The same; an error when the script says so by its status.
    pub(super) async fn done(
        &self,
        what: &'static str,
        script: &'static str,
        words: &[&str],
        input: Input<'_>,
        time: Duration,
    ) -> Result<Ran, SshError> {
        let ran = self.run(what, script, words, input, time).await?;
        if ran.status == 0 {
            return Ok(ran);
        }
        let said = match ran.complaint.trim() {
            "" => format!("it ended with status {}", ran.status),
            said => shown(said),
        };
        Err(SshError::Failed {
            target: self.target.to_string(),
            what,
            said,
        })
    }

    async fn work(&self, command: String, input: Input<'_>) -> Result<Ran, SshError> {
        let lost = |error: russh::Error| self.lost(&error.to_string());
        let channel = self.handle.channel_open_session().await.map_err(lost)?;
        channel.exec(true, command).await.map_err(lost)?;
        let (mut receive, send) = channel.split();
        let copying = matches!(input, Input::File(..));
        let feed = async {
            let fed = match input {
                Input::Nothing => Ok(()),
                Input::Text(text) => feed(&send, text, &mut |_| {}).await,
                Input::File(file, tell) => feed(&send, file, tell).await,
            };
            match fed {
                // Whatever it says of why it wants no more is worth more than that.
                Err(Fed::Gone) | Ok(()) => {
                    let _ = send.eof().await;
                }
                Err(Fed::Stuck) => return Err(self.slow("taking the program", SSH_COPY_PATIENCE)),
                Err(Fed::Unread(why)) => return Err(SshError::Unfit(why)),
            }
            if copying {
                tokio::time::sleep(SSH_PLACE_TIMEOUT).await;
                return Err(self.slow("trying the program", SSH_PLACE_TIMEOUT));
            }
            pending().await
        };
        let hear = async {
            let (mut output, mut complaint, mut status) = (Vec::new(), Vec::new(), None);
            while let Some(message) = receive.wait().await {
                match message {
                    ChannelMsg::Data { data } => output.extend_from_slice(&data),
                    ChannelMsg::ExtendedData { data, .. } => complaint.extend_from_slice(&data),
                    ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                    ChannelMsg::ExitSignal { .. } => status = Some(SIGNALLED),
                    ChannelMsg::Failure => {
                        return Err(self.lost("it runs no commands for this user"));
                    }
                    ChannelMsg::Close => break,
                    _ => {}
                }
                if output.len() + complaint.len() > SSH_OUTPUT_BYTES_MAX {
                    return Err(SshError::Talkative(self.target.to_string()));
                }
            }
            Ok(Ran {
                status: status.ok_or_else(|| self.lost("a command ended without a word"))?,
                output: String::from_utf8_lossy(&output).into_owned(),
                complaint: String::from_utf8_lossy(&complaint).into_owned(),
            })
        };
        tokio::select! {
            ran = hear => ran,
            stuck = feed => stuck,
        }
    }
}

/// Why a script's input was not given to it wholly.
enum Fed {
    Gone,
    Stuck,
    Unread(String),
}

async fn feed(
    send: &russh::ChannelWriteHalf<client::Msg>,
    mut from: impl AsyncRead + Unpin,
    tell: &mut (dyn FnMut(u64) + Send),
) -> Result<(), Fed> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut buffer).await;
        let read =
            read.map_err(|error| Fed::Unread(format!("the program cannot be read: {error}")))?;
        let Some(chunk) = buffer.get(..read).filter(|chunk| !chunk.is_empty()) else {
            return Ok(());
        };
        match timeout(SSH_COPY_PATIENCE, send.data_bytes(chunk.to_vec())).await {
            Ok(Ok(())) => tell(read as u64),
            Ok(Err(_)) => return Err(Fed::Gone),
            Err(_) => return Err(Fed::Stuck),
        }
    }
}

/// What another machine says, as far as it is shown.
pub(super) fn shown(text: &str) -> String {
    let plain = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter });
    plain.take(SSH_SHOWN_LETTERS).collect()
}

const CHUNK_BYTES: usize = 32 << 10;

/// What a shell makes of a process that a signal ended, about.
const SIGNALLED: u32 = 128;
