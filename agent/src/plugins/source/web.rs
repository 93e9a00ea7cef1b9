//! Small files by HTTP: a component, its signature, what a registry says of one.
//!
//! Decides that only HTTPS is spoken, except on this machine, that redirects are followed no further than that, and that nothing is
//! read beyond its bound and in more than its time. Refuses to know what the bytes are.

use std::io::{Read as _, Write};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ureq::http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, LOCATION};
use ureq::http::{HeaderMap, Response, StatusCode, Uri};
use ureq::{Agent, Body};

use super::SourceError;
use crate::limits::{
    FETCH_CONNECT_TIMEOUT, FETCH_IDLE_TIMEOUT, FETCH_REDIRECTS_MAX, FETCH_TIMEOUT,
};
use crate::models::redirect;

/// Told how much has come, and of how much where that is known.
pub type Progress<'a> = &'a mut dyn FnMut(u64, Option<u64>);

/// Something to get.
pub(super) struct Ask<'a> {
    pub(super) url: &'a Uri,
    pub(super) accept: Option<&'a str>,
    /// For the first host alone.
    pub(super) authorization: Option<&'a str>,
    /// Most bytes that are read.
    pub(super) most: usize,
}

/// What came.
pub(super) struct Got {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// An address that may be asked.
///
/// # Errors
/// When it is none, or is in plain HTTP and not on this machine.
pub(super) fn address(text: &str) -> Result<Uri, SourceError> {
    let wrong = || SourceError::Address(shown(text));
    let url: Uri = text.parse().map_err(|_| wrong())?;
    let authority = url.authority().ok_or_else(wrong)?;
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return Err(wrong());
    }
    match url.scheme_str() {
        Some("https") => Ok(url),
        Some("http") if is_here(&url) => Ok(url),
        Some("http") => Err(SourceError::Plain(shown(text))),
        _ => Err(wrong()),
    }
}

