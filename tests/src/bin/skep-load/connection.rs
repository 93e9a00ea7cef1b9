//! One HTTP/1.1 connection that is kept: a request out, a status and the body's pieces back.
//!
//! Decides framing (length or chunks) and its bounds; refuses to know what a body means.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection; between requests it holds nothing.
pub(crate) struct Connection {
    stream: TcpStream,
    /// What came and is not yet taken, from `at` on.
    received: Vec<u8>,
    at: usize,
    left: Left,
}

/// What is still to come of the current answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    Bytes(u64),
    ChunkHead,
    Chunk(u64),
    /// The line end after a chunk.
    ChunkEnd,
    /// Header lines after the last chunk.
    Trailer,
}

impl Connection {
    pub(crate) async fn open(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to)
            .await
            .with_context(|| format!("could not connect to {to}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::with_capacity(READ_BYTES),
            at: 0,
            left: Left::Nothing,
        })
    }

    /// Sends a whole request and returns the answer's status.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<u16> {
        if self.left != Left::Nothing {
            bail!("the answer before was not read to its end");
        }
        self.stream.write_all(request).await?;
        loop {
            if let Some(status) = self.head()? {
                return Ok(status);
            }
            if self.received.len() > HEAD_BYTES_MAX {
                bail!("the answer's head has more than {HEAD_BYTES_MAX} bytes");
            }
            self.more().await?;
        }
    }

    /// Appends the body's next piece; false at its end.
    pub(crate) async fn piece(&mut self, into: &mut Vec<u8>) -> Result<bool> {
        loop {
            match self.left {
                Left::Nothing => return Ok(false),
                Left::Bytes(left) | Left::Chunk(left) if left > 0 => {
                    let chunked = matches!(self.left, Left::Chunk(_));
                    let held = self.held();
                    if held.is_empty() {
                        self.more().await?;
                        continue;
                    }
                    let taken = held.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    into.extend(held.iter().take(taken));
                    if into.len() > BODY_BYTES_MAX {
                        bail!("the body has more than {BODY_BYTES_MAX} bytes");
                    }
                    self.at += taken;
                    let left = left - taken as u64;
                    self.left = match (chunked, left) {
                        (true, 0) => Left::ChunkEnd,
                        (true, left) => Left::Chunk(left),
                        (false, 0) => Left::Nothing,
                        (false, left) => Left::Bytes(left),
                    };
                    return Ok(true);
                }
                Left::Bytes(_) => self.left = Left::Nothing,
                Left::Chunk(_) => self.left = Left::Trailer,
                Left::ChunkHead => match httparse::parse_chunk_size(self.held()) {
                    Ok(httparse::Status::Complete((taken, size))) => {
                        self.at += taken;
                        self.left = Left::Chunk(size);
                    }
                    Ok(httparse::Status::Partial) => self.more().await?,
                    Err(_) => bail!("a chunk of the body has no size"),
                },
                Left::ChunkEnd => match self.line() {
                    Some(_) => self.left = Left::ChunkHead,
                    None => self.more().await?,
                },
                Left::Trailer => match self.line() {
                    Some(0) => self.left = Left::Nothing,
                    Some(_) => {}
                    None => self.more().await?,
                },
            }
        }
    }

    /// Parses a head if all of it is there.
    fn head(&mut self) -> Result<Option<u16>> {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut answer = httparse::Response::new(&mut fields);
        let parsed = answer
            .parse(self.received.get(self.at..).unwrap_or_default())
            .context("the answer is not HTTP/1.1")?;
        let httparse::Status::Complete(taken) = parsed else {
            return Ok(None);
        };
        let status = answer.code.unwrap_or_default();
        let mut left = None;
        for field in answer.headers.iter() {
            if field.name.eq_ignore_ascii_case("content-length") {
                let text = std::str::from_utf8(field.value)?;
                left = Some(Left::Bytes(text.trim().parse()?));
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
                left = Some(Left::ChunkHead);
            }
        }
        self.left = left.context("the answer has neither a length nor chunks")?;
        self.at += taken;
        Ok(Some(status))
    }

    /// Takes one line; its length without the line end.
    fn line(&mut self) -> Option<usize> {
        let end = self.held().iter().position(|byte| *byte == b'\n')?;
        self.at += end + 1;
        Some(end.saturating_sub(1))
    }

    fn held(&self) -> &[u8] {
        self.received.get(self.at..).unwrap_or_default()
    }

    async fn more(&mut self) -> Result<()> {
        if self.at == self.received.len() {
            self.received.clear();
        } else if self.at > 0 {
            self.received.drain(..self.at);
        }
        self.at = 0;
        self.received.reserve(READ_BYTES);
        if self.stream.read_buf(&mut self.received).await? == 0 {
            bail!("the server closed the connection within an answer");
        }
        Ok(())
    }
}

/// A request with a JSON body, as bytes to send.
pub(crate) fn post(to: SocketAddr, path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {to}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A request without a body.
pub(crate) fn get(to: SocketAddr, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {to}\r\n\r\n").into_bytes()
}

const READ_BYTES: usize = 16 << 10;
const HEAD_BYTES_MAX: usize = 64 << 10;
const BODY_BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A connection to a server that sends these pieces, each in a write of its own, and then closes.
    async fn against(pieces: &'static [&'static str]) -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            for piece in pieces {
                stream.write_all(piece.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        Connection::open(to).await.unwrap()
    }

    async fn body(connection: &mut Connection) -> Result<String> {
        let mut body = Vec::new();
        while connection.piece(&mut body).await? {}
        Ok(String::from_utf8(body)?)
    }

    #[tokio::test]
    async fn answers_follow_each_other_however_they_are_cut() {
        let mut connection = against(&[
            "HTTP/1.1 200 OK\r\nTransfer-Enc",
            "oding: chunked\r\n\r\n5\r\nhel",
            "lo\r\n1;x=y\r\n!\r",
            "\n0\r\nTrailer: x\r\n\r\nHTTP/1.1 503 Busy\r\ncontent-length: 3\r\n\r\nbus",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        ])
        .await;
        assert_eq!(connection.send(b"x").await.unwrap(), 200);
        assert_eq!(body(&mut connection).await.unwrap(), "hello!");
        assert_eq!(connection.send(b"x").await.unwrap(), 503);
        assert_eq!(body(&mut connection).await.unwrap(), "bus");
        assert_eq!(connection.send(b"x").await.unwrap(), 200);
        assert_eq!(body(&mut connection).await.unwrap(), "");
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_off_is_an_error() {
        let mut connection = against(&["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"]).await;
        assert_eq!(connection.send(b"x").await.unwrap(), 200);
        assert!(body(&mut connection).await.is_err());
        let mut connection = against(&["HTTP/1.1 200 OK\r\n\r\n"]).await;
        assert!(connection.send(b"x").await.is_err());
    }
}
