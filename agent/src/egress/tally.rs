//! What a service used, and what its operator is told. Decides that one refused host is told once a minute, and that no line
//! holds a secret's text.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::rights::held;
use super::secrets::Redactor;
use crate::limits::{REFUSAL_TOLD, REFUSALS_KEPT};
use crate::protocol::{LineLevel, ServiceUse};

/// What is counted. Each number is what came since it was last taken.
#[derive(Debug, Default)]
pub struct Tally {
    pub calls: AtomicU64,
    pub faults: AtomicU64,
    pub requests_out: AtomicU64,
    pub refused_out: AtomicU64,
    pub bytes_out: AtomicU64,
    pub bytes_in: AtomicU64,
    pub computing_us: AtomicU64,
    pub memory_peak_bytes: AtomicU64,
}

type Write = dyn Fn(LineLevel, &str) + Send + Sync;

/// Where lines for the operator go: they are redacted here, and cut, counted and sent by whoever made it.
pub struct Teller {
    write: Box<Write>,
    redactor: Mutex<Redactor>,
    refusals: Mutex<HashMap<String, Instant>>,
}

impl Tally {
    /// Takes what came since the last time; none when nothing did.
    pub fn take(&self) -> Option<ServiceUse> {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        let used = ServiceUse {
            calls: take(&self.calls),
            faults: take(&self.faults),
            requests_out: take(&self.requests_out),
            refused_out: take(&self.refused_out),
            bytes_out: take(&self.bytes_out),
            bytes_in: take(&self.bytes_in),
            computing_us: take(&self.computing_us),
            memory_peak_bytes: take(&self.memory_peak_bytes),
        };
        (used != ServiceUse::default()).then_some(used)
    }

    pub fn add(count: &AtomicU64, more: u64) {
        count.fetch_add(more, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Teller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Teller").finish_non_exhaustive()
    }
}

impl Teller {
    pub fn new(write: impl Fn(LineLevel, &str) + Send + Sync + 'static) -> Self {
        Self {
            write: Box::new(write),
            redactor: Mutex::default(),
            refusals: Mutex::default(),
        }
    }

    /// Writes a line.
    pub fn tell(&self, level: LineLevel, text: &str) {
        (self.write)(level, &self.redacted(text));
    }

    /// The same without what secrets are.
    #[must_use]
    pub fn redacted(&self, text: &str) -> String {
        held(&self.redactor).redact(text)
    }

    pub(super) fn redact(&self, redactor: Redactor) {
        *held(&self.redactor) = redactor;
    }

    /// Writes a line about a host, unless there was one of it in the last minute.
    pub(super) fn refused(&self, host: &str, text: &str) {
        let now = Instant::now();
        {
            let mut refusals = held(&self.refusals);
            refusals.retain(|_, told| now.duration_since(*told) < REFUSAL_TOLD);
            // Whoever tries a thousand names is told of in the first lines.
            if refusals.len() >= REFUSALS_KEPT || refusals.contains_key(host) {
                return;
            }
            refusals.insert(host.to_owned(), now);
        }
        self.tell(LineLevel::Warn, text);
    }
}

/// A connection whose bytes are counted.
#[derive(Debug)]
pub(super) struct Counted<S> {
    stream: S,
    tally: Arc<Tally>,
}

impl<S> Counted<S> {
    pub(super) fn new(stream: S, tally: Arc<Tally>) -> Self {
        Self { stream, tally }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let read = buffer.filled().len().saturating_sub(before);
        Tally::add(&self.tally.bytes_in, read as u64);
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = &result {
            Tally::add(&self.tally.bytes_out, *written as u64);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
