//! Reads one request, strictly and within bounds.

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::Heard;
use crate::limits::{TRIAL_BODY_BYTES, TRIAL_HEAD_BYTES};

/// Reads one request, or says what is wrong with it.
pub(super) async fn hear(stream: &mut TcpStream) -> Result<Heard, String> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = find(&bytes, b"\r\n\r\n") {
            break end;
        }
        if bytes.len() > TRIAL_HEAD_BYTES {
            return Err(format!("a request's head is over {TRIAL_HEAD_BYTES} bytes"));
        }
        more(stream, &mut bytes).await?;
    };
    let mut rest = bytes.split_off(end + 4);
    let head = String::from_utf8(bytes).map_err(|_| "a request's head is no text".to_owned())?;
    let mut lines = head.trim_end().split("\r\n");
    let first = lines.next().unwrap_or_default();
    let mut words = first.split(' ');
    let (Some(method), Some(path), Some("HTTP/1.1"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(format!("this is no request: {first:?}"));
    };
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| format!("this is no header: {line:?}"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut heard = Heard {
        method: method.to_owned(),
        path: path.to_owned(),
        headers,
        body: Vec::new(),
    };
    let wrong = |what: &str| format!("`{method} {path}` {what}");
    if heard.header("transfer-encoding").is_some() {
        heard.body = chunks(stream, rest).await.map_err(|what| wrong(&what))?;
    } else {
        let length = heard.header("content-length").unwrap_or("0");
        let length: usize = length
            .parse()
            .map_err(|_| wrong("has a length that is no number"))?;
        if length > TRIAL_BODY_BYTES {
            return Err(wrong("has a body that no request needs"));
        }
        while rest.len() < length {
            more(stream, &mut rest).await.map_err(|what| wrong(&what))?;
        }
        rest.truncate(length);
        heard.body = rest;
    }
    Ok(heard)
}

/// A body in chunks.
async fn chunks(stream: &mut TcpStream, mut bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let end = loop {
            match find(&bytes, b"\r\n") {
                Some(end) => break end,
                None => more(stream, &mut bytes).await?,
            }
        };
        let mut rest = bytes.split_off(end);
        let size = std::str::from_utf8(&bytes).ok();
        let size = size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let size = size.ok_or("has a chunk without a size")?;
        if size > TRIAL_BODY_BYTES - body.len() {
            return Err("has a body that no request needs".to_owned());
        }
        while rest.len() < size + 4 {
            more(stream, &mut rest).await?;
        }
        let after = rest.split_off(size + 2);
        body.extend_from_slice(rest.get(2..).unwrap_or_default());
        if size == 0 {
            return Ok(body);
        }
        bytes = after.get(2..).unwrap_or_default().to_vec();
    }
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<(), String> {
    match stream.read_buf(bytes).await {
        Ok(0) => Err("ended before it was whole".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("broke off: {error}")),
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|at| at == what)
}
