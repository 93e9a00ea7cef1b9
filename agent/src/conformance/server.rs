//! A server on loopback that says what it is told to say, and is strict about what it hears.
//!
//! Decides nothing: each check sets how it answers. Everything here is bounded, as the plugin that speaks to it may be anything.

mod hear;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::limits::{TRIAL_CONNECTIONS, TRIAL_ENDLESS_BYTES, TRIAL_HEARD, TRIAL_PATIENCE};

/// One request as it came.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) method: String,
    pub(super) path: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// What is said to a request.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// A whole answer.
    Whole {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// An answer in pieces, each sent by itself.
    Pieces {
        content: &'static str,
        pieces: Vec<Vec<u8>>,
        end: End,
    },
    /// This again and again.
    Endless {
        status: u16,
        content: &'static str,
        piece: Vec<u8>,
    },
    /// The connection is closed without a word.
    Close,
    /// Nothing is ever said.
    Silence,
    /// What is no HTTP.
    Noise,
}

/// How an answer in pieces ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    /// The connection is closed in the middle.
    Cut,
    /// Nothing more comes, and the connection stays.
    Silence,
}

type Answering = Arc<dyn Fn(&Heard) -> Reply + Send + Sync>;

/// The server. It ends with the runtime.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    answering: Mutex<Answering>,
    heard: Mutex<Vec<Heard>>,
    /// What was wrong with what came, as HTTP.
    faults: Mutex<Vec<String>>,
    open: AtomicUsize,
    closed: Notify,
}

impl Heard {
    /// A header's value, by its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a text is anywhere in its head.
    pub(super) fn head_has(&self, text: &str) -> bool {
        self.path.contains(text) || self.headers.iter().any(|(_, value)| value.contains(text))
    }

    pub(super) fn json(&self) -> Result<serde_json::Value, String> {
        serde_json::from_slice(&self.body).map_err(|error| format!("its body is no JSON: {error}"))
    }
}

impl Reply {
    pub(super) fn status(status: u16, body: &str) -> Self {
        Self::Whole {
            status,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
        }
    }

    pub(super) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::Whole {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.to_string().into_bytes(),
        }
    }

    /// The same with one more header.
    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        if let Self::Whole { headers, .. } = &mut self {
            headers.push((name, value));
        }
        self
    }
}

impl Server {
    pub(super) async fn start() -> Result<Self, String> {
        let failed = |error: io::Error| format!("could not listen on loopback: {error}");
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared {
            answering: Mutex::new(Arc::new(|_| Reply::status(404, "nothing is here"))),
            heard: Mutex::default(),
            faults: Mutex::default(),
            open: AtomicUsize::new(0),
            closed: Notify::new(),
        });
        let door = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&door);
                if shared.open.fetch_add(1, Ordering::Relaxed) >= TRIAL_CONNECTIONS {
                    shared.leave();
                    continue;
                }
                tokio::spawn(async move {
                    // Whoever hangs up early is the matter of the check that waits for it.
                    let _ = shared.serve(stream).await;
                    shared.leave();
                });
            }
        });
        Ok(Self { address, shared })
    }

    /// How requests are answered from now on; forgets what was heard.
    pub(super) fn answer(&self, answering: impl Fn(&Heard) -> Reply + Send + Sync + 'static) {
        *held(&self.shared.answering) = Arc::new(answering);
        held(&self.shared.heard).clear();
    }

    /// Every request gets the same answer.
    pub(super) fn say(&self, reply: Reply) {
        self.answer(move |_| reply.clone());
    }

    /// What was heard since `answer`.
    pub(super) fn heard(&self) -> Vec<Heard> {
        held(&self.shared.heard).clone()
    }

    /// What was wrong with what was heard, ever.
    pub(super) fn faults(&self) -> Vec<String> {
        held(&self.shared.faults).clone()
    }

    /// Waits until nobody is connected; false when somebody stays.
    pub(super) async fn is_left(&self) -> bool {
        let left = async {
            loop {
                let closed = self.shared.closed.notified();
                if self.shared.open.load(Ordering::Relaxed) == 0 {
                    return;
                }
                closed.await;
            }
        };
        timeout(TRIAL_PATIENCE, left).await.is_ok()
    }
}

impl Shared {
    fn leave(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.closed.notify_waiters();
    }

    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let heard = match timeout(TRIAL_PATIENCE, hear::hear(&mut stream)).await {
            Ok(Ok(heard)) => heard,
            Ok(Err(fault)) => {
                let mut faults = held(&self.faults);
                if faults.len() < TRIAL_HEARD {
                    faults.push(fault);
                }
                return Ok(());
            }
            Err(_) => return Ok(()),
        };
        let answering = Arc::clone(&held(&self.answering));
        let reply = answering(&heard);
        {
            let mut all = held(&self.heard);
            if all.len() < TRIAL_HEARD {
                all.push(heard);
            }
        }
        say(&mut stream, reply).await
    }
}

async fn say(stream: &mut TcpStream, reply: Reply) -> io::Result<()> {
    let head = |status: u16, headers: &[(&str, String)]| {
        let mut head = format!("HTTP/1.1 {status} said\r\nconnection: close\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head + "\r\n"
    };
    match reply {
        Reply::Whole {
            status,
            mut headers,
            body,
        } => {
            if status != 204 {
                headers.push(("content-length", body.len().to_string()));
            }
            stream.write_all(head(status, &headers).as_bytes()).await?;
            stream.write_all(&body).await?;
        }
        Reply::Pieces {
            content,
            pieces,
            end,
        } => {
            let headers = [
                ("content-type", content.to_owned()),
                ("transfer-encoding", "chunked".to_owned()),
            ];
            stream.write_all(head(200, &headers).as_bytes()).await?;
            for piece in pieces {
                stream.write_all(&chunk(&piece)).await?;
                stream.flush().await?;
                // So that each comes by itself.
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
            match end {
                End::Whole => stream.write_all(b"0\r\n\r\n").await?,
                End::Cut => return Ok(()),
                End::Silence => gone(stream).await,
            }
        }
        Reply::Endless {
            status,
            content,
            piece,
        } => {
            let headers = [
                ("content-type", content.to_owned()),
                ("transfer-encoding", "chunked".to_owned()),
            ];
            stream.write_all(head(status, &headers).as_bytes()).await?;
            let piece = chunk(&piece);
            let mut sent = 0;
            while sent < TRIAL_ENDLESS_BYTES {
                stream.write_all(&piece).await?;
                sent += piece.len();
            }
        }
        Reply::Close => return Ok(()),
        Reply::Silence => gone(stream).await,
        Reply::Noise => {
            stream
                .write_all(b"\x00\x01 neither HTTP nor anything\n")
                .await?
        }
    }
    stream.shutdown().await
}

/// Waits until the other end hangs up.
async fn gone(stream: &mut TcpStream) {
    let mut rest = [0; 1024];
    while matches!(stream.read(&mut rest).await, Ok(read) if read > 0) {}
}

fn chunk(piece: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
    chunk.extend_from_slice(piece);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// A lock whose holder never panics.
pub(super) fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