/// Whether it is on this machine, said so plainly that no name server is asked.
pub(super) fn is_here(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Gets it, whatever the status.
///
/// # Errors
/// See [`SourceError`].
pub(super) fn get(ask: &Ask<'_>, progress: Progress<'_>) -> Result<Got, SourceError> {
    let mut body = Vec::new();
    let (status, headers) = get_into(ask, FETCH_TIMEOUT, &mut body, progress)?;
    Ok(Got {
        status,
        headers,
        body,
    })
}

/// The same, with the body written elsewhere as it comes.
///
/// # Errors
/// See [`SourceError`]; also when it cannot be written there.
pub(super) fn get_into(
    ask: &Ask<'_>,
    timeout: Duration,
    body: &mut dyn Write,
    progress: Progress<'_>,
) -> Result<(StatusCode, HeaderMap), SourceError> {
    let deadline = Instant::now() + timeout;
    let mut url = ask.url.clone();
    for _ in 0..=FETCH_REDIRECTS_MAX {
        let answer = send(ask, &url, deadline)?;
        let status = answer.status();
        if !status.is_redirection() || status == StatusCode::NOT_MODIFIED {
            return read(ask, &url, answer, deadline, body, progress);
        }
        let location = answer.headers().get(LOCATION);
        let location = location.and_then(|to| to.to_str().ok()).unwrap_or_default();
        let refused = || SourceError::Redirect(shown(location));
        let next = redirect(&url, location).ok_or_else(refused)?;
        // Out there nobody may send us to what only this machine reaches.
        if (is_here(&next) && !is_here(&url)) || address(&next.to_string()).is_err() {
            return Err(refused());
        }
        url = next;
    }
    Err(SourceError::Redirects(shown(&ask.url.to_string())))
}

fn send(ask: &Ask<'_>, url: &Uri, deadline: Instant) -> Result<Response<Body>, SourceError> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(FETCH_CONNECT_TIMEOUT))
        .timeout_recv_response(Some(FETCH_IDLE_TIMEOUT))
        .timeout_per_read(Some(FETCH_IDLE_TIMEOUT))
        .timeout_global(Some(deadline.saturating_duration_since(Instant::now())))
        .user_agent(concat!("skep/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .max_idle_connections(0);
    // A proxy is for the world outside; on loopback it would ask another machine for this one.
    let config = if is_here(url) {
        config.proxy(None)
    } else {
        config
    };
    let agent: Agent = config.build().into();
    let mut request = agent.get(url);
    if let Some(accept) = ask.accept {
        request = request.header(ACCEPT, accept);
    }
    if let Some(authorization) = ask.authorization
        && url.authority() == ask.url.authority()
    {
        request = request.header(AUTHORIZATION, authorization);
    }
    request
        .call()
        .map_err(|error| broken(url, &error.to_string()))
}

fn read(
    ask: &Ask<'_>,
    url: &Uri,
    answer: Response<Body>,
    deadline: Instant,
    to: &mut dyn Write,
    progress: Progress<'_>,
) -> Result<(StatusCode, HeaderMap), SourceError> {
    let (parts, body) = answer.into_parts();
    if let Some(encoding) = parts.headers.get("content-encoding")
        && encoding.as_bytes() != b"identity"
    {
        return Err(broken(
            url,
            "it sends it encoded, although nobody asked for that",
        ));
    }
    let length = parts.headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let too_large = || SourceError::TooLarge {
        url: shown(&url.to_string()),
        most: ask.most,
    };
    if length.is_some_and(|length| length > ask.most as u64) {
        return Err(too_large());
    }
    let mut reader = body.into_reader();
    let mut whole = 0_u64;
    let mut part = vec![0; 64 << 10];
    loop {
        let count = reader
            .read(&mut part)
            .map_err(|error| broken(url, &error.to_string()))?;
        let Some(part) = part.get(..count).filter(|part| !part.is_empty()) else {
            break;
        };
        if whole + part.len() as u64 > ask.most as u64 {
            return Err(too_large());
        }
        if Instant::now() > deadline {
            return Err(broken(url, "it takes too long"));
        }
        to.write_all(part)
            .map_err(|error| broken(url, &format!("what comes cannot be kept: {error}")))?;
        whole += part.len() as u64;
        progress(whole, length);
    }
    if length.is_some_and(|length| length != whole) {
        return Err(broken(url, "the connection broke off"));
    }
    Ok((parts.status, parts.headers))
}

fn broken(url: &Uri, why: &str) -> SourceError {
    SourceError::Broken {
        url: shown(&url.to_string()),
        why: shown(why),
    }
}

/// Text from elsewhere, for a message; without the query of an address, which may have secrets.
pub(super) fn shown(text: &str) -> String {
    let text = text.split('?').next().unwrap_or_default();
    text.chars()
        .take(200)
        .collect::<String>()
        .escape_debug()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_is_spoken_beyond_this_machine() {
        for good in [
            "https://example.org/a.wasm",
            "https://example.org:8443/a?b=c",
            "http://127.0.0.1:80/a",
            "http://[::1]:8080/a",
            "http://localhost/a",
        ] {
            assert!(address(good).is_ok(), "{good}");
        }
        for plain in [
            "http://example.org/a.wasm",
            "http://localhost.example.org/a",
            "http://127.0.0.1.example.org/a",
            "http://2130706433/a",
            "http://10.0.0.1/a",
        ] {
            let refused = address(plain);
            assert!(matches!(refused, Err(SourceError::Plain(_))), "{plain}");
        }
        for wrong in [
            "",
            "ftp://example.org/a",
            "file:///etc/passwd",
            "https://user:word@example.org/a",
            "https:///a",
            "example.org/a.wasm",
        ] {
            let refused = address(wrong);
            assert!(matches!(refused, Err(SourceError::Address(_))), "{wrong}");
        }
    }
}
