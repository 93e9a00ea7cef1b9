//! A server of one file, on loopback, that does what a test tells it to.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

pub(super) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) number: usize,
    pub(super) path: String,
    /// Where the range that was asked for begins.
    pub(super) start: Option<usize>,
    pub(super) if_range: Option<String>,
}

impl Server {
    pub(super) fn start(answer: impl Fn(&Request, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let answer = Arc::new(answer);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                let mut stream = stream.unwrap();
                let Some(mut request) = read(&stream) else {
                    continue;
                };
                if request.path == "/stop" {
                    break;
                }
                {
                    let mut seen = seen.lock().unwrap();
                    request.number = seen.len();
                    seen.push(request.clone());
                }
                std::thread::spawn(move || answer(&request, &mut stream));
            }
        });
        Self {
            address,
            requests,
            thread: Some(thread),
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(b"GET /stop HTTP/1.1\r\n\r\n").unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Writes text; a client that has gone is the test's own affair.
pub(super) fn send(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) {
    let _ = stream.write_all(bytes.as_ref());
}

/// A right answer to a request for a file, or for the part of it that was asked for; `headers`
/// are added.
pub(super) fn serve(request: &Request, stream: &mut TcpStream, file: &[u8], headers: &str) {
    let (head, body) = right(request, file, headers);
    send(stream, head);
    send(stream, body);
}

/// The same answer, in two parts.
pub(super) fn right<'a>(request: &Request, file: &'a [u8], headers: &str) -> (String, &'a [u8]) {
    let start = request.start.unwrap_or(0);
    let body = &file[start..];
    let (length, total) = (body.len(), file.len());
    let first = match request.start {
        Some(_) => format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{}/{total}",
            total - 1
        ),
        None => "HTTP/1.1 200 OK".to_owned(),
    };
    let head = format!("{first}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n");
    (head, body)
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut request = Request {
        number: 0,
        path: String::new(),
        start: None,
        if_range: None,
    };
    for (at, line) in BufReader::new(stream).lines().enumerate() {
        let line = line.ok()?;
        if at == 0 {
            request.path = line.split(' ').nth(1)?.to_owned();
        }
        if line.is_empty() {
            return Some(request);
        }
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                let start = value.strip_prefix("bytes=")?.strip_suffix('-')?;
                request.start = Some(start.parse().ok()?);
            }
            "if-range" => request.if_range = Some(value.to_owned()),
            _ => {}
        }
    }
    (request.path == "/stop").then_some(request)
}
