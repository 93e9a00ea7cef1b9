//! What the headers of an answer say about a file.
//!
//! Decides how each is read, and where a redirect may lead; what is not understood is as good as
//! absent. Refuses to know what follows from it.

use ureq::http::Uri;
use ureq::http::header::{self, HeaderMap};

use super::digest::Digest;
use super::error::PullError;

/// `bytes 100-199/200` (RFC 9110, 14.4).
pub(super) struct ContentRange {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) total: u64,
}

impl ContentRange {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (start, end) = range.split_once('-')?;
        Some(Self {
            start: start.trim().parse().ok()?,
            end: end.trim().parse().ok()?,
            total: total.trim().parse().ok()?,
        })
    }
}

/// Where a redirect leads: on to `http` or `https`, and never from the second to the first.
pub(super) fn follow(from: &Uri, headers: &HeaderMap) -> Result<Uri, PullError> {
    let location = text(headers, header::LOCATION).unwrap_or_default();
    redirect(from, location).ok_or_else(|| {
        let shown = location
            .chars()
            .take(200)
            .flat_map(char::escape_debug)
            .collect();
        PullError::RedirectTarget(shown)
    })
}

/// Where `location` leads from there; none where it must not be followed, as in [`follow`].
pub(crate) fn redirect(from: &Uri, location: &str) -> Option<Uri> {
    let scheme = from.scheme_str().unwrap_or_default();
    let authority = from.authority().map_or("", |authority| authority.as_str());
    let place = location.split('#').next().unwrap_or_default();
    let absolute = if place.contains("://") && !place.starts_with('/') {
        place.to_owned()
    } else if place.starts_with("//") {
        format!("{scheme}:{place}")
    } else if place.starts_with('/') {
        format!("{scheme}://{authority}{place}")
    } else if place.is_empty() {
        return None;
    } else {
        let folder = from
            .path()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{place}")
    };
    let to: Uri = absolute.parse().ok()?;
    let known = matches!(to.scheme_str(), Some("http" | "https"));
    let downgrade = scheme == "https" && to.scheme_str() == Some("http");
    let nowhere = to.host().is_none_or(str::is_empty);
    (known && !downgrade && !nowhere).then_some(to)
}

/// What may stand in `If-Range`: a strong tag, else the time of change (RFC 9110, 13.1.5).
pub(super) fn validator(headers: &HeaderMap) -> Option<String> {
    text(headers, header::ETAG)
        .filter(|tag| tag.starts_with('"') && tag.len() <= 1024)
        .or_else(|| text(headers, header::LAST_MODIFIED))
        .map(str::to_owned)
}

/// The SHA-256 that Hugging Face tells of large files, in the answer that redirects to them.
pub(super) fn announced(headers: &HeaderMap) -> Option<Digest> {
    let tag = headers.get("x-linked-etag")?.to_str().ok()?;
    tag.trim_matches('"').parse().ok()
}

pub(super) fn encoding(headers: &HeaderMap) -> Option<String> {
    let encoding = text(headers, header::CONTENT_ENCODING)?;
    (!encoding.eq_ignore_ascii_case("identity")).then(|| encoding.chars().take(40).collect())
}

pub(super) fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

pub(super) fn number(headers: &HeaderMap, name: header::HeaderName) -> Option<u64> {
    text(headers, name)?.parse().ok()
}
