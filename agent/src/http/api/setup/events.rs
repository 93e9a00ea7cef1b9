//! An answer that comes as events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), one JSON value each.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::mpsc;

/// The body of such an answer.
pub(super) struct Events(pub(super) mpsc::Receiver<Bytes>);

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let event = self.0.poll_recv(context);
        event.map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::new(self));
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("text/event-stream");
        headers.insert(header::CONTENT_TYPE, kind);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// A value as an event. JSON has no line breaks of its own.
pub(super) fn event(value: &impl serde::Serialize) -> Bytes {
    let mut event = b"data: ".to_vec();
    // Strings and numbers always serialise.
    event.extend(serde_json::to_vec(value).unwrap_or_default());
    event.extend(b"\n\n");
    Bytes::from(event)
}

/// A comment, which readers pass over.
pub(super) fn sign_of_life() -> Bytes {
    Bytes::from_static(b":\n\n")
}
