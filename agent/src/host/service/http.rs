//! A guest's request as one of ours, and our answer as one of a guest's. Decides which error each refusal is in WASI's words;
//! whether anything is sent at all is decided by `egress`.

use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::http::{HeaderName, Request, Response};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{
    Error as WasiError, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks,
};

use crate::egress::{Egress, EgressError, FORBIDDEN_HEADERS, ResolveError, Scope, TlsError, Waits};
use crate::limits::OUT_CHUNK_BYTES;

/// Where a guest's requests come out.
pub(super) struct Hooks {
    egress: Arc<Egress>,
    scope: Arc<Scope>,
}

impl Hooks {
    pub(super) fn new(egress: Arc<Egress>, scope: Arc<Scope>) -> Self {
        Self { egress, scope }
    }
}

type Sent = (
    Response<WasiBody>,
    Box<dyn Future<Output = Result<(), WasiError>> + Send>,
);

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        FORBIDDEN_HEADERS.contains(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(|name| FORBIDDEN_HEADERS.contains(name))
    }

    /// The host that was checked goes there.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), WasiError>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, WasiError>> + Send> {
        let (egress, scope) = (Arc::clone(&self.egress), Arc::clone(&self.scope));
        let options = options.unwrap_or_default();
        let waits = Waits {
            connect: options.connect_timeout,
            first: options.first_byte_timeout,
            between: options.between_bytes_timeout,
        };
        Box::new(async move {
            let answer = egress.send(&scope, request, waits).await;
            let answer = answer.map_err(in_its_words)?;
            let answer = answer.map(|body| body.map_err(in_its_words).boxed_unsync());
            // The body drives its own connection.
            let done: Box<dyn Future<Output = Result<(), WasiError>> + Send> =
                Box::new(std::future::ready(Ok(())));
            Ok((answer, done))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        OUT_CHUNK_BYTES
    }

    fn p2_error_from_hyper(&mut self, error: &hyper::Error) -> ErrorCode {
        if error.is_incomplete_message() {
            ErrorCode::HttpResponseIncomplete
        } else if error.is_timeout() {
            ErrorCode::HttpResponseTimeout
        } else if error.is_closed() || error.is_canceled() {
            ErrorCode::ConnectionTerminated
        } else {
            ErrorCode::HttpProtocolError
        }
    }

    fn p2_error_from_connect(&mut self, error: &std::io::Error) -> ErrorCode {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::TimedOut => ErrorCode::ConnectionTimeout,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                ErrorCode::DestinationIpUnroutable
            }
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => {
                ErrorCode::ConnectionTerminated
            }
            _ => ErrorCode::ConnectionRefused,
        }
    }
}

fn in_its_words(error: EgressError) -> WasiError {
    match error {
        EgressError::NotGranted { .. }
        | EgressError::SecretGone(_)
        | EgressError::SecretInClear => WasiError::HttpRequestDenied,
        EgressError::Prohibited(_) => WasiError::DestinationIpProhibited,
        EgressError::Malformed(why) => WasiError::InternalError(Some(why.to_owned())),
        // WASI has no word for it.
        error @ EgressError::Header(_) => WasiError::InternalError(Some(error.to_string())),
        EgressError::TooMany => WasiError::ConnectionLimitReached,
        EgressError::Resolve(ResolveError { why, .. }) => WasiError::DnsError {
            rcode: Some(why),
            info_code: None,
        },
        EgressError::ConnectTimeout => WasiError::ConnectionTimeout,
        EgressError::Connect(error) => WasiError::Connect(error),
        EgressError::Tls(TlsError::Name(_) | TlsError::Certificate(_)) => {
            WasiError::TlsCertificateError
        }
        EgressError::Tls(TlsError::Protocol(_)) => WasiError::TlsProtocolError,
        EgressError::Silence => WasiError::ConnectionReadTimeout,
        EgressError::RequestBody(limit) => WasiError::HttpRequestBodySize(Some(limit)),
        EgressError::AnswerHeaders => WasiError::HttpResponseHeaderSectionSize(None),
        EgressError::AnswerBody(limit) => WasiError::HttpResponseBodySize(Some(limit)),
        EgressError::Cut => WasiError::HttpResponseIncomplete,
        EgressError::Http(error) => WasiError::Hyper(error),
    }
}

/// Why an answer's body ended early, for a guest that asks.
pub(super) fn body_error(error: &wasmtime::Error) -> Option<ErrorCode> {
    match error.downcast_ref()? {
        WasiError::ConnectionReadTimeout => Some(ErrorCode::ConnectionReadTimeout),
        WasiError::HttpResponseBodySize(limit) => Some(ErrorCode::HttpResponseBodySize(*limit)),
        WasiError::HttpResponseIncomplete => Some(ErrorCode::HttpResponseIncomplete),
        _ => Some(ErrorCode::HttpProtocolError),
    }
}
