//! Requests, as a script writes them: `METHOD URL [name=value …]`, with `%20` for a space in a value.

use skep_sdk::upstream::bindings::wasi::http::outgoing_handler;
use skep_sdk::upstream::bindings::wasi::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    Scheme, http_error_code,
};
use skep_sdk::upstream::bindings::wasi::io::error::Error as IoError;
use skep_sdk::upstream::bindings::wasi::io::streams::{InputStream, StreamError};
use skep_sdk::upstream::{Error, Secret};

/// How much of a body is shown.
const SHOWN: usize = 4_000;

/// An answer that is read piece by piece.
#[derive(Debug)]
pub(crate) struct Reading {
    // In the order in which they must be dropped.
    stream: InputStream,
    _body: IncomingBody,
    _response: IncomingResponse,
}

impl Reading {
    pub(crate) fn open(url: &str) -> Result<Self, String> {
        let response = send("GET", url, &[], None)?;
        let body = response.consume().map_err(|()| "no body".to_owned())?;
        let stream = body.stream().map_err(|()| "no stream".to_owned())?;
        Ok(Self {
            stream,
            _body: body,
            _response: response,
        })
    }

    pub(crate) fn next(&mut self) -> Option<String> {
        match self.stream.blocking_read(4_096) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(StreamError::Closed) => None,
            Err(StreamError::LastOperationFailed(error)) => {
                Some(format!("broken: {}", broken(&error)))
            }
        }
    }
}

/// `STATUS BYTES HEADERS BODY`, or the error.
pub(crate) fn fetch(line: &str) -> String {
    let mut words = line.split(' ');
    let (method, url) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let (mut headers, mut body) = (Vec::new(), None);
    for word in words {
        match word.split_once('=') {
            Some(("body", length)) => body = length.parse().ok(),
            Some((name, value)) => headers.push((unescaped(name), unescaped(value))),
            None => {}
        }
    }
    match send(method, url, &headers, body) {
        Ok(response) => shown(&response),
        Err(error) => error,
    }
}

/// As `fetch GET`, and then wherever it is sent, five times at most.
pub(crate) fn follow(url: &str) -> String {
    let mut url = url.to_owned();
    for _ in 0..5 {
        let response = match send("GET", &url, &[], None) {
            Ok(response) => response,
            Err(error) => return error,
        };
        let location = response.headers().get("location");
        match location.first() {
            Some(location) if (300..400).contains(&response.status()) => {
                url = String::from_utf8_lossy(location).into_owned();
            }
            _ => return shown(&response),
        }
    }
    "too many redirects".to_owned()
}

/// What stands for a secret, or why nothing does.
pub(crate) fn secret(name: &str) -> String {
    match Secret::open(name) {
        Ok(secret) => format!("stands {}", secret.header_value("")),
        Err(error) => format!("error {error:?}"),
    }
}

/// `NAME WHERE METHOD URL`: with the secret in a `header`, in the `url`, in the `body`, in a `log` line, or in an `error`.
pub(crate) fn with_secret(line: &str) -> Result<String, Error> {
    let words: Vec<&str> = line.split(' ').collect();
    let [name, place, method, url] = words.as_slice() else {
        return Ok("say what with".to_owned());
    };
    let secret = Secret::open(name)?;
    let stand_in = secret.header_value("");
    let sent = match *place {
        "header" => {
            let value = secret.header_value("Bearer ");
            send(method, url, &[("authorization".to_owned(), value)], None)
        }
        "name" => send(method, url, &[(stand_in, "x".to_owned())], None),
        "url" => send(method, &format!("{url}?key={stand_in}"), &[], None),
        "echo" => {
            let value = secret.header_value("");
            let answer = send(method, url, &[("x-key".to_owned(), value)], None);
            let text = answer.map(|response| shown(&response));
            let text = text.unwrap_or_else(|error| error);
            skep_sdk::upstream::log::write(skep_sdk::upstream::log::Level::Info, &text);
            println!("{text}");
            return Err(Error::Other(text));
        }
        _ => send(method, url, &[], None),
    };
    Ok(match sent {
        Ok(response) => shown(&response),
        Err(error) => error,
    })
}

fn shown(response: &IncomingResponse) -> String {
    let mut text = response.status().to_string();
    let headers = response.headers().entries();
    let (mut bytes, mut read) = (Vec::new(), 0);
    let mut end = String::new();
    if let Ok(body) = response.consume()
        && let Ok(stream) = body.stream()
    {
        loop {
            match stream.blocking_read(65_536) {
                Ok(piece) => {
                    read += piece.len();
                    let room = SHOWN.saturating_sub(bytes.len());
                    bytes.extend(piece.into_iter().take(room));
                }
                Err(StreamError::Closed) => break,
                Err(StreamError::LastOperationFailed(error)) => {
                    end = format!(" broken: {}", broken(&error));
                    break;
                }
            }
        }
    }
    text.push_str(&format!(" {read}"));
    for (name, value) in headers {
        text.push_str(&format!(" {name}={}", String::from_utf8_lossy(&value)));
    }
    format!("{text} {}{end}", String::from_utf8_lossy(&bytes))
}

/// Why a body broke off, as a code if there is one.
fn broken(error: &IoError) -> String {
    match http_error_code(error) {
        Some(code) => format!("{code:?}"),
        None => error.to_debug_string(),
    }
}

fn unescaped(value: &str) -> String {
    value
        .replace("%20", " ")
        .replace("%0d", "\r")
        .replace("%0a", "\n")
        .replace("%00", "\0")
}

/// Sends a request and waits for the answer's head.
pub(crate) fn send(
    method: &str,
    url: &str,
    headers: &[(String, String)],
    body: Option<usize>,
) -> Result<IncomingResponse, String> {
    let fields = Fields::new();
    for (name, value) in headers {
        fields
            .append(name, value.as_bytes())
            .map_err(|error| format!("header {error:?}"))?;
    }
    let request = OutgoingRequest::new(fields);
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    let method = match method {
        "GET" => Method::Get,
        "POST" => Method::Post,
        other => Method::Other(other.to_owned()),
    };
    let set = request.set_method(&method).is_ok()
        && request.set_scheme(Some(&scheme)).is_ok()
        && request.set_authority(Some(authority)).is_ok()
        && request.set_path_with_query(Some(path)).is_ok();
    if !set {
        return Err("error unfit".to_owned());
    }
    let outgoing = match body {
        Some(_) => Some(request.body().map_err(|()| "no body".to_owned())?),
        None => None,
    };
    let future = outgoing_handler::handle(request, None).map_err(failed)?;
    let mut wrote = Ok(());
    if let (Some(outgoing), Some(length)) = (outgoing, body) {
        wrote = write(&outgoing, length);
        if wrote.is_ok() {
            wrote = OutgoingBody::finish(outgoing, None).map_err(failed);
        }
    }
    future.subscribe().block();
    match future.get() {
        Some(Ok(Ok(response))) => Ok(response),
        Some(Ok(Err(error))) => Err(failed(error)),
        Some(Err(())) | None => Err(wrote.err().unwrap_or_else(|| "error gone".to_owned())),
    }
}

fn write(outgoing: &OutgoingBody, length: usize) -> Result<(), String> {
    let stream = outgoing.write().map_err(|()| "error written".to_owned())?;
    let mut left = length;
    while left > 0 {
        let piece = vec![b'x'; left.min(4_096)];
        stream
            .blocking_write_and_flush(&piece)
            .map_err(|error| format!("error {error:?}"))?;
        left -= piece.len();
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: ErrorCode) -> String {
    format!("error {error:?}")
}
