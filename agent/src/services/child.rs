//! Starting a service's process and loading the plugin in it.
//!
//! Decides what the process gets: a socket and nothing else.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process;
use zeroize::Zeroize as _;

use super::Service;
use crate::fleet::{Fleet, pass_on};
use crate::limits::{EXIT_TIMEOUT, REAP_TIMEOUT, SERVICE_OPEN_TIMEOUT};
use crate::protocol::{
    Decoder, FromService, Line, LineLevel, OpenService, ToService, VERSION, encode,
};

/// A service's process and the agent's end of its socket.
#[derive(Debug)]
pub(super) struct Child {
    process: process::Child,
    pub(super) stream: UnixStream,
    pub(super) inbox: Decoder,
}

/// Why a service did not become ready. Its process has ended.
#[derive(Debug)]
pub(super) enum NotOpened {
    /// Its compiled component has to be made again.
    Stale,
    Died(String),
}

impl Child {
    pub(super) async fn start(fleet: &Fleet, service: &Service) -> io::Result<Self> {
        let (mut process, stream) = fleet.launch("service").await?;
        if let Some(said) = process.stderr.take() {
            let service = service.clone();
            tokio::spawn(pass_on(said, move |line| write_line(&service, line)));
        }
        Ok(Self {
            process,
            stream,
            inbox: Decoder::default(),
        })
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Loads the plugin.
    pub(super) async fn open(
        &mut self,
        service: &Service,
        open: OpenService,
    ) -> Result<(), NotOpened> {
        let opening = async {
            self.begin(open).await?;
            self.converse(service).await
        };
        let why = match tokio::time::timeout(SERVICE_OPEN_TIMEOUT, opening).await {
            Ok(Ok(FromService::Opened)) => return Ok(()),
            Ok(Ok(FromService::Stale)) => {
                self.end().await;
                return Err(NotOpened::Stale);
            }
            Ok(Ok(FromService::Ending(why) | FromService::Fault(why))) => {
                self.end().await;
                why
            }
            Ok(Ok(_)) => {
                self.kill().await;
                "its process spoke out of turn".to_owned()
            }
            Ok(Err(error)) => self.end().await.unwrap_or_else(|| error.to_string()),
            Err(_) => {
                self.kill().await;
                let seconds = SERVICE_OPEN_TIMEOUT.as_secs();
                format!("its process did not load the plugin within {seconds} s")
            }
        };
        Err(NotOpened::Died(why))
    }

    /// Waits a moment for the process to end, and kills it if it does not; how it ended.
    pub(super) async fn end(&mut self) -> Option<String> {
        match tokio::time::timeout(EXIT_TIMEOUT, self.process.wait()).await {
            Ok(Ok(status)) => Some(format!("its process ended: {status}")),
            Ok(Err(_)) => None,
            Err(_) => {
                self.kill().await;
                None
            }
        }
    }

    /// Kills the process and waits a while for its end; the runtime reaps what ends later.
    pub(super) async fn kill(&mut self) {
        // It may have ended by itself, and then there is nothing to kill.
        let _ = tokio::time::timeout(REAP_TIMEOUT, self.process.kill()).await;
    }

    async fn begin(&mut self, open: OpenService) -> io::Result<()> {
        let mut frames = Vec::new();
        let hello = ToService::Hello { version: VERSION };
        let mut encoded = Ok(());
        for message in [hello, ToService::Open(Box::new(open))] {
            encoded = encoded.and_then(|()| encode(&message, &mut frames));
        }
        let written = match encoded {
            Ok(()) => self.stream.write_all(&frames).await,
            Err(error) => Err(io::Error::other(error)),
        };
        // Secrets were in it.
        frames.zeroize();
        written
    }

    async fn converse(&mut self, service: &Service) -> io::Result<FromService> {
        loop {
            match self.inbox.decode().map_err(io::Error::other)? {
                Some(FromService::Hello { version: VERSION } | FromService::Used(_)) => {}
                Some(FromService::Log(line)) => write_line(service, &line),
                Some(answer) => return Ok(answer),
                None => {
                    if self.stream.read_buf(self.inbox.space()).await? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
        }
    }
}

/// Passes on what a plugin wrote for the operator.
pub(super) fn write_line(service: &Service, line: &Line) {
    let (plugin, name) = (service.plugin.as_str(), service.name.as_str());
    let text = line.text.as_str();
    if line.dropped > 0 {
        tracing::warn!(target: "skep::plugin", plugin, service = name, "{} lines over the limit were dropped", line.dropped);
    }
    match line.level {
        LineLevel::Debug => {
            tracing::debug!(target: "skep::plugin", plugin, service = name, "{text}")
        }
        LineLevel::Info => tracing::info!(target: "skep::plugin", plugin, service = name, "{text}"),
        LineLevel::Warn => tracing::warn!(target: "skep::plugin", plugin, service = name, "{text}"),
        LineLevel::Error => {
            tracing::error!(target: "skep::plugin", plugin, service = name, "{text}")
        }
    }
}
