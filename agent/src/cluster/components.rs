//! Plugins' components on their way from one node to another, as a stream of parts with the lowest priority.
//!
//! Decides whom to ask and how long to wait, and that what comes is what the digest says; refuses to know what it is.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};
use skep_core::state::PluginDigest;
use tokio::time::timeout;

use super::life::Life;
use crate::limits::{COMPONENT_BYTES, COMPONENT_PART_BYTES, COMPONENT_SILENCE};
use crate::net::{Answers, Ask, FrameError, Link, Priority};

/// What is answered; the end of the stream is the end of the component.
#[derive(Serialize, Deserialize)]
enum Part {
    /// It is not here.
    Absent,
    /// More of it.
    Bytes(ByteBuf),
}

/// The version of the protocol in which this is first asked.
const SINCE: u16 = 2;

/// Sends what is here, if it is what its name says.
pub(super) async fn give(
    life: &Life,
    digest: PluginDigest,
    mut answers: Answers,
) -> Result<(), FrameError> {
    answers.prefer(Priority::Chunks);
    let store = life.parts.components.clone();
    let read = tokio::task::spawn_blocking(move || store.read(digest)).await;
    match read {
        Ok(Ok(component)) => {
            for part in component.chunks(COMPONENT_PART_BYTES) {
                let part = Part::Bytes(ByteBuf::from(part));
                answers.send(&part).await?;
            }
        }
        Ok(Err(_)) | Err(_) => answers.send(&Part::Absent).await?,
    }
    answers.end();
    Ok(())
}

/// Asks everybody who is reached, one after the other.
pub(super) async fn fetch(
    life: &Life,
    digest: PluginDigest,
    bytes: u64,
) -> Result<Vec<u8>, String> {
    let mut why = "no other node is reached".to_owned();
    for link in life.remote.links() {
        if link.version() < SINCE {
            continue;
        }
        match ask(&link, digest, bytes).await {
            Ok(Some(component)) => {
                let checked = tokio::task::spawn_blocking(move || {
                    let is_it = digest.0 == <[u8; 32]>::from(Sha256::digest(&component));
                    is_it.then_some(component)
                });
                if let Ok(Some(component)) = checked.await {
                    return Ok(component);
                }
                tracing::warn!(node = %link.node(), %digest, "a node sent a plugin's component that is not what its digest says");
                "a node sent something else".clone_into(&mut why);
            }
            Ok(None) => "no node that is reached has it".clone_into(&mut why),
            Err(error) => why = error,
        }
    }
    Err(why)
}

async fn ask(link: &Link, digest: PluginDigest, bytes: u64) -> Result<Option<Vec<u8>>, String> {
    let silent = |_| "a node fell silent while it sent a component".to_owned();
    let broken = |error: FrameError| error.to_string();
    let wanted = Ask::Component(digest);
    let asking = link.ask(&wanted, Priority::Chunks);
    let asked = timeout(COMPONENT_SILENCE, asking).await.map_err(silent)?;
    let (mut asked, _answers) = asked.map_err(broken)?;
    let most = usize::try_from(bytes).map_or(COMPONENT_BYTES, |bytes| bytes.min(COMPONENT_BYTES));
    let mut component = Vec::new();
    loop {
        let next = timeout(COMPONENT_SILENCE, asked.next::<Part>()).await;
        match next.map_err(silent)?.map_err(broken)? {
            None => return Ok(Some(component)),
            Some(Part::Absent) => return Ok(None),
            Some(Part::Bytes(part)) if component.len() + part.len() <= most => {
                component.extend_from_slice(&part);
            }
            Some(Part::Bytes(_)) => {
                return Err("a node sent more than the component has".to_owned());
            }
        }
    }
}
