//! An answer that comes line by line, one JSON value each, for as long as somebody reads it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::mpsc;

/// The body of such an answer. When the client goes it is dropped, and what it holds with it.
pub(super) struct Lines<T> {
    lines: mpsc::Receiver<Bytes>,
    _held: T,
}

impl<T: Send + Unpin + 'static> Lines<T> {
    pub(super) fn new(lines: mpsc::Receiver<Bytes>, held: T) -> Self {
        Self { lines, _held: held }
    }
}

impl<T: Unpin> hyper::body::Body for Lines<T> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let line = self.lines.poll_recv(context);
        line.map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}

impl<T: Send + Unpin + 'static> IntoResponse for Lines<T> {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::new(self));
        let kind = HeaderValue::from_static("application/x-ndjson");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

/// A value and its line break.
pub(super) fn line(value: &impl serde::Serialize) -> Bytes {
    // Strings and numbers always serialise.
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    Bytes::from(line)
}
