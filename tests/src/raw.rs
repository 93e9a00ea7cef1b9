//! HTTP by hand: bytes out, whatever comes back in.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// What came back on one connection.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Everything, as text.
    pub text: String,
    /// Whether the other side closed before the patience was over.
    pub closed: bool,
    /// How long it took until then.
    pub took: Duration,
}

impl Heard {
    /// The status of every response in it.
    #[must_use]
    pub fn statuses(&self) -> Vec<u16> {
        let mut statuses = Vec::new();
        for (at, _) in self.text.match_indices("HTTP/1.") {
            // Only where a response can begin.
            let begins = at == 0 || self.text[..at].ends_with(['\n', '}', '0']);
            let status = self
                .text
                .get(at + 9..at + 12)
                .and_then(|text| text.parse().ok());
            if let (true, Some(status)) = (begins, status) {
                statuses.push(status);
            }
        }
        statuses
    }
}

/// Sends bytes and listens until the other side closes or `patience` is over.
///
/// # Errors
/// When no connection can be made.
pub fn say(to: SocketAddr, bytes: &[u8], patience: Duration) -> Result<Heard> {
    let mut stream = connect(to)?;
    // A server may close before it has heard everything.
    let _ = stream.write_all(bytes);
    listen(&mut stream, patience)
}

/// A connection with short waits, so that nothing hangs.
///
/// # Errors
/// When it cannot be made.
pub fn connect(to: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, Duration::from_secs(5))
        .with_context(|| format!("could not connect to {to}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads until the other side closes or `patience` is over.
///
/// # Errors
/// When the socket cannot be set up.
pub fn listen(stream: &mut TcpStream, patience: Duration) -> Result<Heard> {
    let start = Instant::now();
    let mut heard = Heard::default();
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        let left = patience.saturating_sub(start.elapsed());
        if left.is_zero() {
            break;
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer) {
            Ok(0) => heard.closed = true,
            Ok(count) => {
                bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // A reset is a way of closing, too.
            Err(_) => heard.closed = true,
        }
        break;
    }
    heard.took = start.elapsed();
    heard.text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(heard)
}

/// One request on a connection of its own, which is then closed.
///
/// # Errors
/// When there is no whole answer within ten seconds.
pub fn request(
    to: SocketAddr,
    method: &str,
    path: &str,
    fields: &str,
    body: &str,
) -> Result<(u16, String)> {
    request_over(&mut connect(to)?, method, path, fields, body)
}

/// The same on a connection that was made already.
///
/// # Errors
/// As for [`request`].
pub fn request_over(
    stream: &mut TcpStream,
    method: &str,
    path: &str,
    fields: &str,
    body: &str,
) -> Result<(u16, String)> {
    let (to, length) = (stream.peer_addr()?, body.len());
    let text = format!(
        "{method} {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-length: {length}\r\n{fields}\r\n{body}"
    );
    // A server may close before it has heard everything.
    let _ = stream.write_all(text.as_bytes());
    let heard = listen(stream, Duration::from_secs(10))?;
    let status = heard.statuses().first().copied().context("no answer")?;
    let body = heard
        .text
        .split_once("\r\n\r\n")
        .map_or("", |(_, body)| body);
    Ok((status, body.to_owned()))
}
