//! What is said between the helper and its client, and the frames around it.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use skep_core::install::{Plan, RunId};

use super::super::{Drift, Preview};
use crate::limits::{HELPER_FRAME_BYTES, HELPER_MESSAGE_TIMEOUT};

/// The version that both ends must speak.
pub(super) const VERSION: u32 = 1;

/// What a client may ask for. There is nothing else.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Ask {
    /// The first.
    Hello { version: u32 },
    /// What a plan would do.
    Preview { plan: Plan },
    /// A run that is to be carried out, or gone on with.
    Begin {
        run: RunId,
        part: String,
        by: String,
        plan: Plan,
    },
    /// The next action of the run.
    CarryOut { action: usize },
    /// Undo the last action of the run that is not undone.
    Undo { action: usize },
    /// What was done and is no longer so.
    Drift {},
}

/// What the helper answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub(super) enum Answer {
    Hello {
        version: u32,
    },
    Previews {
        previews: Vec<Preview>,
    },
    Agreed {},
    Done {
        came: Vec<String>,
    },
    Undone {
        left: Option<String>,
    },
    Drift {
        drift: Vec<Drift>,
    },
    /// Nobody at the terminal agreed.
    Refused {},
    /// Its policy does not have that.
    Forbidden {
        why: String,
    },
    /// It could not be done.
    Failed {
        why: String,
    },
}

/// Writes one message.
pub(super) fn write(stream: &mut UnixStream, message: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_vec(message)?;
    let length = u32::try_from(json.len())
        .ok()
        .filter(|_| json.len() <= HELPER_FRAME_BYTES);
    let length = length.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend_from_slice(&json);
    stream.write_all(&frame)
}

/// Reads one message, or none when the other end closed. `patience` is how long the first byte may take.
pub(super) fn read<T: DeserializeOwned>(
    stream: &mut UnixStream,
    patience: Duration,
) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    stream.set_read_timeout(Some(patience))?;
    let first = loop {
        match stream.read(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    if first == 0 {
        return Ok(None);
    }
    let deadline = Instant::now() + HELPER_MESSAGE_TIMEOUT;
    fill(
        stream,
        length.get_mut(first..).unwrap_or_default(),
        deadline,
    )?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > HELPER_FRAME_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a message of {length} bytes; {HELPER_FRAME_BYTES} is the limit"),
        ));
    }
    // Memory is taken as bytes come, not as somebody says that they will.
    let mut json = Vec::new();
    while json.len() < length {
        let from = json.len();
        json.resize(length.min(from + (64 << 10)), 0);
        fill(stream, json.get_mut(from..).unwrap_or_default(), deadline)?;
    }
    serde_json::from_slice(&json)
        .map(Some)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("no message: {error}")))
}

fn fill(stream: &mut UnixStream, mut rest: &mut [u8], deadline: Instant) -> io::Result<()> {
    while !rest.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(rest) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => rest = rest.get_mut(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
