//! A connection that gives up on a peer which does not read.
//!
//! Everything written passes through here. While the peer reads, nothing is timed; once a write
//! has to wait, a clock starts, and it stops with the next byte that goes out.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// See the module's page.
#[derive(Debug)]
pub(super) struct Patience<T> {
    inner: T,
    limit: Duration,
    /// Runs while a write waits.
    clock: Option<Pin<Box<Sleep>>>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Patience<T> {
    pub(super) fn new(inner: T, limit: Duration) -> Self {
        Self {
            inner,
            limit,
            clock: None,
        }
    }

    fn timed<R>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if let Poll::Ready(result) = write(Pin::new(&mut self.inner), context) {
            self.clock = None;
            return Poll::Ready(result);
        }
        let limit = self.limit;
        let clock = self
            .clock
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + limit)));
        ready!(clock.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Patience<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patience<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.timed(context, |inner, context| inner.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.timed(context, |inner, context| {
            inner.poll_write_vectored(context, slices)
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Says nothing about the peer: it succeeds while a write still waits.
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.timed(context, |inner, context| inner.poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_who_stops_is_given_up_and_a_slow_one_is_not() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut ours = Patience::new(ours, Duration::from_secs(60));
        let writer = tokio::spawn(async move {
            let started = Instant::now();
            let error = ours.write_all(&[7; 1_000]).await.unwrap_err();
            (error.kind(), started.elapsed())
        });
        // One read every 50 s keeps it going; then nothing.
        let mut some = [0; 64];
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(50)).await;
            theirs.read_exact(&mut some).await.unwrap();
        }
        let (kind, after) = writer.await.unwrap();
        assert_eq!(kind, io::ErrorKind::TimedOut);
        assert_eq!(after.as_secs(), 3 * 50 + 60);
    }
}
