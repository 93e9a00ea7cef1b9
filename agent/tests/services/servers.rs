//! Servers on loopback: HTTP with and without TLS, names, and mail's.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;

/// What is written to whoever asks, one after the other.
#[derive(Clone)]
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    /// Wait for so long.
    Pause(Duration),
    /// The same, again and again, until nobody reads.
    Endless(Vec<u8>),
    /// Nothing more, without hanging up.
    Hang,
}

/// A server that answers each path in its own way, and keeps what it was asked.
pub(crate) struct Web {
    pub(crate) address: SocketAddr,
    /// The heads of all requests, with their bodies' lengths.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    /// Connections, whether anything was said on them or not.
    pub(crate) connected: Arc<AtomicUsize>,
    /// Connections that are open.
    pub(crate) open: Arc<AtomicUsize>,
}

pub(crate) fn text(status: &str, headers: &str, body: &str) -> Vec<Piece> {
    let length = body.len();
    vec![Piece::Bytes(
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into(),
    )]
}

impl Web {
    pub(crate) async fn start(answer: impl Fn(&str) -> Vec<Piece> + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0", None, answer).await
    }

    pub(crate) async fn at(
        address: &str,
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&str) -> Vec<Piece> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let web = Self {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
            connected: Arc::default(),
            open: Arc::default(),
        };
        let answer = Arc::new(answer);
        let (asked, connected) = (Arc::clone(&web.asked), Arc::clone(&web.connected));
        let open = Arc::clone(&web.open);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connected.fetch_add(1, Ordering::SeqCst);
                let (asked, answer, tls) = (Arc::clone(&asked), Arc::clone(&answer), tls.clone());
                let open = Arc::clone(&open);
                tokio::spawn(async move {
                    open.fetch_add(1, Ordering::SeqCst);
                    let _ = match tls {
                        None => converse(stream, &asked, answer.as_ref()).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => converse(stream, &asked, answer.as_ref()).await,
                            Err(error) => Err(error),
                        },
                    };
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        web
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The grant that reaches it.
    pub(crate) fn grant(&self) -> String {
        format!("http-local:{}", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connected.load(Ordering::SeqCst)
    }

    pub(crate) fn last(&self) -> String {
        self.asked
            .lock()
            .unwrap()
            .last()
            .cloned()
            .unwrap_or_default()
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    asked: &Mutex<Vec<String>>,
    answer: &(dyn Fn(&str) -> Vec<Piece> + Send + Sync),
) -> io::Result<()> {
    let mut request = Vec::new();
    let end = loop {
        let ended = request.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = ended {
            break end;
        }
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    };
    let head = String::from_utf8_lossy(&request[..end]).into_owned();
    let mut body = request.len() - end - 4;
    let chunked = head.contains("transfer-encoding: chunked");
    let mut tail = request[end + 4..].to_vec();
    while chunked && !tail.ends_with(b"0\r\n\r\n") {
        let mut piece = vec![0; 65_536];
        let read = stream.read(&mut piece).await?;
        if read == 0 {
            break;
        }
        body += read;
        tail.extend_from_slice(&piece[..read]);
        let over = tail.len().saturating_sub(8);
        tail.drain(..over);
    }
    asked.lock().unwrap().push(format!("{head}\nbody {body}"));
    let path = head.split(' ').nth(1).unwrap_or_default();
    for piece in answer(path) {
        match piece {
            Piece::Bytes(bytes) => stream.write_all(&bytes).await?,
            Piece::Pause(time) => tokio::time::sleep(time).await,
            Piece::Endless(bytes) => loop {
                stream.write_all(&bytes).await?;
            },
            Piece::Hang => while stream.read(&mut [0; 64]).await? > 0 {},
        }
        stream.flush().await?;
    }
    stream.shutdown().await
}

/// An authority of the test's own, and a server's side of TLS under it.
pub(crate) struct Authority {
    pub(crate) der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self {
            der: certificate.der().to_vec(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A server that is these.
    pub(crate) fn acceptor(&self, names: &[&str]) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A name server that answers as it is told, and counts questions for addresses of version 4.
pub(crate) struct Names {
    pub(crate) address: SocketAddr,
    pub(crate) asked: Arc<AtomicUsize>,
}

impl Names {
    /// `answer` has the name and how many times it was asked before.
    pub(crate) async fn start(
        answer: impl Fn(&str, usize) -> Vec<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let names = Self {
            address: socket.local_addr().unwrap(),
            asked: Arc::default(),
        };
        let asked = Arc::clone(&names.asked);
        tokio::spawn(async move {
            let mut packet = [0; 1_500];
            while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                let (name, kind, end) = question(&packet[..length]);
                let count = if kind == 1 {
                    asked.fetch_add(1, Ordering::SeqCst)
                } else {
                    asked.load(Ordering::SeqCst)
                };
                let found = answer(&name, count);
                let reply = reply(&packet[..end], kind, &found);
                let _ = socket.send_to(&reply, from).await;
            }
        });
        names
    }
}

/// The name, its kind, and where the question ends.
fn question(packet: &[u8]) -> (String, u16, usize) {
    let (mut at, mut labels) = (12, Vec::new());
    while packet[at] != 0 {
        let length = usize::from(packet[at]);
        labels.push(String::from_utf8_lossy(&packet[at + 1..=at + length]).into_owned());
        at += length + 1;
    }
    let kind = u16::from_be_bytes([packet[at + 1], packet[at + 2]]);
    (labels.join("."), kind, at + 5)
}

fn reply(question: &[u8], kind: u16, found: &[IpAddr]) -> Vec<u8> {
    let fitting: Vec<Vec<u8>> = found
        .iter()
        .filter_map(|address| match (address, kind) {
            (IpAddr::V4(address), 1) => Some(address.octets().to_vec()),
            (IpAddr::V6(address), 28) => Some(address.octets().to_vec()),
            _ => None,
        })
        .collect();
    let mut reply = question.to_vec();
    // An answer, recursion available, no error; one question, so many answers.
    reply[2..4].copy_from_slice(&[0x81, 0x80]);
    reply[4..6].copy_from_slice(&1_u16.to_be_bytes());
    reply[6..8].copy_from_slice(&u16::try_from(fitting.len()).unwrap().to_be_bytes());
    reply[8..12].fill(0);
    for address in fitting {
        reply.extend_from_slice(&[0xc0, 12]);
        reply.extend_from_slice(&kind.to_be_bytes());
        reply.extend_from_slice(&1_u16.to_be_bytes());
        // It holds for no time at all.
        reply.extend_from_slice(&0_u32.to_be_bytes());
        reply.extend_from_slice(&u16::try_from(address.len()).unwrap().to_be_bytes());
        reply.extend_from_slice(&address);
    }
    reply
}
