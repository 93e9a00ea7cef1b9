//! Waiting for what comes first: the next line of an answer, or the user's interrupt.
//!
//! Decides that an interrupt ends the answer and not the command; refuses to know what the lines
//! mean.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use ureq::http::Method;

use crate::client::{Client, ClientError};

/// What there is to react to.
#[derive(Debug)]
pub(super) enum Happening {
    Line(String),
    /// The answer is over.
    End,
    Failed(ClientError),
    /// The connection broke off.
    Broken(io::Error),
    /// The user pressed Ctrl-C.
    Interrupted,
}

/// The user's interrupts, for whoever waits at the time.
#[derive(Debug)]
pub(super) struct Interrupts {
    waiting: Arc<Mutex<Option<SyncSender<Happening>>>>,
}

impl Interrupts {
    /// From now on an interrupt no longer ends the process while somebody waits.
    pub(super) fn watch() -> Self {
        let waiting: Arc<Mutex<Option<SyncSender<Happening>>>> = Arc::default();
        let theirs = Arc::clone(&waiting);
        // Without the thread an interrupt ends the process, which is right too.
        let _ = std::thread::Builder::new()
            .name("interrupts".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_io()
                    .build();
                let Ok(runtime) = runtime else { return };
                while runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
                    let waiting = theirs.lock().unwrap_or_else(PoisonError::into_inner);
                    let told = waiting
                        .as_ref()
                        .is_some_and(|waiting| waiting.try_send(Happening::Interrupted).is_ok());
                    if !told {
                        end();
                    }
                }
            });
        Self { waiting }
    }

    /// Sends a request; what happens comes out of the receiver. Dropping it gives the answer up.
    pub(super) fn ask(
        &self,
        client: &Arc<Client>,
        method: Method,
        path: &str,
        body: Option<impl Serialize + Send + 'static>,
    ) -> Receiver<Happening> {
        // Room for an interrupt beside lines that are not read yet.
        let (tell, happenings) = sync_channel(64);
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(tell.clone());
        let (client, path) = (Arc::clone(client), path.to_owned());
        std::thread::spawn(move || {
            let lines = match client.lines(method, &path, body.as_ref()) {
                Ok(lines) => lines,
                Err(error) => {
                    // Whoever asked may have gone.
                    let _ = tell.send(Happening::Failed(error));
                    return;
                }
            };
            for line in lines {
                let happening = line.map_or_else(Happening::Broken, Happening::Line);
                if tell.send(happening).is_err() {
                    return;
                }
            }
            let _ = tell.send(Happening::End);
        });
        happenings
    }

    /// Interrupts end the process again.
    pub(super) fn release(&self) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[expect(
    clippy::exit,
    reason = "nobody waits: an interrupt ends the command, as everywhere"
)]
fn end() {
    std::process::exit(130);
}
