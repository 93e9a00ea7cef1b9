//! Standard output and error of a service's component: lines for the operator, and the last words before a trap.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::egress::Egress;
use crate::host::wasi::output::Output;
use crate::limits::LOG_LINE_BYTES;
use crate::protocol::LineLevel;

/// What was written to both.
#[derive(Debug, Default)]
pub(super) struct Lines {
    output: Output,
    error: Output,
}

/// One of the two.
#[derive(Clone)]
pub(super) struct Stdio {
    egress: Arc<Egress>,
    lines: Arc<Mutex<Lines>>,
    level: LineLevel,
}

impl Lines {
    /// What a panic said before it trapped.
    pub(super) fn last_words(&self) -> Option<String> {
        self.error.last_panic()
    }
}

impl Stdio {
    pub(super) fn new(egress: Arc<Egress>, lines: Arc<Mutex<Lines>>, level: LineLevel) -> Self {
        Self {
            egress,
            lines,
            level,
        }
    }
}

impl IsTerminal for Stdio {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stdio {
    /// Nobody asks for it in the worlds that are linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Stdio {
    async fn ready(&mut self) {}
}

impl OutputStream for Stdio {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let output = match self.level {
            LineLevel::Error => &mut lines.error,
            _ => &mut lines.output,
        };
        output.write(&bytes, |line| self.egress.teller().tell(self.level, line));
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LOG_LINE_BYTES)
    }
}
