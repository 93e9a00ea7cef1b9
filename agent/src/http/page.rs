//! The page for people: a few files inside this binary.
//!
//! Places within the page are behind the `#` of its address, so there is one document and every other path is a file.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::error::ApiError;

/// One file of the page.
struct File {
    path: &'static str,
    kind: &'static str,
    /// By gzip, which every browser takes, also without TLS.
    packed: bool,
    bytes: &'static [u8],
    /// Changes with the bytes.
    tag: &'static str,
}

/// Every file, as `build.rs` found it in `agent/ui/dist`.
static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// Whether a path is one of the page's.
pub(super) fn has(path: &str) -> bool {
    find(path).is_some()
}

/// The file at a path, or word that the browser has it already.
pub(super) fn serve(path: &str, headers: &HeaderMap) -> Result<Response<Body>, ApiError> {
    let Some(file) = find(path) else {
        return Err(ApiError::not_found("there is no such page"));
    };
    let known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == file.tag.as_bytes());
    let mut response = if known {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        Response::new(Body::from(file.bytes))
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, file.kind),
        (header::ETAG, file.tag),
        // Asked for each time, answered by the tag: an update of the agent shows at once.
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if file.packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

fn find(path: &str) -> Option<&'static File> {
    let path = if path == "/" { "/index.html" } else { path };
    FILES.iter().find(|file| file.path == path)
}

/// Nothing from elsewhere, nothing inline that runs, no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";
