//! A backup of this node, for a command of its own user: it has every secret in it.

use std::io::{self, Write};
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::body;
use super::lines::Lines;
use super::refusal::{Refusal, chain};
use crate::agent::Agent;
use crate::backup;
use crate::http::Caller;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wish {
    passphrase: Option<String>,
}

/// What breaks off on the way lacks its digest, so that nobody takes it for a backup.
pub(super) async fn create(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Response, Refusal> {
    if !matches!(caller, Caller::Local) {
        let message = "a backup has every secret of this node: only a command of the agent's own user may make one";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "local_only", message)
            .with_hint("sign in on the machine, and type `skep backup create FILE` there"));
    }
    let wish: Wish = body::read(body).await?;
    let passphrase = wish.passphrase.map(Zeroizing::new);
    let source = backup::of_agent(&agent).await.map_err(|error| {
        Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "backup_failed",
            chain(&error),
        )
    })?;
    let (pieces, body) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let out = io::BufWriter::with_capacity(PIECE_BYTES, Pieces(pieces));
        let secret = passphrase.as_ref().map(|secret| secret.as_str());
        let packed = backup::pack(&source, out, secret);
        let ended = packed.and_then(|mut out| out.flush().map_err(backup::BackupError::Write));
        if let Err(error) = ended {
            tracing::warn!(why = chain(&error), "a backup broke off");
        }
    });
    let mut response = Lines::new(body, ()).into_response();
    let kind = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// What is written goes to who asked, as fast as that is read.
struct Pieces(mpsc::Sender<Bytes>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(bytes));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const PIECE_BYTES: usize = 64 << 10;
/// Some that wait to be read.
const PIECES: usize = 8;
